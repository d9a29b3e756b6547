"""Noting, as a film passes, what is done to it: for the treatment record.

`recorded` stands before pasting, `compared` after it, and after fields have become frames again. About 100 bytes a face
and frame are kept (an hour of two faces is 18 MB), and the source pictures of the frames that are between the two.
"""

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gpen_video.faces.layer import LayeredFrame
from gpen_video.faces.resample import Roi
from gpen_video.faces.support import support_region
from gpen_video.media.fields import weave_fields
from gpen_video.pipeline.choose import film_frame
from gpen_video.pipeline.decisions import DecisionRun, joined_runs
from gpen_video.pipeline.difference import Change, change_within
from gpen_video.report import Column, ShotRecord, TrackRecord, runs_of
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


@dataclass(frozen=True, slots=True, eq=False)
class Treatment:
    """What was done in some frames of a film."""

    frames: int
    shot_starts: tuple[int, ...]
    """Frames with which shots start."""
    rows: Mapping[int, Float32]
    """Track -> (N, columns), a row a frame."""
    decisions: tuple[DecisionRun, ...]

    @classmethod
    def of(cls, parts: Iterable["Treatment"]) -> "Treatment":
        """The treatment of a film, from that of its parts in their order."""
        parts = tuple(parts)
        rows: dict[int, list[Float32]] = {}
        for part in parts:
            for track, some in part.rows.items():
                rows.setdefault(track, []).append(some)
        return cls(
            sum(part.frames for part in parts),
            tuple(start for part in parts for start in part.shot_starts),
            {track: np.concatenate(rows[track]) for track in sorted(rows)},
            joined_runs(run for part in parts for run in part.decisions),
        )

    def shots(self) -> tuple[ShotRecord, ...]:
        """The shots of a film."""
        ends = [*self._starts[1:], self.frames]
        return tuple(ShotRecord(first, end - first) for first, end in zip(self._starts, ends, strict=True))

    def tracks(self) -> tuple[TrackRecord, ...]:
        """The tracks, by number; each lies in the shot in which it begins."""
        return tuple(self._track(number, rows) for number, rows in self.rows.items())

    @property
    def _starts(self) -> list[int]:
        return sorted({0, *self.shot_starts})  # the first frame starts one, whether shots were looked for or not

    def _track(self, number: int, rows: Float32) -> TrackRecord:
        frames = rows[:, Column.FRAME].astype(np.int64).tolist()
        return TrackRecord(number, bisect_right(self._starts, frames[0]) - 1, runs_of(frames), rows)


class Recorder:
    """Collects shots, faces and their changes, of a film or a part of it.

    Args:
        holds: Whether a frame belongs to that part; frames before it, on which the stages warm up, and behind it are
            not noted.
    """

    def __init__(self, holds: Callable[[int], bool] | None = None) -> None:
        self._holds = holds or (lambda frame: True)
        self._shots: list[int] = []
        self._frames = 0
        self._tracks: dict[int, array[float]] = {}
        self._waiting: deque[_Waiting] = deque()

    def saw(self, item: FrameFaces[MaskedFace]) -> None:
        """Note the faces of the next frame, or field, as they go into pasting."""
        index = film_frame(item.frame)
        if not self._holds(index):
            return
        rows = {face.restored.crop.face.track_id: _row(face, item.frame) for face in item.faces}
        if item.frame.picture.field is not None and item.frame.index % 2:
            first = self._waiting.pop()
            waiting = _Waiting(_woven(first.frame, item.frame), _joined(first.rows, rows))
        else:
            waiting = _Waiting(item.frame, rows)
            if item.frame.starts_shot:
                self._shots.append(index)
            self._frames += 1
        for track in rows:
            self._tracks.setdefault(track, array("f"))
        self._waiting.append(waiting)

    def pasted(self, frame: Frame) -> None:
        """Note what became of the next frame.

        Raises:
            ValueError: It is not the next one.
        """
        if not self._holds(frame.index):
            return
        if not self._waiting or self._waiting[0].frame.index != frame.index:
            raise ValueError(f"frame {frame.index} is not the next of those recorded")
        waiting = self._waiting.popleft()
        for track, row in waiting.rows.items():
            change = _change(waiting.frame.picture, frame.picture, row[REGION])
            row[[Column.MEAN_CHANGE, Column.LARGEST_CHANGE]] = change.mean, change.largest
            self._tracks[track].frombytes(row.tobytes())

    def treatment(self, decisions: Iterable[DecisionRun] = ()) -> Treatment:
        """What was done, when all frames have been pasted.

        Args:
            decisions: About these frames, in order.

        Raises:
            ValueError: Some have not.
        """
        if self._waiting:
            raise ValueError(f"{len(self._waiting)} frames were recorded and not compared")
        rows = {
            track: np.frombuffer(values, np.float32).reshape(-1, len(Column))
            for track, values in sorted(self._tracks.items())
        }
        return Treatment(self._frames, tuple(self._shots), rows, tuple(decisions))


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
