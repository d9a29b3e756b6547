"""A batch, film after film, by worker processes of this machine or by a cluster."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gpen_video import errors
from gpen_video.config import ResolvedSettings, Settings
from gpen_video.errors import BatchError, GpenVideoError, OutputError
from gpen_video.jobs.crew import Crew, CrewWorker
from gpen_video.jobs.digest import job_digest
from gpen_video.jobs.hurry import Hurry
from gpen_video.jobs.job import Batch, Job
from gpen_video.jobs.observe import BatchObserver, NoBatchObserver
from gpen_video.jobs.outcome import SUCCEEDED, UNFINISHED, BatchResult, Failure, Figures, Outcome, Status
from gpen_video.jobs.pool import LocalCrew
from gpen_video.jobs.report import BatchReports
from gpen_video.jobs.retry import Pauses, failure_of
from gpen_video.jobs.state import BatchState, FinishedFilm, batch_state
from gpen_video.jobs.triage import is_there, look_at
from gpen_video.jobs.watch import HotFolder, Unreadable, Watcher
from gpen_video.jobs.worker import Check, Checked, Failed, Finished, Moved, Warned
from gpen_video.media.fingerprint import Fingerprint, fingerprint, result_fingerprint

_TICK: Final = 0.2
"""Seconds after which the clock is looked at, where no worker has anything to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How a batch is run."""

    workers: int = 1
    """Films at a time, each with a worker of its own."""
    devices: tuple[str, ...] = ()
    """One for each worker, and over again; none leaves it to the films' settings."""
    adopt: bool = False
    """Take over results that are there and that their treatment records prove."""
    watch: HotFolder | None = None
    """Go on with what arrives there, until asked to stop."""
    report_folder: Path | None = None
    """Beside the batch file where it is not said; see `default_report_folder`."""
    offline: bool = False
    """Use only weights that are here."""
    pauses: Pauses = field(default_factory=Pauses)
    command_line: tuple[str, ...] = ()
    """For the treatment records."""
    crew: Crew[Any] | None = None
    """Who does the work; processes of this machine where it is not said."""


def default_report_folder(batch: Path) -> Path:
    """``jobs.toml`` -> ``jobs-report``, beside it."""
    return batch.absolute().with_name(f"{batch.stem}-report")


def run_batch(
    batch: Batch,
    options: BatchOptions | None = None,
    *,
    observer: BatchObserver | None = None,
    hurry: Hurry | None = None,
) -> BatchResult:
    """Restore every film that is not done yet; one that fails stops no other.

    Films that are begun lie whole under their names or not at all; reports are written as films end.

    Args:
        batch: what `load_batch` gave.
        options: how; `BatchOptions()` when left out.
        observer: is told how it goes.
        hurry: where somebody can ask to stop (`gpen_video.jobs.hurry`).

    Raises:
        JournalError: another run is at work on this batch, or its state is damaged.
        OutputError: state or reports cannot be written.
        UsageError, WeightsError: the networks of a film do not load; nothing was begun.
        BatchError: workers cannot be started.
    """
    options, hurry = options or BatchOptions(), hurry or Hurry()
    with batch_state(batch.path) as state:
        run = _Run(batch, options, state, observer or NoBatchObserver(), hurry)
        return run.result_of_all()


@dataclass(slots=True, eq=False)
class _Film:
    """A job on its way."""

    job: Job
    status: Status = "waiting"
    attempts: int = 0
    due: float = 0.0
    """When it may be begun, by `time.monotonic`."""
    warnings: list[str] = field(default_factory=list)
    failure: Failure | None = None
    figures: Figures | None = None
    started: str | None = None
    finished: str | None = None

    def outcome(self) -> Outcome:
        record = self.job.extras.report
        return Outcome(
            job=self.job.name,
            line=self.job.line,
            source=self.job.source,
            target=self.job.target,
            status=self.status,
            attempts=self.attempts,
            figures=self.figures,
            failure=self.failure,
            warnings=tuple(self.warnings),
            record=record if record is not None and self.status in SUCCEEDED else None,
            started=self.started,
            finished=self.finished,
        )


