"""Films with known cuts, dissolves and damage, made of B'G'R' pictures."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.config.schema import ShotSettings
from gpen_video.media import decode, mark_shots, probe
from gpen_video.media.formats import pixel_format
from gpen_video.media.small_picture import small_picture
from gpen_video.types import ColourSpec, Frame, Picture, Timestamp

Bgr = NDArray[Any]

FACES = Path(__file__).parents[2].parent / "shared" / "media" / "faces"
CUTS = {"bikes.mp4": [30, 76, 137, 187, 242]}
"""Of the real clips, found by eye; the others are one shot each."""


@cache
def real_clip(name: str) -> tuple[Bgr, ...]:
    """Small pictures of a real clip."""
    return tuple(small_picture(frame.picture) for frame in decode(probe(FACES / name)))


def scene(seed: int, count: int, speed: float = 0.3, size: tuple[int, int] = (128, 96)) -> list[Bgr]:
    """A colourful picture with detail of every size, as things have it, that drifts."""
    random = np.random.default_rng(seed)
    width, height = size
    wide = np.full((height, 4 * width, 3), 120, np.float32)
    for cells in (2, 4, 8, 16, 32):
        octave = random.normal(0, 50 / cells**0.7, (cells, 5 * cells, 3)).astype(np.float32)
        wide += cv2.resize(octave, (4 * width, height), interpolation=cv2.INTER_NEAREST)
    frames = []
    for index in range(count):
        shift = np.array([[1, 0, -speed * index], [0, 1, 0.2 * index]])
        moved = cv2.warpAffine(wide, shift, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        frames.append(np.clip(moved + random.normal(0, 2, moved.shape), 0, 255).astype(np.uint8))
    return frames


def dissolved(before: Sequence[Bgr], after: Sequence[Bgr], length: int) -> list[Bgr]:
    """The last `length` pictures of one blended with the first of the other."""
    size = before[0].shape[1::-1]
    sized = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in after]
    weights = (np.arange(length) + 1) / (length + 1)
    blend = [
        np.rint((1 - weight) * one + weight * other).astype(np.uint8)
        for weight, one, other in zip(weights, before[len(before) - length :], sized, strict=False)
    ]
    return [*before[: len(before) - length], *blend, *sized[length:]]


def marks(pictures: Sequence[Bgr], settings: ShotSettings | None = None) -> tuple[list[int], list[int]]:
    """Frames that start a shot, and damaged ones."""
    frames = list(mark_shots([_frame(index, bgr) for index, bgr in enumerate(pictures)], settings or ShotSettings()))
    assert [frame.index for frame in frames] == list(range(len(pictures)))
    return [frame.index for frame in frames if frame.starts_shot], [frame.index for frame in frames if frame.damaged]


def _frame(index: int, bgr: Bgr) -> Frame:
    planes = tuple(np.ascontiguousarray(bgr[..., channel]) for channel in (1, 0, 2))
    for plane in planes:
        plane.flags.writeable = False
    spec = ColourSpec(matrix="gbr", full_range=True)
    return Frame(index, Timestamp(index, Fraction(1, 25)), Picture(planes, pixel_format("gbrp"), spec))
