"""Boxes, similarity transforms and pixel grids; numpy only.

A point is (x, y) in pixels with the centre of the top-left sample at (0, 0). A matrix is (2, 3) float64, acts on column
vectors (x, y, 1) and is named by what it does: `b_from_a` maps a point of `a` to a point of `b`, so that
``compose(c_from_b, b_from_a)`` is `c_from_a`.
"""

from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Points = NDArray[np.floating[Any]]


def similarity(from_nxy: Points, to_nxy: Points) -> Float64:
    """The similarity (turn, uniform scale, shift) that maps one point set to another with least squared error.

    Closed form with the guard against reflections of S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", IEEE TPAMI 13(4), 1991.

    Args:
        from_nxy: (N, 2) points, N >= 2.
        to_nxy: (N, 2) where each of them should go.

    Returns:
        (2, 3) `to_from_from`.

    Raises:
        ValueError: The shapes differ, or all of `from_nxy` (or of `to_nxy`) is one point.
    """
    source, target = np.asarray(from_nxy, np.float64), np.asarray(to_nxy, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2:
        raise ValueError(f"expected two (N, 2) arrays of one length, got {source.shape} and {target.shape}")
    if not (np.ptp(source, axis=0).max() > 0 and np.ptp(target, axis=0).max() > 0):
        raise ValueError("a similarity needs points that differ")
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - source_mean
    variance = np.square(centred).sum() / len(source)
    covariance = (target - target_mean).T @ centred / len(source)
    left, singular, right = np.linalg.svd(covariance)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    linear = (left * signs) @ right * ((singular * signs).sum() / variance)
    return np.column_stack([linear, target_mean - linear @ source_mean])


def compose(c_from_b: Float64, b_from_a: Float64) -> Float64:
    """`c_from_a`: first the second matrix, then the first, as in a matrix product."""
    linear = c_from_b[:, :2] @ b_from_a[:, :2]
    return np.column_stack([linear, c_from_b[:, :2] @ b_from_a[:, 2] + c_from_b[:, 2]])


def invert(b_from_a: Float64) -> Float64:
    """`a_from_b`.

    Raises:
        numpy.linalg.LinAlgError: The matrix is singular.
    """
    linear = np.linalg.inv(b_from_a[:, :2])
    return np.column_stack([linear, -linear @ b_from_a[:, 2]])


def apply(b_from_a: Float64, points_nxy: Points) -> Float64:
    """Map (N, 2) points of `a` to `b`, as float64."""
    return np.asarray(points_nxy, np.float64) @ b_from_a[:, :2].T + b_from_a[:, 2]


def scale_of(b_from_a: Float64) -> float:
    """Pixels of `b` for one pixel of `a`; for a matrix that is no similarity, the square root of the change of area."""
    return float(np.sqrt(abs(np.linalg.det(b_from_a[:, :2]))))


def scaling(factor_x: float, factor_y: float, offset_x: float = 0.0, offset_y: float = 0.0) -> Float64:
    """The matrix of ``x * factor_x + offset_x`` and ``y * factor_y + offset_y``.

    With a factor of 2 and the offset of a format's first chroma sample, this is `luma_from_chroma`.
    """
    return np.array([[factor_x, 0.0, offset_x], [0.0, factor_y, offset_y]])


def full_from_resized(full_wh: tuple[int, int], resized_wh: tuple[int, int]) -> Float64:
    """Between a picture and its resized copy: their *edges* coincide, half a pixel outside the outer centres.

    That is how every resize works that covers the whole picture (OpenCV, Pillow, swscale):
    ``full + 0.5 = (resized + 0.5) * full_size / resized_size``.
    """
    factor_x, factor_y = full_wh[0] / resized_wh[0], full_wh[1] / resized_wh[1]
    return scaling(factor_x, factor_y, (factor_x - 1) / 2, (factor_y - 1) / 2)


def upright_from_coded(coded_wh: tuple[int, int], rotation: int) -> Float64:
    """From a coded picture to the same picture turned clockwise for display.

    Args:
        coded_wh: Width and height before turning.
        rotation: Clockwise degrees: 0, 90, 180 or 270.

    Raises:
        ValueError: Another angle.
    """
    right, bottom = coded_wh[0] - 1.0, coded_wh[1] - 1.0
    turns = {
        0: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        90: [[0.0, -1.0, bottom], [1.0, 0.0, 0.0]],
        180: [[-1.0, 0.0, right], [0.0, -1.0, bottom]],
        270: [[0.0, 1.0, 0.0], [-1.0, 0.0, right]],
    }
    if rotation not in turns:
        raise ValueError(f"rotation must be 0, 90, 180 or 270 degrees, got {rotation}")
    return np.array(turns[rotation])


def corners(box_xyxy: Points) -> Float64:
    """(4, 2) corners of a (4,) box, clockwise from the top left."""
    left, top, right, bottom = np.asarray(box_xyxy, np.float64)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def hull_box(points_nxy: Points) -> Float64:
    """(4,) the smallest axis-aligned box around (N, 2) points."""
    points = np.asarray(points_nxy, np.float64)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def iou_matrix(a_n4: Points, b_m4: Points) -> Float64:
    """Intersection over union of each of N boxes with each of M.

    Args:
        a_n4: (N, 4) boxes as left, top, right, bottom.
        b_m4: (M, 4) boxes.

    Returns:
        (N, M), 0 to 1; 0 where both boxes are empty.
    """
    a = np.asarray(a_n4, np.float64).reshape(-1, 1, 4)
    b = np.asarray(b_m4, np.float64).reshape(1, -1, 4)
    overlap = _area(np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1))
    union = _area(a) + _area(b) - overlap
    return np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)


def _area(boxes: Float64) -> Float64:
    sides: Float64 = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    return sides[..., 0] * sides[..., 1]


def _template(points: list[tuple[float, float]], shift: tuple[float, float], side: float) -> Float64:
    unit = (np.array(points) + shift) / side
    unit.flags.writeable = False
    return unit


TEMPLATES = MappingProxyType(
    {
        # ArcFace's points for 96 x 112, widened by 8 on both sides to a square and by a quarter (28) all around:
        # the crop that GPEN was published with.
        "gpen": _template(
            [(30.2946, 51.6963), (65.5318, 51.5014), (48.0252, 71.7366), (33.5493, 92.3655), (62.7299, 92.2041)],
            shift=(8 + 28, 28),
            side=168,
        ),
        # The mean landmarks of FFHQ's aligned faces, for 512 x 512: a crop closer by 1.12.
        "ffhq": _template(
            [
                (192.98138, 239.94708),
                (318.90277, 240.1936),
                (256.63416, 314.01935),
                (201.26117, 371.41043),
                (313.08905, 371.15118),
            ],
            shift=(0, 0),
            side=512,
        ),
    }
)
"""(5, 2) landmarks in a crop of side 1, by name; a crop of S pixels has them at S times this."""
