"""A batch while it runs: a line for each film at work and one for all; without a terminal, a line for each film."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from gpen_video.cli.console import Console, one_line
from gpen_video.cli.progress import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gpen_video.jobs.job import Job
    from gpen_video.jobs.outcome import Failure, Outcome
    from gpen_video.jobs.worker import Moved

_WORDS: Final = {"exists": "left alone", "busy": "in use"}
_NAME_LENGTH: Final = 48


@dataclass(slots=True)
class _Size:
    """How much of a film there is and how much is done; time left is estimated by bytes, which are known first."""

    bytes: int
    share: float = 0.0


@dataclass(slots=True)
class _Films:
    """What is left, what is done."""

    sizes: dict[Path, _Size] = field(default_factory=dict)
    """Of films that are to be restored or have been, by result."""
    began: float = field(default_factory=time.monotonic)
    frames: int = 0
    """Of films that were finished in this run."""
    at_work: dict[Path, int] = field(default_factory=dict)
    """Frames so far of those at work."""
    done: int = 0
    failed: int = 0

    @property
    def left(self) -> int:
        return sum(size.share < 1 for size in self.sizes.values())

    def line(self) -> str:
        """Films, speed, time left."""
        parts = [f"{self.done} done"]
        if self.failed:
            parts.append(f"{self.failed} not")
        parts.append(f"{self.left} left")
        seconds = time.monotonic() - self.began
        frames = self.frames + sum(self.at_work.values())
        if frames and seconds > 0:
            parts.append(f"{frames / seconds:.3g} fps")
        share = self.share
        if share and self.left:
            parts.append(f"{clock(seconds * (1 - share) / share)} left")
        return ", ".join(parts)

    @property
    def share(self) -> float:
        """Of the bytes, that which is done."""
        whole = sum(size.bytes for size in self.sizes.values())
        return sum(size.bytes * size.share for size in self.sizes.values()) / whole if whole else 0.0


class BatchDisplay:
    """Watches a batch (a `BatchObserver`)."""

    def __init__(self, console: Console, *, beside: Callable[[], str] | None = None) -> None:
        """Draws on the console's standard error; `beside` says more of all, such as how many workers there are."""
        self._console, self._beside = console, beside
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}", markup=False),
            console=console.err,
            disable=not console.interactive,
        )
        self._films = _Films()
        self._all = self._bar.add_task("all films", total=1.0, said="")
        self._tasks: dict[Path, TaskID] = {}
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def queued(self, job: Job) -> None:
        """One more to do."""
        self._films.sizes[job.target] = _Size(_bytes(job.source))
        self._redraw()

    def began(self, job: Job, worker: int) -> None:
        """A line for it."""
        if self._console.verbose:
            self._console.note(f"{job.source}: begun by worker {worker}")
        self._drop(job.target)
        self._tasks[job.target] = self._bar.add_task(_short(job.source.name), total=None, said="starting")
        self._films.at_work[job.target] = 0

    def moved(self, job: Job, moved: Moved) -> None:
        """Redraw."""
        of = f"/{moved.total_frames}" if moved.total_frames is not None else ""
        said = [f"{moved.frames}{of} frames", f"{moved.faces} faces"]
        if moved.frames and moved.seconds > 0:
            rate = moved.frames / moved.seconds
            said.append(f"{rate:.3g} fps")
            if moved.total_frames is not None:
                said.append(f"{clock(max(0, moved.total_frames - moved.frames) / rate)} left")
        self._films.at_work[job.target] = moved.frames
        if moved.total_frames and job.target in self._films.sizes:
            self._films.sizes[job.target].share = min(0.99, moved.frames / moved.total_frames)
        if (task := self._tasks.get(job.target)) is not None:
            self._bar.update(task, completed=moved.frames, total=moved.total_frames, said=", ".join(said))
        self._redraw()

    def warned(self, job: Job | None, line: str) -> None:
        """Print a warning above the lines; one that many films give, of the first, for reports have them all."""
        if line not in self._warned or self._console.verbose:
            self._warned.add(line)
            self._console.warning(line if job is None or str(job.source) in line else f"{job.source}: {line}")

    def retrying(self, job: Job, failure: Failure, seconds: float) -> None:
        """Say why, and when."""
        self._drop(job.target)
        if job.target in self._films.sizes:
            self._films.sizes[job.target].share = 0.0
        self._console.warning(f"{job.source}: {failure.line}; tried again in {seconds:.3g} s")

    def ended(self, outcome: Outcome) -> None:
        """A line about a film that failed in any case, about one that is done where nobody watches the lines above."""
        self._drop(outcome.target)
        self._films.done += outcome.succeeded
        self._films.failed += not outcome.succeeded
        if outcome.status == "done" and outcome.figures is not None:
            self._films.frames += outcome.figures.frames
        if outcome.target in self._films.sizes:
            self._films.sizes[outcome.target].share = 1.0
        self._redraw()
        self._say(outcome)

    def _say(self, outcome: Outcome) -> None:
        failure = outcome.failure
        if outcome.status == "skipped":
            if self._console.verbose:  # of a collection, most are
                self._console.note(f"{outcome.source}: done before")
        elif failure is None:
            self._console.progress(_finished_line(outcome))
        else:
            self._tell_failure(outcome, failure)

    def _tell_failure(self, outcome: Outcome, failure: Failure) -> None:
        word = _WORDS.get(outcome.status, outcome.status)
        named = "" if str(outcome.source) in failure.line else f"{outcome.source}: "
        self._console.warning(f"{named}{word}: {failure.line}")
        if failure.trace:
            self._console.trace(failure.trace)

    def _drop(self, target: Path) -> None:
        self._films.at_work.pop(target, None)
        if (task := self._tasks.pop(target, None)) is not None:
            self._bar.remove_task(task)

    def _redraw(self) -> None:
        said = self._films.line() if self._beside is None else f"{self._films.line()}; {self._beside()}"
        self._bar.update(self._all, completed=self._films.share, said=said)


def _finished_line(outcome: Outcome) -> str:
    figures = outcome.figures
    if figures is None:
        return f"{outcome.source}: {outcome.status}"
    rate = f", {figures.frames_per_second:.3g} fps" if figures.frames_per_second is not None else ""
    took = f" in {clock(figures.seconds)}" if figures.seconds is not None else ""
    return f"{outcome.source}: done, {figures.frames} frames, {figures.faces} faces{took}{rate}"


def _short(name: str) -> str:
    text = one_line(name)
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 16]}…{text[-15:]}"


def _bytes(source: Path) -> int:
    try:
        if source.is_dir() or not source.exists():
            folder = source if source.is_dir() else source.parent
            return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
        return source.stat().st_size
    except OSError:
        return 0
