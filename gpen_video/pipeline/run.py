"""One film from source to result."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

from gpen_video.config import Settings
from gpen_video.media import Carriage, assemble, check_target, encode, plan_carriage, probe, staged_output
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.models import Models, load_models
from gpen_video.pipeline.observe import NoObserver, Observer, RunPlan, RunSummary
from gpen_video.restore import keep_freed_memory
from gpen_video.types import Frame, VideoInfo


def plan_run(
    source: Path, target: Path, settings: Settings, *, overwrite: bool = False, offline: bool = False
) -> RunPlan:
    """Say what a run would do, without doing it; raises what the run would raise before its first frame."""
    info = probe(source)
    check_target(target, source=source, overwrite=overwrite)
    carriage = plan_carriage(info, target, settings.encode)
    return _plan(info, target, carriage, load_models(settings, offline=offline))


def restore_video(
    source: str | Path,
    target: str | Path,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    offline: bool = False,
    observer: Observer | None = None,
) -> RunSummary:
    """Restore the faces of a film.

    The result appears under its name only when it is whole; whatever happens before leaves nothing behind. On Linux the
    process's allocator is told to keep freed memory from here on (`restore.keep_freed_memory`).

    Args:
        source: any film that FFmpeg decodes.
        target: the file to write; its extension chooses the container.
        settings: `Settings()` when left out.
        overwrite: replace a target that exists.
        offline: use only weights that are here.
        observer: is told how it goes.

    Raises:
        GpenVideoError: see `gpen_video.errors`.
    """
    source, target, settings, observer = Path(source), Path(target), settings or Settings(), observer or NoObserver()
    keep_freed_memory()
    info = probe(source)
    with staged_output(target, source=source, overwrite=overwrite) as staged:
        carriage = plan_carriage(info, target, settings.encode)
        models = load_models(settings, offline=offline)
        observer.planned(_plan(info, target, carriage, models))
        with ExitStack() as owned:
            film = Film(info, settings, models, owned)
            encode(_told(film, observer), staged.video, like=info, settings=settings.encode)
        film.tell(observer)
        assemble(staged.video, info, staged.part, carriage)
    done = film.progress()
    return RunSummary(
        target=target,
        frames=done.frames,
        faces=done.faces,
        tracks=film.counts.tracks,
        shots=film.counts.shots,
        seconds=done.seconds,
        stage_seconds=done.stage_seconds,
    )


def _told(film: Film, observer: Observer) -> Generator[Frame]:
    """The finished frames; what the encoder does with each is counted as its time."""
    for frame in film.restored():
        handed = time.perf_counter()
        yield frame
        film.watch.add("encode", time.perf_counter() - handed)
        film.counts.frames += 1
        film.tell(observer)


def _plan(info: VideoInfo, target: Path, carriage: Carriage, models: Models) -> RunPlan:
    encoder = carriage.encoder
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
        warnings=(*encoder.warnings, *carriage.notes),
    )


def _carried(carriage: Carriage, info: VideoInfo) -> Iterator[str]:
    for stream in carriage.streams:
        source = info.streams[stream.source_index]
        if stream.action != "restored":
            into = f" to {stream.codec}" if stream.codec else ""
            yield f"{source.kind} {source.index} ({source.codec}) {stream.action}{into}"
    if info.chapter_count:
        yield f"{info.chapter_count} chapters"
