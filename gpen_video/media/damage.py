"""Torn frames: a band of the picture holds what neither neighbour shows, while they agree.

An impulse in time, as the spike detection index of A. Kokaram, "Motion Picture Restoration" (Springer, 1998), looks for
dirt; here in means of areas and over whole lines, because torn film, lost slices and tape drop-outs run along them, and
what moves fast does not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpen_video.media.small_picture import shrunk
from gpen_video.types import Float32

_LONG_SIDE = 48
_IMPULSE = 12.0  # levels by which an area must stand out
_COVERAGE = 0.5  # of a line of areas; the fastest moves of real films reach a third
_LINES = 2  # next to one another, of the 27 that a 16:9 picture has


def areas(small_hwc: NDArray[np.uint8]) -> Float32:
    """(3, h, w) means of areas of a small picture, for `is_torn`."""
    return np.ascontiguousarray(shrunk(small_hwc, _LONG_SIDE).transpose(2, 0, 1))


def is_torn(before: Float32, between: Sequence[Float32], after: Float32) -> bool:
    """Whether every picture of a run has a band that neither of the two around it has, while those agree.

    A change of exposure is no damage: the median change of each picture is taken off.

    Args:
        before: Areas of the last good picture.
        between: Of the run, at least one.
        after: Of the picture behind it.
    """
    movement = _change(before, after)
    return all(_has_band(picture, before, after, movement) for picture in between)


def _has_band(picture: Float32, before: Float32, after: Float32, movement: Float32) -> bool:
    impulse = np.minimum(_change(before, picture), _change(after, picture)) - movement
    lines = (impulse > _IMPULSE).mean(axis=1) >= _COVERAGE
    band = np.lib.stride_tricks.sliding_window_view(lines, min(_LINES, len(lines)))
    return bool(band.all(axis=1).any())


def _change(one: Float32, other: Float32) -> Float32:
    """(h, w) the change of the channel that changes most, from its median change."""
    change = other - one
    exposure = np.median(change.reshape(len(change), -1), axis=1)[:, None, None]
    return np.asarray(np.abs(change - exposure).max(axis=0), np.float32)
