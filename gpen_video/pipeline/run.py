"""One film from source to result."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from gpen_video.config import ResolvedSettings, Settings
from gpen_video.errors import VerificationError
from gpen_video.faces import LayeredFrame
from gpen_video.media import (
    Carriage,
    assemble,
    check_target,
    encode,
    plan_carriage,
    probe,
    staged_output,
    write_framemd5,
)
from gpen_video.pipeline.extras import Extras
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.models import Models, load_models
from gpen_video.pipeline.observe import NoObserver, Observer, Progress, RunPlan, RunSummary
from gpen_video.pipeline.reading import Reading, plan_reading
from gpen_video.pipeline.record import Recorder
from gpen_video.pipeline.treatment import treatment_record
from gpen_video.pipeline.verify import verify
from gpen_video.report import write_record
from gpen_video.restore import keep_freed_memory
from gpen_video.types import Frame, VideoInfo

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
    return _plan(reading, target, carriage, load_models(settings, offline=offline))


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
) -> RunSummary:
    """Restore the faces of a film.

    The result appears under its name only when it is whole; whatever happens before leaves nothing behind. On Linux the
    process's allocator is told to keep freed memory from here on (`restore.keep_freed_memory`).

    Args:
        source: any film that FFmpeg decodes, or an image sequence.
        target: the file to write; its extension chooses the container. Or the pattern of an image sequence.
        settings: `Settings()` when left out; resolved ones also say in the record who set what.
        overwrite: replace files that exist.
        offline: use only weights that are here.
        observer: is told how it goes.
        extras: what is left beside the result.
        command_line: for the record.

    Raises:
        GpenVideoError: see `gpen_video.errors`.
    """
    source, target, observer = Path(source), Path(target), observer or NoObserver()
    resolved = settings if isinstance(settings, ResolvedSettings) else ResolvedSettings.stated(settings or Settings())
    keep_freed_memory()
    extras.check(source, target, overwrite=overwrite)
    with staged_output(target, source=source, overwrite=overwrite) as staged:
        reading, carriage = _looked_at(source, target, resolved.settings)
        choice = extras.choice(reading.info, resolved.settings, offline=offline)
        models = load_models(resolved.settings, offline=offline)
        plan = _plan(reading, target, carriage, models)
        observer.planned(plan)
        heard = _Hearing(observer)
        recorder = Recorder() if extras.records else None
        record = verification = None
        # Matte and layer appear only when the result itself is whole and proved.
        with extras.written(reading.behind, carriage.details, overwrite=overwrite) as take:
            with ExitStack() as owned:
                layers = extras.layers(reading.behind)
                film = Film(reading, resolved.settings, models, owned, recorder, layers, choice)
                encode(_told(film, heard, take), staged.video, like=reading.behind, settings=carriage.settings)
            if choice is not None:
                film.counts.warnings += choice.warnings(film.first_frames)
            film.tell(heard)
            assemble(staged.video, reading.behind, staged.part, carriage)
            if recorder is not None:
                record = treatment_record(
                    plan,
                    carriage,
                    resolved,
                    recorder,
                    result=staged.part,
                    warnings=heard.warnings,
                    command_line=command_line,
                )
                if extras.verify:
                    verification = verify(source, staged.part, record, hashes=False)
                    if verification.failure is not None:
                        raise VerificationError(f"{target} was not written: {verification.failure}")
    if record is not None and extras.report is not None:
        write_record(record, extras.report)
    for film_path, sidecar in zip((reading.info.path, target), extras.sidecars(target), strict=False):
        write_framemd5(film_path, sidecar, frame_rate=reading.info.average_frame_rate, overwrite=overwrite)
    done = film.progress()
    return RunSummary(
        target=target,
        frames=done.frames,
        faces=done.faces,
        tracks=len(film.counts.tracks),
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


def _told(film: Film, observer: Observer, take: Callable[[LayeredFrame], None]) -> Generator[Frame]:
    """The finished frames; what the encoders do with each is counted as their time."""
    for item in film.restored():
        handed = time.perf_counter()
        take(item)
        yield item.frame
        film.watch.add("encode", time.perf_counter() - handed)
        film.counts.frames += 1
        film.tell(observer)


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
