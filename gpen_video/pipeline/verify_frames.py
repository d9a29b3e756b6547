"""The pictures of a result against those of its source: number, times, and samples inside and outside the masks."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpen_video.faces.resample import Roi
from gpen_video.media.picture import widen
from gpen_video.pipeline.difference import Change, Sample, change_outside, change_within
from gpen_video.pipeline.verification import Finding, Samples, judged
from gpen_video.report import Column, TreatmentRecord
from gpen_video.report.record import REGION
from gpen_video.types import Float32, Frame

_NAMED: Final = 3  # faults of one kind that are told one by one
_MEAN_ROUNDING: Final = (2e-6, 2e-7)  # of six decimals, and of a 32-bit number as a part of it
_HALF: Final = Fraction(1, 2)


def in_step(
    source: Iterable[Frame], result: Iterable[Frame], tick: Fraction
) -> Generator[tuple[Frame | None, Frame | None], None, None]:
    """Frames that belong together by their times; one frame of each film is held.

    A frame of the result belongs to the source's frame whose time is nearest; a frame to which none belongs comes
    alone. So after a frame that is missing, the others are still compared with their own.

    Args:
        source: In order of time, as `result`.
        result: With times that the container may have rounded.
        tick: Of the result's clock, in seconds.
    """
    sources, results = iter(source), iter(result)
    one, following, other = next(sources, None), next(sources, None), next(results, None)
    step = Fraction(0)
    while one is not None or other is not None:
        takes_one = takes_other = True
        if one is not None and other is not None:
            step = following.time.seconds - one.time.seconds if following is not None else step
            near = max(step, tick) * _HALF
            takes_one = other.time.seconds - one.time.seconds >= -near
            takes_other = following is None or other.time.seconds - one.time.seconds <= near
        yield one if takes_one else None, other if takes_other else None
        if takes_one:
            one, following = following, next(sources, None)
        if takes_other:
            other = next(results, None)


class FrameCheck:
    """Takes pairs of frames and remembers what is wrong with them."""

    def __init__(self, record: TreatmentRecord, *, lossless: bool) -> None:
        """Prepare.

        Args:
            record: Says which samples may differ.
            lossless: Whether the result's encoding gives back every sample.
        """
        self._record = record
        self._lossless = lossless
        self._lengths = (_Lengths(), _Lengths())
        self._regions = _Regions(record)
        self._whole = record.whole_picture_changes
        self._faults: dict[str, list[str]] = {name: [] for name in ("count", "time", "outside", "inside")}
        self._fault_count = dict.fromkeys(self._faults, 0)
        self._farthest = Fraction(0)
        self._tick = Fraction(1)
        self._incomparable = ""
        self._compared = self._changed = self._largest = self._squares = self._counted = self._inside = 0
        self._changed_frames = 0
        self._peak = 255
        self.source_frames = 0
        self.result_frames = 0
        self.faces = 0
        self.expected_frames = record.result.frames
        """As the record says."""

    def saw(self, source: Frame | None, result: Frame | None) -> None:
        """Compare the next pair; one of the two may be missing."""
        self.source_frames += source is not None
        self.result_frames += result is not None
        if source is None and result is not None:
            self._fault("count", f"the result has a frame at {_seconds(result)} that the source has not")
        elif result is None and source is not None:
            self._fault("count", f"frame {source.index} of the source ({_seconds(source)}) is not in the result")
        for frame, lengths in zip((source, result), self._lengths, strict=True):
            if frame is not None:
                lengths.saw(frame)
        if source is not None and result is not None:
            self._compare_times(source, result)
            self._compare_samples(source, result)

    def findings(self) -> Iterator[Finding]:
        """All that was found."""
        counts = f"the source has {self.source_frames} frames, the result {self.result_frames}"
        told = self._told("count")
        if not told and self.source_frames != self.result_frames:
            told = [counts]
        yield from judged("frame count", told, f"{self.result_frames} frames in both")
        yield from judged("record", self._disagreements(), "its frames and shots are those of the films")
        off = f"to within {_milliseconds(self._farthest)}: the container counts in {_milliseconds(self._tick)}"
        yield from judged("frame times", self._told("time"), off if self._farthest else "all equal, exactly")
        yield from self._length_findings()
        yield from self._sample_findings()

    def samples(self) -> Samples:
        """The figures."""
        return Samples(
            self._compared,
            self._lossless,
            self._changed,
            self._largest,
            None if not self._squares else round(10 * log10(self._peak**2 * self._counted / self._squares), 2),
            self._inside,
        )

    def _compare_times(self, source: Frame, result: Frame) -> None:
        tick = self._tick = result.time.time_base
        off = abs(source.time.seconds - result.time.seconds)
        self._farthest = max(self._farthest, off)
        if off > tick * _HALF:  # beyond what rounding to the container's clock explains
            self._fault("time", f"frame {source.index} is shown at {_seconds(result)} instead of {_seconds(source)}")

    def _length_findings(self) -> Iterator[Finding]:
        """How long the last frame is shown; all others end where the next one begins."""
        want, have = (lengths.last for lengths in self._lengths)
        if want is None or have is None:
            return
        is_rounded = (want / self._tick).denominator != 1
        text = f"it is shown for {float(have):.6f} s, in the source for {float(want):.6f} s"
        yield Finding("last frame", "fail" if abs(want - have) > self._tick * is_rounded else "pass", text)

    def _compare_samples(self, source: Frame, result: Frame) -> None:
        after = result.picture
        before = widen(source.picture, after.format)
        if before.format.name != after.format.name or (before.width, before.height) != (after.width, after.height):
            self._incomparable = (
                f"{source.picture.width}x{source.picture.height} {source.picture.format.name} became "
                f"{after.width}x{after.height} {after.format.name}"
            )
            return
        self._compared += 1
        self._peak = 2**after.format.bits - 1
        rows, regions = self._regions.at(source.index)
        self.faces += len(regions)
        as_recorded = self._lossless and not self._whole and after.format == source.picture.format
        for (track, row), region in zip(rows, regions, strict=True):
            change = change_within(before, after, region)
            self._inside = max(self._inside, change.largest)
            if as_recorded and _disagree(change, row):
                self._fault(
                    "inside",
                    f"frame {source.index}, track {track}: the change is {change.mean:.6f} in the mean and "
                    f"{change.largest} at most, the record says {row[Column.MEAN_CHANGE]:.6f} and "
                    f"{row[Column.LARGEST_CHANGE]:.0f}",
                )
        outside = change_outside(before, after, regions)
        self._counted += outside.samples
        self._changed += outside.changed
        self._squares += outside.squares
        self._largest = max(self._largest, outside.largest)
        if outside.first is not None:
            self._changed_frames += 1
            self._fault(
                "outside",
                f"frame {source.index}: {_samples(outside.changed)} outside the masks changed, by up to "
                f"{outside.largest}, the first in {_place(outside.first)}",
            )

    def _sample_findings(self) -> Iterator[Finding]:
        if self._incomparable:
            yield Finding("samples", "note", f"cannot be compared one by one: {self._incomparable}")
        if not self._compared:
            return
        figures = self.samples()
        decibels = "" if figures.psnr_outside is None else f", PSNR {figures.psnr_outside:.2f} dB"
        changed = (
            f"{_samples(self._changed)} in {self._changed_frames} of {self._compared} frames, "
            f"by up to {self._largest}{decibels}"
        )
        if self._whole:
            why = " and ".join(self._whole)
            yield Finding("outside the masks", "note", f"{changed}; {why} changed the whole picture")
        elif not self._lossless:
            yield Finding("outside the masks", "note", f"{changed}; the result's codec is lossy, so some must")
        else:
            yield from judged(
                "outside the masks", self._told("outside"), f"no sample changed in {self._compared} frames"
            )
        yield from judged(
            "inside the masks",
            self._told("inside"),
            f"{self.faces} faces, changed by up to {self._inside} of {self._peak}",
        )

    def _disagreements(self) -> Iterator[str]:
        record = self._record
        if record.source.frames != self.source_frames:
            yield f"the record counts {record.source.frames} frames in the source, there are {self.source_frames}"
        if record.result.frames != self.result_frames:
            yield f"the record counts {record.result.frames} frames in the result, there are {self.result_frames}"
        if sum(shot.frame_count for shot in record.shots) != record.source.frames:
            yield "the shots of the record do not add up to its frames"
        if self._regions.last_frame >= max(self.source_frames, 1):
            yield f"the record has a face in frame {self._regions.last_frame}, which is not there"

    def _fault(self, kind: str, text: str) -> None:
        self._fault_count[kind] += 1
        if len(self._faults[kind]) < _NAMED:
            self._faults[kind].append(text)

    def _told(self, kind: str) -> list[str]:
        more = self._fault_count[kind] - len(self._faults[kind])
        return [*self._faults[kind], *([f"… and {more} more frames"] if more else [])]


@dataclass(slots=True)
class _Lengths:
    """Whether the durations that a film states are those for which its frames are shown.

    Many containers state none, so that readers make them up; with B-frames, MOV states times between decodings.
    """

    reliable: bool = True
    frame: Frame | None = None

    def saw(self, frame: Frame) -> None:
        """Compare the last frame's duration with the time until this one."""
        if self.frame is not None:
            until = frame.time.pts - self.frame.time.pts
            self.reliable &= self.frame.duration is not None and abs(self.frame.duration - until) <= 1
        self.frame = frame

    @property
    def last(self) -> Fraction | None:
        """Seconds for which the last frame is shown; `None` where that cannot be known."""
        if not self.reliable or self.frame is None or self.frame.duration is None:
            return None
        return self.frame.duration * self.frame.time.time_base


