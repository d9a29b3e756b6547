"""How visible the edge of a mask is: brightness that changes along with it, in the result more than in the source."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.types import Float32

_CALM_SIGMA = 1.5
_LEVELS = 5
"""Bands between the mask's 0 and its 1, from the outer edge to the inner."""
_SECTORS = 16
"""Around the face; within one, only what is alike along the edge counts, so that grain cancels out."""
_FEWEST = 8
"""Pixels of a cell (a band within a sector) below which it is left out."""
_RANGE = (0.02, 0.98)
"""Values of the mask that belong to its edge."""


def seam(result_hw: Float32, source_hw: Float32, alpha_hw: Float32) -> float | None:
    """How much steeper the result is across the mask's edge than the source, in parts of the range a pixel.

    Across the edge means along the gradient of the mask. The slope is averaged, with its sign, over the cells of
    `_LEVELS` bands of the mask by `_SECTORS` sectors: a seam goes on along the edge, grain and texture do not. Of the
    bands, the one counts in which the mean absolute slope rose most. A step of height h that is spread over the mask's
    own edge of width w gives the steepest slope of that edge, 1.5 h / w for the smooth step of `faces.mask`.

    Args:
        result_hw: Luma of the face's window in the result, 0 to 1.
        source_hw: Of the source.
        alpha_hw: The mask.

    Returns:
        Below 0 where the result is smoother than the source everywhere along the edge; `None` where the edge is not to
        be seen.
    """
    down, across = _gradient(alpha_hw)
    length = np.hypot(down, across)
    edge = (alpha_hw > _RANGE[0]) & (alpha_hw < _RANGE[1]) & (length > 0)
    cells = _cells(alpha_hw, edge)
    counts = np.bincount(cells, minlength=_LEVELS * _SECTORS).reshape(_LEVELS, _SECTORS)
    used = counts >= _FEWEST
    if not used.any():
        return None
    normal = np.stack([down[edge], across[edge]]) / length[edge]

    def steepness(luma_hw: Float32) -> NDArray[np.float64]:
        """(_LEVELS,) mean absolute slope of each band; NaN where none of its cells is used."""
        slopes = np.stack([part[edge] for part in _gradient(cv2.GaussianBlur(luma_hw, (0, 0), _CALM_SIGMA))])
        sums = np.bincount(cells, (slopes * normal).sum(axis=0), _LEVELS * _SECTORS).reshape(counts.shape)
        means = np.abs(sums / np.maximum(counts, 1)) * used
        return np.asarray(means.sum(axis=1) / np.where(used.any(axis=1), used.sum(axis=1), np.nan), np.float64)

    return float(np.nanmax(steepness(result_hw) - steepness(source_hw)))


def _gradient(image_hw: NDArray[Any]) -> tuple[Float32, Float32]:
    down, across = np.gradient(image_hw, axis=(0, 1))
    return down, across


def _cells(alpha_hw: Float32, edge: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The cell of each pixel of the edge."""
    rows, columns = np.nonzero(edge)
    angle = np.arctan2(rows - rows.mean(), columns - columns.mean()) if len(rows) else np.zeros(0)
    sector = np.minimum(((angle + np.pi) / (2 * np.pi) * _SECTORS).astype(int), _SECTORS - 1)
    low, high = _RANGE
    level = np.minimum(((alpha_hw[edge] - low) / (high - low) * _LEVELS).astype(int), _LEVELS - 1)
    return np.asarray(level * _SECTORS + sector, np.intp)
