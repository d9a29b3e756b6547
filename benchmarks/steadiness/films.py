"""Clips as lossless files, and what the product sees in them."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import av
import numpy as np

from gpen_video.config import Settings
from gpen_video.media import decode, probe
from gpen_video.pipeline import Models, detect_faces, load_models
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.reading import Reading
from gpen_video.train.degrade import Image
from gpen_video.types import Detection, FrameFaces, TrackedFace

RATE = 25


def write_film(path: Path, frames: Sequence[Image]) -> None:
    """FFV1 in 4:2:0, as most films are, BT.601 in limited range."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        height, width = frames[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in frames:
            levels = np.ascontiguousarray(np.clip(np.rint(image * 255), 0, 255).astype(np.uint8))
            frame = av.VideoFrame.from_ndarray(levels, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="itu601")))
        container.mux(stream.encode(None))


def detected(path: Path, models: Models) -> Generator[FrameFaces[Detection]]:
    """The frames with the faces found in each by itself."""
    with closing(detect_faces(decode(probe(path)), models.detector, long_side=960, min_face=0, batch=1)) as stream:
        yield from stream


def tracked(path: Path, settings: Settings) -> list[tuple[TrackedFace, ...]]:
    """The faces of each frame as the product follows them."""
    info = probe(path)
    with ExitStack() as owned:
        film = Film(Reading(info, info), settings, load_models(settings, offline=True), owned)
        return [item.faces for item in film.tracked()]