class _Regions:
    """The record's faces by frame."""

    def __init__(self, record: TreatmentRecord) -> None:
        tables = [track.faces for track in record.tracks if len(track.faces)]
        rows = np.concatenate(tables) if tables else np.empty((0, len(Column)), np.float32)
        owners = np.repeat([t.id for t in record.tracks], [len(t.faces) for t in record.tracks]).astype(np.int64)
        reaches = np.isfinite(rows[:, REGION]).all(axis=1)
        order = np.argsort(rows[reaches, Column.FRAME], kind="stable")
        self._rows: Float32 = rows[reaches][order]
        self._owners: NDArray[np.int64] = owners[reaches][order]
        self.last_frame = int(rows[:, Column.FRAME].max()) if len(rows) else -1

    def at(self, frame: int) -> tuple[list[tuple[int, Float32]], list[Roi]]:
        """Track and row of each face whose mask reaches the frame, and the regions."""
        first, end = np.searchsorted(self._rows[:, Column.FRAME], (frame, frame + 1))
        rows = self._rows[first:end]
        owners = self._owners[first:end].tolist()
        return list(zip(owners, rows, strict=True)), [Roi(*row[REGION].astype(int).tolist()) for row in rows]


def _disagree(change: Change, row: Float32) -> bool:
    absolute, relative = _MEAN_ROUNDING
    off = abs(change.mean - float(row[Column.MEAN_CHANGE]))
    return change.largest != int(row[Column.LARGEST_CHANGE]) or off > absolute + relative * change.mean


def _seconds(frame: Frame) -> str:
    return f"{float(frame.time.seconds):.6f} s"


def _milliseconds(seconds: Fraction) -> str:
    return f"{float(seconds * 1000):.4g} ms"


def _samples(count: int) -> str:
    return f"{count} sample" + "s" * (count != 1)


def _place(sample: Sample) -> str:
    return f"plane {sample.plane} at x {sample.x}, y {sample.y}"
