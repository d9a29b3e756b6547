"""How steady and how true a result is: source, result and reference decoded in step, faces tracked on the source."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from gpen_video.config import Settings
from gpen_video.errors import InputError
from gpen_video.measure import Embedding, Identity, Measurement, Meter
from gpen_video.media import decode, probe
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.models import Models, load_models
from gpen_video.pipeline.observe import NoObserver, Observer
from gpen_video.pipeline.reading import Reading
from gpen_video.pipeline.stages import detect_faces
from gpen_video.types import Detection, FrameFaces, TrackedFace, VideoInfo


def measure_video(
    source: str | Path,
    result: str | Path,
    reference: str | Path | None = None,
    settings: Settings | None = None,
    *,
    offline: bool = False,
    observer: Observer | None = None,
    identity: Identity | None = None,
) -> Measurement:
    """Measure a restored film against its source, and against the truth where that is known.

    Faces are tracked once, on the source, with the detector at every frame; in the other films they are detected anew,
    so that what trembles there shows. Memory does not grow with the films' length, but for the sums of each track.

    Args:
        source: The film that was restored.
        result: What came of it.
        reference: What it should look like: the same film undamaged.
        settings: As it was restored with; those of detection, tracking, template and mask play a part.
        offline: Use only weights that are here.
        observer: Is told of progress and warnings.
        identity: Tells faces apart; if left out, the network of `guard.embedding`, else their coarse looks.

    Raises:
        InputError: The films differ in size or in their number of frames.
        GpenVideoError: See `gpen_video.errors`.
    """
    settings, observer = settings or Settings(), observer or NoObserver()
    settings = settings.model_copy(update={"detect": settings.detect.model_copy(update={"every": 1})})
    info = probe(Path(source), settings.media.frame_rate)
    others = [probe(Path(path), settings.media.frame_rate) for path in (result, reference) if path is not None]
    for other in others:
        _check_sizes(info, other)
    models = load_models(settings, offline=offline)
    if identity is None and models.embedder is not None:
        identity = Embedding(models.embedder, models.embedder_name or "")
    reading = Reading(info, info)
    meter = Meter(
        template=models.template,
        pixel_aspect=reading.pixel_aspect,
        feather=settings.blend.feather,
        identity=identity,
    )
    with ExitStack() as owned:
        film = Film(reading, settings, models, owned)
        tracked = film.tracked()
        looked_at = [owned.enter_context(closing(_detected(one, settings, models, observer))) for one in others]
        for item, found in _in_step(tracked, looked_at, info, others):
            meter.saw(item, *found)
            film.counts.frames += 1
            film.tell(observer)
    return meter.measurement()


def _check_sizes(source: VideoInfo, other: VideoInfo) -> None:
    if (source.width, source.height) != (other.width, other.height):
        raise InputError(
            f"{other.path}: it is {other.width}x{other.height}, {source.path} is {source.width}x{source.height}; "
            "only films of one size can be measured against each other"
        )


def _detected(
    info: VideoInfo, settings: Settings, models: Models, observer: Observer
) -> Generator[FrameFaces[Detection]]:
    """The frames of another film than the source, with the faces found in each by itself."""
    frames = decode(info, tolerant=settings.media.tolerant, on_warning=observer.warned)
    return detect_faces(
        frames,
        models.detector,
        long_side=settings.detect.long_side,
        min_face=0,
        batch=settings.detect.batch,
        rotation=info.rotation,
        pixel_aspect=Reading(info, info).pixel_aspect,
    )


def _in_step(
    source: Iterable[FrameFaces[TrackedFace]],
    others: Iterable[Iterable[FrameFaces[Detection]]],
    info: VideoInfo,
    infos: Iterable[VideoInfo],
) -> Iterator[tuple[FrameFaces[TrackedFace], list[FrameFaces[Detection]]]]:
    """Frames of the same number.

    Raises:
        InputError: One film has more frames than another.
    """
    streams = [(one, iter(stream)) for one, stream in zip(infos, others, strict=True)]
    count = 0
    for item in source:
        found = []
        for other, stream in streams:
            if (next_one := next(stream, None)) is None:
                raise InputError(f"{other.path}: it has {count} frames, {info.path} has more; nothing was measured")
            found.append(next_one)
        yield item, found
        count += 1
    for other, stream in streams:
        if next(stream, None) is not None:
            raise InputError(f"{other.path}: it has more frames than the {count} of {info.path}; nothing was measured")
