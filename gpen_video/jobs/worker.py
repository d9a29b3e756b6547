"""A process that restores films one after another, and tells its parent how it goes.

A film can bring its process down: a codec's fault, or the system for want of memory. It then takes no other film along.
"""

import os
import signal
import time
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, Protocol

from gpen_video.config import Settings
from gpen_video.errors import InputError, InUseError, OutputError
from gpen_video.interrupt import heard_once
from gpen_video.jobs.job import Job
from gpen_video.jobs.outcome import Failure, Figures
from gpen_video.jobs.retry import failure_of
from gpen_video.media.fingerprint import Fingerprint, fingerprint, result_fingerprint

if TYPE_CHECKING:
    from gpen_video.pipeline import KeptModels, Progress, RunPlan
    from gpen_video.pipeline.segment_work import SegmentExecutor

_BETWEEN_TELLINGS: Final = 0.2
"""Seconds between two messages of progress."""


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker is started with."""

    threads: int
    """That torch and OpenCV may use."""
    offline: bool
    command_line: tuple[str, ...]
    """For the treatment records."""


@dataclass(frozen=True, slots=True)
class Check:
    """Asks: do the networks of these settings load here? Answered by `Checked` or `Failed`."""

    settings: tuple[Settings, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """They do."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A film has got further; faces are those restored so far."""

    frames: int
    total_frames: int | None
    faces: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning came up."""

    line: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The film is whole, under its name."""

    figures: Figures
    source: Fingerprint
    result: Fingerprint


@dataclass(frozen=True, slots=True)
class Failed:
    """It is not."""

    failure: Failure
    is_busy: bool = False
    """Another run is at work on the same result."""


Asked = Check | Job | None
"""`None` ends the worker."""
Told = Checked | Moved | Warned | Finished | Failed


class Channel(Protocol):
    """Takes what a worker has to say."""

    def send(self, told: Told, /) -> None:
        """Take it; an `OSError` says that nobody is there any more."""


def serve(channel: "Connection[Told, Asked]", setup: WorkerSetup) -> None:
    """Answer what comes through the channel until it is closed; what runs in the process.

    A terminal's Ctrl-C reaches all of its processes; this one leaves it to the parent, which ends workers with SIGTERM.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command has it; read when torch is imported
    warnings.simplefilter("ignore")  # what libraries say to programmers
    try:
        with heard_once():
            use_threads(setup.threads)
            from gpen_video.pipeline import KeptModels  # not at the top: it loads the networks' library

            kept = KeptModels(offline=setup.offline)
            while (asked := channel.recv()) is not None:
                answer = checked(asked, kept) if isinstance(asked, Check) else restored(asked, kept, setup, channel)
                channel.send(answer)
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return  # the parent is gone, or wants no more


def use_threads(count: int) -> None:
    """Let torch and OpenCV use so many."""
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def checked(check: Check, kept: "KeptModels") -> Checked | Failed:
    """Load the networks that are asked for."""
    try:
        for settings in reversed(check.settings):  # so that those of the first film are kept
            kept.models(settings)
    except Exception as error:
        return Failed(failure_of(error))
    return Checked()


def restored(
    job: Job, kept: "KeptModels", setup: WorkerSetup, channel: Channel, executor: "SegmentExecutor | None" = None
) -> Finished | Failed:
    """Restore a film.

    Args:
        job: The film.
        kept: Has its networks.
        setup: Of the worker.
        channel: Is told how it goes.
        executor: Has its segments restored elsewhere.
    """
    from gpen_video.pipeline import restore_video

    try:
        before = fingerprint(job.source)
        _make_folders(job)
        summary = restore_video(
            job.source,
            job.target,
            job.settings,
            overwrite=job.overwrite,
            offline=setup.offline,
            observer=_Teller(channel),
            extras=job.extras,
            command_line=setup.command_line,
            models=kept.models(job.settings.settings),
            executor=executor,
        )
        if fingerprint(job.source) != before:
            raise InputError(f"{job.source} was changed while it was being restored; restore it again with --overwrite")
        figures = Figures(
            frames=summary.frames,
            faces=summary.faces,
            tracks=summary.tracks,
            shots=summary.shots,
            seconds=summary.seconds,
        )
        return Finished(figures, before, result_fingerprint(job.target))
    except InUseError as error:
        return Failed(failure_of(error), is_busy=True)
    except Exception as error:
        failure = failure_of(error)
        if failure.worth_retrying:  # memory may have run out
            kept.forget()
        return Failed(failure)


def _make_folders(job: Job) -> None:
    try:
        job.make_folders()
    except OSError as error:
        raise OutputError(f"{error.filename}: the folder cannot be made: {error.strerror}") from error


class _Teller:
    """Watches a run (an `Observer`) and tells the parent."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._told = 0.0
        self._warnings: set[str] = set()

    def planned(self, plan: "RunPlan") -> None:
        for lost in plan.lost:
            self.warned(f"not in the result: {lost}")
        for warning in plan.warnings:
            self.warned(warning)
        self._tell(Moved(0, plan.info.expected_frames, 0, 0.0))

    def progressed(self, progress: "Progress") -> None:
        now = time.monotonic()
        if now - self._told >= _BETWEEN_TELLINGS:
            self._told = now
            self._tell(Moved(progress.frames, progress.total_frames, progress.faces, progress.seconds))

    def warned(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings.add(message)
            self._tell(Warned(message))

    def _tell(self, message: Told) -> None:
        try:
            self._channel.send(message)
        except OSError:
            raise KeyboardInterrupt from None  # nobody is there any more: stop as if told to
