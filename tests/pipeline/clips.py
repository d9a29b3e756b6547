"""Short films of real faces, cut from the example's film."""

from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np

from tests.conftest import ROOT

SAMPLE = ROOT / "examples" / "sample.mp4"


def two_people(path: Path, frames: int, rate: int = 24) -> Path:
    """The sample beside its mirror image: two faces in every frame."""
    pictures = [np.hstack([grey, grey[:, ::-1]]) for grey in sample_greys(frames)]
    return write(path, pictures, rate)


def interlaced(path: Path, frames: int, step: int = 3) -> Path:
    """Two moments in each frame, the top field first, as tape has it; `step` of the sample's apart, to move."""
    woven = []
    for top, bottom in list(pairwise(sample_greys(2 * step * frames)[::step]))[::2]:
        both = top.copy()
        both[1::2] = bottom[1::2]
        woven.append(both)
    return write(path, woven, 25, top_first=True)


def write(path: Path, greys: list[np.ndarray], rate: int, *, top_first: bool = False) -> Path:
    """Grey pictures as FFV1 in 4:2:0."""
    height, width = greys[0].shape
    with av.open(str(path), "w") as target:
        stream = target.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if top_first:
            stream.codec_context.field_order = 2
        for index, grey in enumerate(greys):
            planes = np.vstack([grey, np.full((height // 2, width), 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def sample_greys(frames: int) -> list[np.ndarray]:
    """The first pictures of the sample, (H, W) each."""
    with av.open(str(SAMPLE)) as source:
        return [frame.to_ndarray(format="gray") for frame in islice(source.decode(video=0), frames)]
