"""How a whole face moved between two crops, to a few hundredths of a pixel, through noise and fresh damage.

Two guesses are at hand: the head kept its place in the frame, or in the crop, which follows the head. The likelier of
them is refined by Gauss-Newton over position, size, roll and exposure (S. Baker and I. Matthews, "Lucas-Kanade 20 years
on", IJCV 56(3), 2004, inverse compositional), robustly, so that a hand or an open mouth does not drag the face along.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.geometry import apply, compose, corners, full_from_resized, invert

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

STILL = 0.06
"""Motion, in pixels of a crop of 256, that is not followed: fetching would blur more than it would align."""
REFERENCE_SIDE = 256
"""Side of the crop that lengths here are pixels of."""

_FACE_MIDDLE, _FACE_RADII = (0.5, 0.53), (0.30, 0.40)
_STEPS = 6
_PRECISE = 0.005
_OUTLIER = 3.0
"""Residual, in medians of its magnitude, that counts half."""
_SOFT = 2.0


@lru_cache(maxsize=8)
def inside_face(side: int) -> NDArray[np.bool_]:
    """(side, side) the ellipse of a crop that the face fills; its middle part alone is sure to be face."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    across, down = (x - _FACE_MIDDLE[0]) / _FACE_RADII[0], (y - _FACE_MIDDLE[1]) / _FACE_RADII[1]
    inside = np.asarray(across**2 + down**2 < 1)
    inside.flags.writeable = False
    return inside


def register(now_hw: Float32, past_hw: Float32, past_from_now: Float64) -> Float64 | None:
    """The similarity that maps a point of the face now to where it was.

    Args:
        now_hw: (S, S) brightness of the crop.
        past_hw: (S, S) of the crop before.
        past_from_now: (2, 3) the map between the two crops if nothing moved in the frame.

    Returns:
        (2, 3) `past_from_now` of the face; `None` where it stands still in the crop.
    """
    side = len(now_hw)
    small = max(side // 2, 1)
    full_from_small = full_from_resized((side, side), (small, small))
    small_from_full = invert(full_from_small)
    now, past = resized(now_hw, small), resized(past_hw, small)
    still = STILL * small / REFERENCE_SIDE
    if_in_crop, if_in_frame = np.eye(2, 3), compose(small_from_full, compose(past_from_now, full_from_small))
    found = min((if_in_crop, if_in_frame), key=lambda guess: _difference(now, past, guess))
    refined = _refined(now, past, found)
    if _shift(refined, found, small) > still and _difference(now, past, refined) < _difference(now, past, found):
        found = refined
    if _shift(found, if_in_crop, small) < still:
        return None
    return compose(full_from_small, compose(found, small_from_full))


def resized(image_hw: Float32, side: int) -> Float32:
    """`image_hw` at `side` pixels, without aliasing."""
    if len(image_hw) == side:
        return image_hw
    how = cv2.INTER_AREA if side < len(image_hw) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_hw, (side, side), interpolation=how), np.float32)


def _refined(now: Float32, past: Float32, past_from_now: Float64) -> Float64:
    side = len(now)
    middle = (side - 1) / 2
    inside = inside_face(side)
    slopes_n5 = _slopes(now)[inside]
    moved = past_from_now
    for _ in range(_STEPS):
        error_n = (_seen(past, moved, side) - now)[inside]
        outlier = _OUTLIER * max(float(np.median(np.abs(error_n))), 1e-4)
        weighed_5n = (slopes_n5 / (1 + np.square(error_n / outlier))[:, None]).T
        normal = (weighed_5n @ slopes_n5).astype(np.float64)
        x, y, growth, roll, _ = np.linalg.lstsq(normal, (weighed_5n @ error_n).astype(np.float64), rcond=1e-7)[0]
        linear = np.array([[1 + growth, -roll], [roll, 1 + growth]])
        step = np.column_stack([linear, (x + middle, y + middle) - linear.sum(axis=1) * middle])
        moved = compose(moved, invert(step))
        if _shift(step, np.eye(2, 3), side) < _PRECISE:
            break
    return moved


def _slopes(image: Float32) -> Float32:
    """(S, S, 5) how brightness changes with shift across and down, growth, roll (about the middle) and exposure."""
    side = len(image)
    across, down = (cv2.Scharr(image, cv2.CV_32F, dx, 1 - dx, scale=1 / 32) for dx in (1, 0))
    from_middle = np.arange(side, dtype=np.float32) - (side - 1) / 2
    x, y = from_middle[None, :], from_middle[:, None]
    return np.stack([across, down, across * x + down * y, down * x - across * y, image], axis=-1)


def _difference(now: Float32, past: Float32, past_from_now: Float64) -> float:
    """Mean difference inside the face, of what is coarser than noise."""
    error = cv2.GaussianBlur(_seen(past, past_from_now, len(now)) - now, (0, 0), _SOFT)
    return float(np.abs(error[inside_face(len(now))]).mean())


def _seen(past: Float32, past_from_now: Float64, side: int) -> Float32:
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(past, past_from_now, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _shift(one: Float64, other: Float64, side: int) -> float:
    """Largest difference, in either direction, of where two maps take the corners of the face."""
    middle, radii = np.array(_FACE_MIDDLE), np.array(_FACE_RADII)
    around = corners(np.concatenate([middle - radii, middle + radii]) * side)
    return float(np.abs(apply(one, around) - apply(other, around)).max())
