"""Small films, made here."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def make_film(path: Path, *, frames: int = 8, width: int = 160, height: int = 120, rate: int = 25) -> Path:
    """A grey ramp that moves a little from frame to frame; no faces."""
    ramp = np.add.outer(np.arange(height), np.arange(width))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, rate)
        for index in range(frames):
            grey = av.VideoFrame.from_ndarray(((ramp + 2 * index) % 256).astype(np.uint8), format="gray")
            frame = grey.reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
