"""How two pictures of one format differ, inside regions of luma pixels and outside them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpen_video.faces.resample import Roi
from gpen_video.types import Picture, PixelFormat, Plane


@dataclass(frozen=True, slots=True)
class Change:
    """Absolute change in code values."""

    mean: float
    """Over the brightness samples: luma, gray, or all of R, G and B."""
    largest: int
    """Over the samples of all planes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a picture."""

    plane: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class OutsideChange:
    """What differs outside the regions, over all planes."""

    samples: int
    """How many samples are compared."""
    changed: int
    largest: int
    squares: int
    """Sum of squared differences."""
    first: Sample | None
    """The first changed sample, plane by plane and row by row."""


def plane_roi(region: Roi, fmt: PixelFormat, plane: int) -> Roi:
    """The samples of a plane that stand for luma pixels of the region."""
    across, down = (fmt.log2_chroma_w, fmt.log2_chroma_h) if fmt.family == "yuv" and plane in (1, 2) else (0, 0)
    return Roi(
        region.left >> across, region.top >> down, -(-region.right >> across), -(-region.bottom >> down)
    )  # fmt: skip


def change_within(source: Picture, result: Picture, region: Roi) -> Change:
    """The change inside one region."""
    differences = []
    for index, (before, after) in enumerate(zip(source.planes, result.planes, strict=True)):
        part = plane_roi(region, source.format, index).slices
        differences.append(_distance(before[part], after[part]))
    bright = differences[:3] if source.format.family == "rgb" else differences[:1]
    return Change(
        float(np.mean([difference.mean(dtype=np.float64) for difference in bright])),
        max(int(difference.max()) for difference in differences),
    )


def change_outside(source: Picture, result: Picture, regions: Sequence[Roi]) -> OutsideChange:
    """The change outside the union of regions."""
    total = changed = largest = squares = 0
    first: Sample | None = None
    for index, (before, after) in enumerate(zip(source.planes, result.planes, strict=True)):
        differs = before != after
        counted = np.ones_like(differs)
        for region in regions:
            counted[plane_roi(region, source.format, index).slices] = False
        differs &= counted
        total += int(np.count_nonzero(counted))
        here = np.flatnonzero(differs)
        if not len(here):
            continue
        if first is None:
            y, x = divmod(int(here[0]), differs.shape[1])
            first = Sample(index, x, y)
        distance = _distance(before[differs], after[differs])
        changed += len(here)
        largest = max(largest, int(distance.max()))
        squares += int(np.square(distance, dtype=np.int64).sum())
    return OutsideChange(total, changed, largest, squares, first)


def _distance(before: Plane, after: Plane) -> Plane:
    """Without the sign, in the samples' own type."""
    return np.maximum(before, after) - np.minimum(before, after)
