"""Why faces are left alone, or restored otherwise than asked: noted frame by frame, told as runs of frames."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from gpen_video.report import Decision


@dataclass(frozen=True, slots=True)
class DecisionRun:
    """One decision over frames without a gap."""

    first: int
    last: int
    """Included."""
    track: int | None
    reason: str
    values: int = 0
    """How many values were measured."""
    total: float = 0.0
    """Their sum."""

    @property
    def decision(self) -> Decision:
        """For a treatment record."""
        mean = round(self.total / self.values, 4) if self.values else None
        return Decision(self.first, self.last, self.track, self.reason, mean)

    def as_json(self) -> list[Any]:
        """Its fields in their order; `DecisionRun(*values)` takes them back."""
        return [self.first, self.last, self.track, self.reason, self.values, self.total]


class DecisionLog:
    """Collects decisions from any thread; the frames of each track rise, but not those of all together."""

    def __init__(self) -> None:
        self._pending: list[DecisionRun] = []
        self._lock = threading.Lock()

    def add(self, frame: int, track: int | None, reason: str, value: float | None = None) -> None:
        """Note a decision about a face.

        Args:
            frame: Index of the frame of the film.
            track: Of the face, where it has one.
            reason: In few words.
            value: What was measured.
        """
        run = DecisionRun(frame, frame, track, reason, int(value is not None), value or 0.0)
        with self._lock:
            self._pending.append(run)

    def taken(self, end: int) -> tuple[DecisionRun, ...]:
        """Take out all decisions about frames before `end`, in order of their first frames."""
        with self._lock:
            before = [run for run in self._pending if run.first < end]
            self._pending = [run for run in self._pending if run.first >= end]
        return joined_runs(before)


def joined_runs(runs: Iterable[DecisionRun]) -> tuple[DecisionRun, ...]:
    """Runs by first frame and track, whenever they were noted; one that goes on where another ends is joined to it."""
    joined: list[DecisionRun] = []
    places: dict[tuple[int | None, str], int] = {}
    for run in sorted(runs, key=lambda run: (run.first, -1 if run.track is None else run.track, run.reason)):
        key = (run.track, run.reason)
        place = places.get(key)
        if place is None or run.first > joined[place].last + 1:
            places[key] = len(joined)
            joined.append(run)
            continue
        last = joined[place]
        joined[place] = replace(
            last, last=max(last.last, run.last), values=last.values + run.values, total=last.total + run.total
        )
    return tuple(joined)
