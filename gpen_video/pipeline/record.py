"""Noting, as a film passes, what is done to it: for the treatment record.

`recorded` stands before pasting, `compared` after it, and after fields have become frames again. About 100 bytes a face
and frame are kept (an hour of two faces is 18 MB), and the source pictures of the frames that are between the two.
"""

import threading
from array import array
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

import numpy as np

from gpen_video.faces.layer import LayeredFrame
from gpen_video.faces.resample import Roi
from gpen_video.faces.support import support_region
from gpen_video.media.fields import weave_fields
from gpen_video.pipeline.difference import Change, change_within
from gpen_video.report import Column, Decision, ShotRecord, TrackRecord, runs_of
from gpen_video.report.record import BOX, LANDMARKS, REGION
from gpen_video.streams import closing_upstream
from gpen_video.types import Float32, Frame, FrameFaces, MaskedFace, Picture


def recorded(
    stream: Iterable[FrameFaces[MaskedFace]], recorder: "Recorder"
) -> Generator[FrameFaces[MaskedFace], None, None]:
    """Tell the recorder which faces are about to be pasted; no delay, nothing is changed."""
    with closing_upstream(stream):
        for item in stream:
            recorder.saw(item)
            yield item


def compared(stream: Iterable[LayeredFrame], recorder: "Recorder") -> Generator[LayeredFrame, None, None]:
    """Tell the recorder what became of them; no delay, nothing is changed."""
    with closing_upstream(stream):
        for item in stream:
            recorder.pasted(item.frame)
            yield item


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A frame between `recorded` and `compared`."""

    frame: Frame
    """Of the source; the first field until the second has come."""
    rows: dict[int, Float32]
    """Track -> its row, in which the change is still missing."""


@dataclass(slots=True, eq=False)
class _Track:
    shot: int
    rows: "array[float]" = field(default_factory=lambda: array("f"))


@dataclass(slots=True)
class _Deciding:
    """A decision that may go on with the next frame."""

    first: int
    last: int
    track: int | None
    reason: str
    values: int = 0
    total: float = 0.0

    def done(self) -> Decision:
        return Decision(
            self.first, self.last, self.track, self.reason, round(self.total / self.values, 4) if self.values else None
        )


class Recorder:
    """Collects shots, faces, their changes and decisions; one for each film."""

    def __init__(self) -> None:
        self._shots: list[int] = []
        self._frames = 0
        self._tracks: dict[int, _Track] = {}
        self._waiting: deque[_Waiting] = deque()
        self._decided: list[_Deciding] = []
        self._going_on: dict[tuple[int | None, str], _Deciding] = {}
        self._lock = threading.Lock()

    def saw(self, item: FrameFaces[MaskedFace]) -> None:
        """Note the faces of the next frame, or field, as they go into pasting."""
        rows = {face.restored.crop.face.track_id: _row(face, item.frame) for face in item.faces}
        if item.frame.picture.field is not None and item.frame.index % 2:
            first = self._waiting.pop()
            waiting = _Waiting(_woven(first.frame, item.frame), _joined(first.rows, rows))
        else:
            waiting = _Waiting(item.frame, rows)
            if item.frame.starts_shot or not self._shots:
                self._shots.append(self._frames)
            self._frames += 1
        for track in rows:
            self._tracks.setdefault(track, _Track(len(self._shots) - 1))
        self._waiting.append(waiting)

    def pasted(self, frame: Frame) -> None:
        """Note what became of the next frame.

        Raises:
            ValueError: It is not the next one.
        """
        if not self._waiting or self._waiting[0].frame.index != frame.index:
            raise ValueError(f"frame {frame.index} is not the next of those recorded")
        waiting = self._waiting.popleft()
        for track, row in waiting.rows.items():
            change = _change(waiting.frame.picture, frame.picture, row[REGION])
            row[[Column.MEAN_CHANGE, Column.LARGEST_CHANGE]] = change.mean, change.largest
            self._tracks[track].rows.frombytes(row.tobytes())

    def decided(self, frame: int, track: int | None, reason: str, value: float | None = None) -> None:
        """Note a decision about a face in a frame; may be called from any thread, frames rising for each track.

        Args:
            frame: Index of the frame.
            track: Of the face, where it has one.
            reason: In few words; equal ones of neighbouring frames become one entry.
            value: What was measured.
        """
        with self._lock:
            last = self._going_on.get((track, reason))
            if last is None or frame > last.last + 1:
                last = self._going_on[track, reason] = _Deciding(frame, frame, track, reason)
                self._decided.append(last)
            last.last = frame
            if value is not None:
                last.values += 1
                last.total += value

    @property
    def frames(self) -> int:
        """Frames that were seen."""
        return self._frames

    def shots(self) -> tuple[ShotRecord, ...]:
        """The shots so far."""
        ends = [*self._shots[1:], self._frames]
        return tuple(ShotRecord(first, end - first) for first, end in zip(self._shots, ends, strict=True))

    def tracks(self) -> tuple[TrackRecord, ...]:
        """The tracks, when all frames have been pasted.

        Raises:
            ValueError: Some have not.
        """
        if self._waiting:
            raise ValueError(f"{len(self._waiting)} frames were recorded and not compared")
        return tuple(_finished(number, track) for number, track in sorted(self._tracks.items()))

    def decisions(self) -> tuple[Decision, ...]:
        """All decisions, in order of their first frames."""
        with self._lock:
            return tuple(decision.done() for decision in sorted(self._decided, key=lambda decision: decision.first))


def _row(face: MaskedFace, frame: Frame) -> Float32:
    """What is known of a face before it is pasted, in pixels of the whole frame."""
    tracked = face.restored.crop.face
    region = support_region(face, frame.picture)
    row = np.zeros(len(Column), np.float32)
    row[Column.FRAME] = frame.index
    row[BOX] = np.nan if tracked.detection is None else tracked.detection.box_xyxy
    row[LANDMARKS] = tracked.landmarks_5xy.ravel()
    row[Column.MASK_MAX] = face.alpha_hw.max()
    row[Column.STRENGTH] = face.restored.crop.strength * face.restored.strength
    row[Column.LIKENESS] = np.nan if face.restored.likeness is None else face.restored.likeness
    row[REGION] = np.nan if region is None else (region.left, region.top, region.right, region.bottom)
    if frame.picture.field is not None:
        row[Column.FRAME] = frame.index // 2
        for points in (BOX, LANDMARKS, REGION):
            row[points][1::2] *= 2
    return row


def _woven(first: Frame, second: Frame) -> Frame:
    """The whole frame of two fields."""
    assert first.picture.field is not None
    (frame,) = weave_fields((first, second), first.picture.field, first.picture.colour)
    return frame


def _joined(first: dict[int, Float32], second: dict[int, Float32]) -> dict[int, Float32]:
    """The rows of a frame's two fields: a face's place is that in the field in which it was seen first."""
    joined = dict(first)
    for track, row in second.items():
        if track not in joined:
            joined[track] = row
            continue
        one = joined[track] = joined[track].copy()
        if np.isnan(one[Column.BOX_LEFT]):
            one[BOX] = row[BOX]
        for column in (Column.MASK_MAX, Column.STRENGTH):
            one[column] = max(one[column], row[column])
        one[Column.LIKENESS] = np.fmin(one[Column.LIKENESS], row[Column.LIKENESS])
        low, high = slice(Column.REGION_LEFT, Column.REGION_RIGHT), slice(Column.REGION_RIGHT, Column.MEAN_CHANGE)
        one[low], one[high] = np.fmin(one[low], row[low]), np.fmax(one[high], row[high])
    return joined


def _change(source: Picture, result: Picture, region_xyxy: Float32) -> Change:
    if source is result or np.isnan(region_xyxy).any():
        return Change(0.0, 0)
    return change_within(source, result, Roi(*region_xyxy.astype(int).tolist()))


def _finished(number: int, track: _Track) -> TrackRecord:
    rows = np.frombuffer(track.rows, np.float32).reshape(-1, len(Column))
    return TrackRecord(number, track.shot, runs_of(rows[:, Column.FRAME].astype(np.int64).tolist()), rows)