class _Run:
    """One batch while it runs; all of it in one thread."""

    def __init__(
        self, batch: Batch, options: BatchOptions, state: BatchState, observer: BatchObserver, hurry: Hurry
    ) -> None:
        self._batch, self._options, self._state = batch, options, state
        self._observer, self._hurry = observer, hurry
        self._films: dict[Path, _Film] = {}
        self._crew: Crew[Any] = options.crew or LocalCrew(options.devices)
        self._workers: Sequence[CrewWorker] = ()
        self._at_work: dict[CrewWorker, _Film] = {}
        self._watcher = Watcher(options.watch, self._warn) if options.watch is not None else None
        self._next_look = 0.0
        self._started, self._clock = _now(), time.monotonic()
        self._reports = BatchReports(options.report_folder or default_report_folder(batch.path), self._warn)

    def result_of_all(self) -> BatchResult:
        hot = self._options.watch
        try:
            self._reports.make_folder()
            for job in self._batch.jobs:
                if hot is None or not hot.holds(job.source):
                    self._take(job)
            self._check_networks()
            while not self._hurry.is_asked and self._is_anything_left():
                self._look_around()
                self._begin_what_is_due()
                for worker in self._crew.heard_from(self._at_work, _TICK):
                    self._hear(worker)
                self._reports.write(self._result, at_leisure=True)
        finally:
            self._stop_workers()
            self._reports.write(self._result)
        return self._result()

    def _result(self) -> BatchResult:
        outcomes = tuple(film.outcome() for film in self._films.values())
        return BatchResult(
            path=self._batch.path,
            outcomes=outcomes,
            started=self._started,
            seconds=time.monotonic() - self._clock,
            finished=not any(outcome.status in UNFINISHED for outcome in outcomes),
        )

    def _take(self, job: Job) -> None:
        """A film is new: find out what it needs."""
        film = self._films[job.target] = _Film(job)
        try:
            finding = look_at(job, self._state, adopt=self._options.adopt)
        except GpenVideoError as error:
            film.failure = failure_of(error)
            self._end(film, "failed")
            return
        if finding.film is not None:
            if finding.is_news:
                self._note(finding.film)
            film.figures = finding.film.figures
            film.warnings = list(finding.film.warnings)
            self._end(film, "skipped")
        elif finding.action == "leave":
            film.failure = Failure(kind="Exists", line=finding.reason, worth_retrying=False)
            self._end(film, "exists")
        else:
            self._observer.queued(job)

    def _check_networks(self) -> None:
        """Load the networks of every film once, on every device, before the first film is begun."""
        waiting = [film for film in self._films.values() if film.status == "waiting"]
        if waiting:
            self._start_workers(len(waiting))
            first, *others = self._workers  # alone: it fetches what is not here, once
            self._check((first,), waiting)
            self._check(others, waiting)

    def _start_workers(self, films: int) -> None:
        count = self._options.workers if self._watcher is not None else min(self._options.workers, films)
        options = self._options
        self._workers = self._crew.start(count, offline=options.offline, command_line=options.command_line)

    def _check(self, workers: Iterable[CrewWorker], films: list[_Film]) -> None:
        asked = set(workers)
        for worker in asked:
            distinct: dict[str, Settings] = {}
            for film in films:
                settings = on_device(film.job, worker.device).settings.settings
                networks = {name: getattr(settings, name) for name in ("restore", "detect", "blend", "guard")}
                distinct.setdefault(repr(networks), settings)
            worker.ask(Check(tuple(distinct.values())))
        while asked and not self._hurry.is_asked:
            for worker in self._crew.heard_from(asked, _TICK):
                told = worker.hear()
                if isinstance(told, Failed):
                    raise _as_error(told.failure)
                if isinstance(told, Checked):
                    asked.discard(worker)

    def _is_anything_left(self) -> bool:
        return self._watcher is not None or any(film.status in UNFINISHED for film in self._films.values())

    def _look_around(self) -> None:
        """Take what has arrived in the hot folder."""
        if self._watcher is None or self._options.watch is None or time.monotonic() < self._next_look:
            return
        busy = {film.job.source for film in self._films.values() if film.status in UNFINISHED}
        for arrival in self._watcher.arrivals(busy):
            if isinstance(arrival, Unreadable):
                film = self._films[arrival.job.target] = _Film(arrival.job, failure=failure_of(arrival.error))
                self._end(film, "failed")
            else:
                self._take(arrival)
        self._next_look = time.monotonic() + self._options.watch.interval

    def _begin_what_is_due(self) -> None:
        now = time.monotonic()
        due = [film for film in self._films.values() if film.status == "waiting" and film.due <= now]
        if due and not self._workers:
            self._start_workers(len(due))
        idle = (worker for worker in self._workers if worker not in self._at_work)
        for film, worker in zip(due, idle, strict=False):
            self._begin(film, worker)

    def _begin(self, film: _Film, worker: CrewWorker) -> None:
        try:
            self._state.begin(film.job.target, fingerprint(film.job.source), job_digest(film.job), _now_there(film.job))
        except GpenVideoError as error:
            film.failure = failure_of(error)
            self._end(film, "failed")
            return
        if worker.is_dead:
            worker.restart()
        film.status = "running"
        film.attempts += 1
        film.started = film.started or _now()
        film.warnings.clear()
        self._at_work[worker] = film
        self._observer.began(film.job, worker.number)
        worker.ask(on_device(film.job, worker.device))

    def _hear(self, worker: CrewWorker) -> None:
        film, told = self._at_work[worker], worker.hear()
        if isinstance(told, Moved):
            self._observer.moved(film.job, told)
        elif isinstance(told, Warned):
            film.warnings.append(told.line)
            self._observer.warned(film.job, told.line)
        elif isinstance(told, Finished | Failed):
            del self._at_work[worker]
            self._settle(film, told)

    def _settle(self, film: _Film, told: Finished | Failed) -> None:
        if isinstance(told, Finished):
            film.figures, film.failure = told.figures, None
            self._note(
                FinishedFilm(
                    target=film.job.target,
                    source=told.source,
                    result=told.result,
                    settings=job_digest(film.job),
                    figures=told.figures,
                    warnings=tuple(film.warnings),
                )
            )
            self._end(film, "done")
            return
        film.failure = told.failure
        if told.is_busy:
            self._end(film, "busy")
        elif self._hurry.is_asked:
            self._end(film, "stopped")  # what fails now may fail because it was stopped
        elif told.failure.worth_retrying and film.attempts <= film.job.retries:
            pause = self._options.pauses.after(film.attempts)
            film.status, film.due = "waiting", time.monotonic() + pause
            self._observer.retrying(film.job, told.failure, pause)
        else:
            self._end(film, "failed")

    def _note(self, film: FinishedFilm) -> None:
        try:
            self._state.add(film)
        except OutputError as error:
            self._warn(f"{film.target} is done, but another run will not know it: {error}")

    def _end(self, film: _Film, status: Status) -> None:
        film.status = status
        film.finished = _now()
        outcome = film.outcome()
        self._reports.write_film(outcome)
        self._observer.ended(outcome)

    def _stop_workers(self) -> None:
        """End all processes; films under way are stopped, and what their workers said last is heard."""
        self._crew.end(self._workers, self._at_work, self._hurry)
        for worker, film in list(self._at_work.items()):
            whole = next((told for told in worker.rest() if isinstance(told, Finished)), None)
            if whole is not None:  # it was done just then
                self._settle(film, whole)
            else:
                film.failure = None
                self._end(film, "stopped")
        for worker in self._workers:
            worker.close()
        self._workers, self._at_work = (), {}

    def _warn(self, line: str) -> None:
        self._observer.warned(None, line)


def _now_there(job: Job) -> Fingerprint | None:
    return result_fingerprint(job.target) if job.overwrite and is_there(job.target) else None


def on_device(job: Job, device: str | None) -> Job:
    """The job with another device, by the command line's word; with none, as it is."""
    if device is None:
        return job
    resolved = job.settings
    restore = resolved.settings.restore.model_copy(update={"device": device})
    settings = resolved.settings.model_copy(update={"restore": restore})
    return replace(job, settings=ResolvedSettings(settings, {**resolved.sources, "restore.device": "command line"}))


def _as_error(failure: Failure) -> GpenVideoError:
    """The error that a worker met, here."""
    kind = getattr(errors, failure.kind, BatchError)
    return kind(failure.line) if issubclass(kind, GpenVideoError) else BatchError(failure.line)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
