"""What is drawn while something takes time; nothing where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from gpen_video.cli.console import Console, one_line

if TYPE_CHECKING:
    from types import TracebackType

    from gpen_video.pipeline.observe import Progress as RunProgress
    from gpen_video.pipeline.observe import RunPlan
    from gpen_video.train.recipes import Phase
    from gpen_video.train.training import Report


class _BarAndLine(Progress):
    line = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.line:
            yield Text(one_line(self.line), style="dim", no_wrap=True, overflow="ellipsis")


class _Display:
    """A bar that is drawn while a block runs, if somebody watches."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._bar = _BarAndLine(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            console=console.err,
            disable=not console.interactive,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()


class RunDisplay(_Display):
    """Watches a run (an `Observer`): a bar with frames, faces, speed and time left, and each stage's share below."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._task = self._bar.add_task("starting", total=None)
        self._warned: set[str] = set()

    def planned(self, plan: RunPlan) -> None:
        """Say what will be done, and what cannot be carried."""
        self._console.note(f"{plan.restorer} and {plan.detector} on {plan.device}, {plan.precision}")
        self._console.note(f"{plan.target}: {plan.codec}, {plan.pix_fmt}")
        if plan.frames_before:
            self._console.note(f"going on: {plan.frames_before} frames are finished")
        for lost in plan.lost:
            self.warned(f"not in the result: {lost}")
        for warning in plan.warnings:
            self.warned(warning)

    def progressed(self, progress: RunProgress) -> None:
        """Redraw."""
        self._bar.line = shares(progress.stage_seconds)
        self._bar.update(
            self._task, description=headline(progress), completed=progress.frames, total=progress.total_frames
        )

    def warned(self, message: str) -> None:
        """Print a warning above the bar, once."""
        if message not in self._warned:
            self._warned.add(message)
            self._console.warning(message)


class TransferDisplay(_Display):
    """A bar for one download."""

    def __init__(self, console: Console, name: str) -> None:
        super().__init__(console, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._task = self._bar.add_task(name, total=None)

    def advanced(self, count: int, whole: int | None) -> None:
        """Redraw; `count` of `whole` bytes are here."""
        self._bar.update(self._task, completed=count, total=whole)


class CountDisplay(_Display):
    """A bar for things that are done one by one."""

    def __init__(self, console: Console, noun: str) -> None:
        super().__init__(console, MofNCompleteColumn(), TimeRemainingColumn())
        self._task = self._bar.add_task(noun, total=None)

    def advanced(self, count: int, whole: int) -> None:
        """Redraw; `count` of `whole` are done."""
        self._bar.update(self._task, completed=count, total=whole)


class TrainingDisplay(_Display):
    """Watches a recipe (a `CourseWatcher`): a bar a phase with speed and time left, the losses below."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, MofNCompleteColumn(), TimeRemainingColumn())
        self._task: TaskID | None = None

    def entered(self, phase: Phase) -> None:
        """A bar for a phase."""
        self._task = self._bar.add_task(phase.name, total=phase.schedule.images)

    def resumed(self, seen: int) -> None:
        """Say where it goes on."""
        self._console.note(f"going on after {seen} images")

    def reported(self, report: Report) -> None:
        """Redraw; without a terminal, but with -v, a line."""
        figures = ", ".join(f"{name} {value:.4g}" for name, value in report.figures.items())
        line = f"{report.images_per_second:.3g} images/s, {figures}"
        if self._task is not None and self._console.interactive:
            self._bar.line = line
            self._bar.update(self._task, completed=report.seen)
        else:
            self._console.note(f"{report.seen}/{report.total}: {line}")


def headline(progress: RunProgress) -> str:
    """Frames, faces, speed, time left; in that order."""
    of = f"/{progress.total_frames}" if progress.total_frames is not None else ""
    parts = [f"{progress.frames}{of} frames", f"{progress.faces} faces"]
    if (made := progress.frames - progress.frames_before) > 0 and progress.seconds > 0:
        rate = made / progress.seconds
        parts.append(f"{rate:.3g} fps")
        if progress.total_frames is not None:
            parts.append(f"{clock(max(0, progress.total_frames - progress.frames) / rate)} left")
    return ", ".join(parts)


def shares(stage_seconds: dict[str, float]) -> str:
    """Each stage's part of the time, largest first: ``restore 61 %, detect 22 % …``."""
    whole = sum(stage_seconds.values())
    if whole <= 0:
        return ""
    largest_first = sorted(stage_seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{stage} {seconds / whole:.0%}" for stage, seconds in largest_first)


def clock(seconds: float) -> str:
    """``1:02:03``, or ``2:03`` below an hour."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
