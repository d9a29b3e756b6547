"""What became of each film of a batch, and of the batch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Status = Literal["waiting", "running", "done", "skipped", "exists", "busy", "failed", "stopped"]
"""``skipped``: done by an earlier run; ``exists``: a result is there that is not this batch's, and was left alone;
``busy``: another run is at work on it; ``stopped``: the batch was stopped while the film ran."""

SUCCEEDED: Final[frozenset[Status]] = frozenset({"done", "skipped"})
UNFINISHED: Final[frozenset[Status]] = frozenset({"waiting", "running", "stopped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a restoration came to."""

    frames: int
    faces: int
    tracks: int
    shots: int
    seconds: float | None
    """Of the run that finished it, so that a film that was resumed took longer in all; `None` where nobody knows."""

    @property
    def frames_per_second(self) -> float | None:
        """Speed, where time passed."""
        return self.frames / self.seconds if self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt failed, in words that can travel between processes."""

    kind: str
    """The class of the error, for programs."""
    line: str
    """One line for people."""
    worth_retrying: bool
    trace: str = ""
    """The traceback of a fault of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One film's place in the report."""

    job: str
    line: int
    """Of the batch file, where its job is."""
    source: Path
    target: Path
    status: Status
    attempts: int = 0
    """In this run of the batch."""
    figures: Figures | None = None
    failure: Failure | None = None
    """Why there is no result, or why the one that is there was left alone."""
    warnings: tuple[str, ...] = ()
    record: Path | None = None
    """The treatment record, where there is one."""
    started: str | None = None
    """ISO 8601, UTC."""
    finished: str | None = None
    """ISO 8601, UTC."""

    @property
    def succeeded(self) -> bool:
        """The result is there, and it is the one that was asked for."""
        return self.status in SUCCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """All films of a batch, in its order."""

    path: Path
    """The batch file."""
    outcomes: tuple[Outcome, ...]
    started: str
    """ISO 8601, UTC."""
    seconds: float
    """So far."""
    finished: bool
    """False while films are left, and where the batch was stopped."""

    def count(self, *statuses: Status) -> int:
        """How many films ended so."""
        return sum(outcome.status in statuses for outcome in self.outcomes)

    @property
    def succeeded(self) -> bool:
        """Every film's result is there and is the one asked for."""
        return all(outcome.succeeded for outcome in self.outcomes)
