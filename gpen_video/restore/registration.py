"""How a whole face moved between two crops, to a few hundredths of a pixel, through noise and fresh damage.

Two guesses are at hand: the head kept its place in the frame, or in the crop, which follows the head. The likelier of
them is refined by Gauss-Newton over position, size, roll and exposure (S. Baker and I. Matthews, "Lucas-Kanade 20 years
on", IJCV 56(3), 2004, inverse compositional), robustly, so that a hand or an open mouth does not drag the face along.
What noise alone could have moved is not believed: a still face that follows the noise of its registration trembles.
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
_CHANCE = 20.0
"""Squared deviations, of four parameters together, that are taken for noise.

Chi-squared leaves one frame of 2000 above it; so much is film unlike that, that of a still head one of 20 is.
"""
_PARTS = 16
"""Squares along the crop's side in which the noise of one has little to do with that of the next."""


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
        past_hw: (S, S) of the crop before; best with less noise than `now_hw`, because slopes are taken from it.
        past_from_now: (2, 3) the map between the two crops if nothing moved in the frame.

    Returns:
        (2, 3) `past_from_now` of the face; `None` where it stands still in the crop.
    """
    side = len(now_hw)
    small = max(side // 2, 1)
    full_from_small = full_from_resized((side, side), (small, small))
    small_from_full = invert(full_from_small)
    now, past = resized(now_hw, small), resized(past_hw, small)
    if_in_crop, if_in_frame = np.eye(2, 3), compose(small_from_full, compose(past_from_now, full_from_small))
    found = _certain(now, past, (invert(if_in_frame), if_in_crop))
    if _shift(found, if_in_crop, small) < STILL * small / REFERENCE_SIDE:
        return None
    return compose(full_from_small, compose(invert(found), small_from_full))


def resized(image_hw: Float32, side: int) -> Float32:
    """`image_hw` at `side` pixels, without aliasing."""
    if len(image_hw) == side:
        return image_hw
    how = cv2.INTER_AREA if side < len(image_hw) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_hw, (side, side), interpolation=how), np.float32)


def _certain(now: Float32, past: Float32, guesses: tuple[Float64, Float64]) -> Float64:
    """`now_from_past`, as far as it is more than chance against a guess; within chance, the first of them.

    It sets in without a jump as it leaves chance behind.
    """
    differences = [_difference(now, past, guess) for guess in guesses]
    nearest = guesses[int(np.argmin(differences))]
    refined, certainty_44 = _refined(now, past, nearest)
    if _difference(now, past, refined) >= min(differences):
        refined = nearest
    middle = (len(now) - 1) / 2
    steps = [_parameters(compose(invert(guess), refined), middle) for guess in guesses]
    doubts = [float(step @ certainty_44 @ step) for step in steps]
    best = 0 if doubts[0] <= _CHANCE else int(np.argmin(doubts))
    believed = 1 - (_CHANCE / max(doubts[best], _CHANCE)) ** 2
    return compose(guesses[best], _similarity(believed * steps[best], middle))


def _refined(now: Float32, past: Float32, now_from_past: Float64) -> tuple[Float64, Float64]:
    """The best fit, and the inverse covariance, (4, 4), of its `_parameters`."""
    side = len(past)
    middle = (side - 1) / 2
    inside = inside_face(side)
    slopes_n5 = _slopes(past)[inside]
    moved = now_from_past
    for _ in range(_STEPS):
        error_n = (_seen(now, moved) - past)[inside]
        odd_n = error_n / (_OUTLIER * max(float(np.median(np.abs(error_n))), 1e-4))
        weighed_5n = (slopes_n5 / (1 + np.square(odd_n))[:, None]).T
        normal = (weighed_5n @ slopes_n5).astype(np.float64)
        *step, _ = np.linalg.lstsq(normal, (weighed_5n @ error_n).astype(np.float64), rcond=1e-7)[0]
        stepped = _similarity(np.array(step), middle)
        moved = compose(moved, invert(stepped))
        if _shift(stepped, np.eye(2, 3), side) < _PRECISE:
            break
    return moved, _certainty(slopes_n5, weighed_5n * error_n, np.square(odd_n), _parts(side))


def _certainty(slopes_n5: Float32, pulls_5n: Float32, odd_n: Float32, parts_n: NDArray[np.intp]) -> Float64:
    """The inverse covariance, (4, 4), of a robust fit.

    That of H. White ("Maximum likelihood estimation of misspecified models", Econometrica 50(1), 1982), whose noise may
    differ from place to place; summed over parts of the face, because neighbours share theirs.
    """
    pulls_5p = np.stack([np.bincount(parts_n, pull_n) for pull_n in pulls_5n])
    bend_n = (1 - odd_n) / np.square(1 + odd_n)
    curvature = ((slopes_n5 * bend_n[:, None]).T @ slopes_n5).astype(np.float64)
    spread = np.linalg.pinv(curvature, rcond=1e-9, hermitian=True) @ pulls_5p
    return np.asarray(np.linalg.pinv((spread @ spread.T)[:4, :4], rcond=1e-12, hermitian=True), np.float64)


@lru_cache(maxsize=8)
def _parts(side: int) -> NDArray[np.intp]:
    """The number of the square of each pixel inside the face."""
    down, across = np.nonzero(inside_face(side))
    return np.asarray(down * _PARTS // side * _PARTS + across * _PARTS // side, np.intp)


def _similarity(shift_growth_roll: Float64, middle: float) -> Float64:
    x, y, growth, roll = shift_growth_roll
    linear = np.array([[1 + growth, -roll], [roll, 1 + growth]])
    return np.column_stack([linear, (x + middle, y + middle) - linear.sum(axis=1) * middle])


def _parameters(similarity: Float64, middle: float) -> Float64:
    """(4,) of which `_similarity` makes the map."""
    x, y = similarity @ (middle, middle, 1) - middle
    return np.array([x, y, similarity[0, 0] - 1, similarity[1, 0]])


def _slopes(image: Float32) -> Float32:
    """(S, S, 5) how brightness changes with shift across and down, growth, roll (about the middle) and exposure."""
    side = len(image)
    across, down = (cv2.Scharr(image, cv2.CV_32F, dx, 1 - dx, scale=1 / 32) for dx in (1, 0))
    from_middle = np.arange(side, dtype=np.float32) - (side - 1) / 2
    x, y = from_middle[None, :], from_middle[:, None]
    return np.stack([across, down, across * x + down * y, down * x - across * y, image], axis=-1)


def _difference(now: Float32, past: Float32, now_from_past: Float64) -> float:
    """Mean difference inside the face, of what is coarser than noise."""
    error = cv2.GaussianBlur(_seen(now, now_from_past) - past, (0, 0), _SOFT)
    return float(np.abs(error[inside_face(len(past))]).mean())


def _seen(now: Float32, now_from_past: Float64) -> Float32:
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(now, now_from_past, now.shape, flags=how, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _shift(one: Float64, other: Float64, side: int) -> float:
    """Largest difference, in either direction, of where two maps take the corners of the face."""
    middle, radii = np.array(_FACE_MIDDLE), np.array(_FACE_RADII)
    around = corners(np.concatenate([middle - radii, middle + radii]) * side)
    return float(np.abs(apply(one, around) - apply(other, around)).max())
