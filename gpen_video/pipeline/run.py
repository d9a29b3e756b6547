"""One film from source to result."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import torch

from gpen_video.config import ResolvedSettings, Settings
from gpen_video.errors import InputError, VerificationError
from gpen_video.journal import held
from gpen_video.media import (
    Carriage,
    SideOutput,
    assemble,
    check_target,
    plan_carriage,
    probe,
    publish_side_output,
    staged_output,
    write_framemd5,
)
from gpen_video.pipeline.decisions import DecisionLog
from gpen_video.pipeline.extras import Extras
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.film_log import FilmLog
from gpen_video.pipeline.ledger import Ledger, Purpose, Resume, open_ledger
from gpen_video.pipeline.models import Models, load_models
from gpen_video.pipeline.observe import NoObserver, Observer, Progress, RunPlan, RunSummary
from gpen_video.pipeline.published import Outputs
from gpen_video.pipeline.reading import Reading, plan_reading
from gpen_video.pipeline.run_basis import run_basis
from gpen_video.pipeline.segment_work import FilmOrder, SegmentExecutor
from gpen_video.pipeline.segment_writer import VIDEO, picture_files
from gpen_video.pipeline.treatment import treatment_record
from gpen_video.pipeline.verification import Verification
from gpen_video.pipeline.verify import verify
from gpen_video.pipeline.work import FilmWork
from gpen_video.report import write_record
from gpen_video.restore import computing_threads, keep_freed_memory
from gpen_video.types import VideoInfo

_NO_EXTRAS = Extras()


def plan_run(
    source: Path,
    target: Path,
    settings: Settings,
    *,
    overwrite: bool = False,
    offline: bool = False,
    extras: Extras = _NO_EXTRAS,
) -> RunPlan:
    """Say what a run would do, without doing it; raises what the run would raise before its first frame."""
    check_target(target, source=source, overwrite=overwrite)
    extras.check(source, target, overwrite=overwrite)
    reading, carriage = _looked_at(source, target, settings)
    extras.choice(reading.info, settings, offline=offline)
    with load_models(settings, offline=offline) as models:
        return _plan(reading, target, carriage, models)


def restore_video(
    source: str | Path,
    target: str | Path,
    settings: Settings | ResolvedSettings | None = None,
    *,
    overwrite: bool = False,
    offline: bool = False,
    observer: Observer | None = None,
    extras: Extras = _NO_EXTRAS,
    command_line: Sequence[str] = (),
    resume: Resume = "auto",
    executor: SegmentExecutor | None = None,
    models: Models | None = None,
) -> RunSummary:
    """Restore the faces of a film.

    The result appears under its name only when it is whole. Finished segments lie in a hidden folder beside it until
    then: however a run ends before, the same call goes on with them, and what comes out is what an uninterrupted run
    would have made. On Linux the process's allocator is told to keep freed memory from here on
    (`restore.keep_freed_memory`).

    Args:
        source: any film that FFmpeg decodes, or an image sequence.
        target: the file to write; its extension chooses the container. Or the pattern of an image sequence.
        settings: `Settings()` when left out; resolved ones also say in the record who set what.
        overwrite: replace files that exist.
        offline: use only weights that are here.
        observer: is told how it goes.
        extras: what is left beside the result.
        command_line: for the record.
        resume: go on where an earlier run got to, if that was the same film, settings and program; see `Resume`.
        executor: has the segments restored elsewhere; the result is the same.
        models: what `load_models` gave for these settings, to be used again for another film; not closed here. Loaded
            when left out.

    Raises:
        GpenVideoError: see `gpen_video.errors`.
    """
    resolved = settings if isinstance(settings, ResolvedSettings) else ResolvedSettings.stated(settings or Settings())
    keep_freed_memory()
    run = _Run(
        Path(source),
        Path(target),
        resolved,
        _Hearing(observer or NoObserver()),
        extras,
        tuple(command_line),
        executor,
        models,
        overwrite=overwrite,
        offline=offline,
    )
    return run.run(resume)


@dataclass(slots=True, eq=False)
class _Run:
    """What was asked for."""

    source: Path
    target: Path
    resolved: ResolvedSettings
    heard: "_Hearing"
    extras: Extras
    command_line: tuple[str, ...]
    executor: SegmentExecutor | None
    models: Models | None
    overwrite: bool
    offline: bool

    def run(self, resume: Resume) -> RunSummary:
        settings, extras = self.resolved.settings, self.extras
        outputs, may_replace = Outputs.of(self.source, self.target, extras), self.overwrite
        if resume != "never" and outputs.are_half_published:
            self.overwrite = True
        self._check_names()
        with held(outputs.work_folder) as folder, ExitStack() as owned:
            reading, carriage = _looked_at(self.source, self.target, settings)
            choice = extras.choice(reading.info, settings, offline=self.offline)
            side_outputs = extras.side_outputs(reading.behind, carriage.details)
            models = self.models or owned.enter_context(load_models(settings, offline=self.offline))
            plan = _plan(reading, self.target, carriage, models)
            basis = run_basis(plan, carriage, settings, extras)
            threads = torch.get_num_threads()
            purpose = Purpose(self.source, self.target, reading.info.expected_frames, basis, threads)
            ledger = owned.enter_context(open_ledger(folder, purpose, resume, self.heard.warned))
            if self.overwrite != may_replace and not ledger.progress.named:  # it was made with other settings, say
                self.overwrite = may_replace
                self._check_names()
            owned.enter_context(computing_threads(ledger.threads))
            self.heard.planned(replace(plan, frames_before=ledger.progress.frames))
            decisions = DecisionLog() if extras.records else None
            layers = extras.layers(reading.behind)
            log = FilmLog()
            film = Film(reading, settings, models, owned, log, decisions, layers, choice)
            order = FilmOrder(
                folder=folder.path.absolute(),
                reading=reading,
                settings=settings,
                files=picture_files(carriage, reading.behind, side_outputs),
                layers=layers,
                choice=choice,
                records=extras.records,
                offline=self.offline,
                threads=ledger.threads,
            )
            work = FilmWork(film, log, order, ledger, self.heard, self.executor)
            with self._kept(ledger):
                work.restore()
                verification = self._publish(work, plan, carriage, side_outputs)
            try:
                self._write_checksums(reading.info.average_frame_rate)
            except InputError:
                ledger.release()  # it would end the same way
                raise
            ledger.release()
        return _summary(film, self.target, verification)

    def _write_checksums(self, rate: Fraction | None) -> None:
        for film, sidecar in zip((self.source, self.target), self.extras.sidecars(self.target), strict=False):
            write_framemd5(film, sidecar, frame_rate=rate, overwrite=self.overwrite)

    def _check_names(self) -> None:
        check_target(self.target, source=self.source, overwrite=self.overwrite)
        self.extras.check(self.source, self.target, overwrite=self.overwrite)

    def _publish(
        self, work: FilmWork, plan: RunPlan, carriage: Carriage, side_outputs: Mapping[str, SideOutput]
    ) -> Verification | None:
        """Assemble, prove if asked for, and give everything its name."""
        record = verification = None
        folder, announce = work.ledger.folder, work.ledger.announce
        with staged_output(
            self.target, source=self.source, overwrite=self.overwrite, folder=folder, announce=announce
        ) as staged:
            pictures = work.join()
            assemble(pictures[VIDEO], work.film.reading.behind, staged.part, carriage)
            if self.extras.records:
                record = treatment_record(
                    plan,
                    carriage,
                    self.resolved,
                    work.treatment(),
                    result=staged.part,
                    warnings=self.heard.warnings,
                    command_line=self.command_line,
                )
            if record is not None and self.extras.verify:
                verification = verify(self.source, staged.part, record, hashes=False)
                if verification.failure is not None:
                    raise VerificationError(f"{self.target} was not written: {verification.failure}")
            # Matte and layer appear only when the result itself is whole and proved.
            for kind, output in side_outputs.items():
                publish_side_output(output, pictures[kind], overwrite=self.overwrite, folder=folder, announce=announce)
        if record is not None and self.extras.report is not None:
            write_record(record, self.extras.report)
        return verification

    @contextmanager
    def _kept(self, ledger: Ledger) -> Iterator[None]:
        """Say, when something stops the run, what it does not cost."""
        try:
            yield
        except VerificationError:
            ledger.release()  # it would come out the same
            raise
        except BaseException:
            if frames := ledger.progress.frames:
                self.heard.warned(
                    f"{frames} frames of {self.target} are finished and kept in {ledger.folder}: the same "
                    "command goes on from there"
                )
            raise


def _summary(film: Film, target: Path, verification: Verification | None) -> RunSummary:
    done = film.progress()
    return RunSummary(
        target=target,
        frames=done.frames,
        frames_before=done.frames_before,
        faces=done.faces,
        tracks=film.counts.tracks(film.choice),
        shots=film.counts.shots,
        seconds=done.seconds,
        stage_seconds=done.stage_seconds,
        verification=verification,
    )


def _looked_at(source: Path, target: Path, settings: Settings) -> tuple[Reading, Carriage]:
    info = probe(source, settings.media.frame_rate)
    reading = plan_reading(info, settings.media)
    deinterlaced = info.first_field is not None and reading.behind.first_field is None
    return reading, plan_carriage(reading.behind, target, settings.encode, deinterlaced=deinterlaced)


@dataclass(slots=True)
class _Hearing:
    """Passes everything on to an observer, and remembers the warnings for the record."""

    observer: Observer
    warnings: list[str] = field(default_factory=list)

    def planned(self, plan: RunPlan) -> None:
        self.observer.planned(plan)

    def progressed(self, progress: Progress) -> None:
        self.observer.progressed(progress)

    def warned(self, message: str) -> None:
        self.warnings.append(message)
        self.observer.warned(message)


def _plan(reading: Reading, target: Path, carriage: Carriage, models: Models) -> RunPlan:
    encoder, info = carriage.encoder, reading.info
    return RunPlan(
        info=info,
        target=target,
        codec=encoder.codec,
        pix_fmt=encoder.pix_fmt,
        encoder_options=encoder.options,
        carried=tuple(_carried(carriage, info)),
        lost=carriage.losses,
        device=str(models.device),
        precision=models.precision,
        restorer=models.restorer_name,
        detector=models.detector_name,
        parser=models.parser_name,
        embedder=models.embedder_name,
        warnings=(*reading.warnings, *encoder.warnings, *carriage.notes),
    )


def _carried(carriage: Carriage, info: VideoInfo) -> Iterator[str]:
    for stream in carriage.streams:
        source = info.streams[stream.source_index]
        if stream.action != "restored":
            into = f" to {stream.codec}" if stream.codec else ""
            yield f"{source.kind} {source.index} ({source.codec}) {stream.action}{into}"
    if info.chapter_count:
        yield f"{info.chapter_count} chapters"
