"""All steps of a run but the restoring."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from gpen_video.config.schema import EncodeSettings
from gpen_video.media import Carriage, assemble, decode, encode, join, plan_carriage, probe, staged_output
from gpen_video.types import Frame

_FIRST = 3  # frames of the first of two segments


def restore(source: Path, target: Path, how: EncodeSettings, frame_rate: str | None = None) -> Carriage:
    """From source to target, pictures as they are, in two segments where there are enough."""
    info = probe(source, frame_rate)
    with staged_output(target, overwrite=False, source=source) as staged:
        carriage = plan_carriage(info, target, how)
        segments = []
        for number, frames in enumerate(_divided(decode(info))):
            segments.append(staged.part.with_name(f"{target.name}.{number}"))
            encode(frames, segments[-1], like=info, settings=carriage.settings)
        video = staged.part.with_name(f"{target.name}.video")
        join(segments, video, hdr=carriage.encoder.hdr)
        assemble(video, info, staged.part, carriage)
        for file in (*segments, video):
            file.unlink()
    return carriage


def _divided(frames: Iterator[Frame]) -> Iterator[Iterator[Frame]]:
    yield islice(frames, _FIRST)
    if (following := next(frames, None)) is not None:
        yield chain([following], frames)
