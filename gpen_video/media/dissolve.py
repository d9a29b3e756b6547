"""Dissolves and fades: shots that change over many frames, none of which differs much from the next.

In a dissolve each frame is a sum of the picture before and the picture after (A. Hampapur et al., "Digital video
segmentation", ACM Multimedia 1994). So the frames of a window are fitted with its two ends, on pictures so small that
motion hardly shows: a dissolve leaves little over, its weights go from one end to the other, and the ends are two
different pictures. What moves, pans or zooms is no sum of the ends; what only changes its exposure has ends that look
alike.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gpen_video.media.small_picture import shrunk
from gpen_video.types import Float32, Float64

REACH = 16
"""Frames after the middle that are looked at, and before it: a dissolve of up to twice as many is seen whole."""

_LONG_SIDE = 32
_HALF_WIDTHS = (4, 6, 8, 12, REACH)
_LEAST_CONTRAST = 12.0  # root mean square of the ends' difference, levels
_MOST_LEFT_OVER = 0.4  # of that contrast, in the worst of the mixed frames
_MOST_ALIKE = 0.65  # left over + 3/4 of the ends' correlation: what resembles itself may leave less over
_MOST_ENERGY = 1.08  # mean sum of the weights: 1 in a dissolve, more where a pattern moves on by part of its period
_MIXED = (0.2, 0.8)  # weights of the later picture between which a frame is a mixture
_LEAST_MIXED = 3  # frames
_MOST_STEP = 0.45  # of the weight, in one frame: more is a cut
_MOST_BACK = 0.1  # of the weight, ever: it rises
_LEAST_INDEPENDENCE = 0.01  # 1 - squared correlation of the ends
_BLANK, _SEEN = 3.0, 6.0  # standard deviation, levels, up to which a picture shows nothing, and above which it does


def signature(small_hwc: NDArray[np.uint8]) -> Float32:
    """(n,) what is left of a small picture: coarse, each channel less its mean, so that exposure shows little."""
    coarse = shrunk(small_hwc, _LONG_SIDE)
    return np.asarray(coarse - coarse.mean(axis=(0, 1)), np.float32).ravel()


class DissolveFinder:
    """Follows one shot after another; told of every frame in order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what came before: here is a cut."""
        self._past: deque[Float32] = deque(maxlen=REACH)
        self._since_mixture = REACH
        self._is_placed = False
        self._is_blank = False

    def starts(self, now: Float32, future: Sequence[Float32]) -> bool:
        """Whether a new shot starts with this frame, out of a dissolve or out of a picture that shows nothing.

        Args:
            now: Signature of this frame.
            future: Of the frames after it up to the next cut, at most `REACH`.
        """
        windows = [
            np.stack([*islice(self._past, len(self._past) - half, None), now, *future[:half]])
            for half in _HALF_WIDTHS
            if half <= min(len(self._past), len(future))
        ]
        self._past.append(now)
        return self._is_middle_of_dissolve(windows) | self._emerges(now)

    def _is_middle_of_dissolve(self, windows: Sequence[Float32]) -> bool:
        """Whether of two blended pictures the later one first outweighs the earlier; the widest window comes last.

        A narrow window shows that there is a dissolve, as the picture moves little in it; how far it has come, only a
        wide one that has both pictures pure.
        """
        self._since_mixture = 0 if any(is_dissolve(window) for window in windows) else self._since_mixture + 1
        if self._since_mixture > REACH // 2:
            self._is_placed = False
            return False
        fit = _fit(windows[-1]) if windows else None
        if self._is_placed or fit is None or fit.later[len(fit.later) // 2] < 0.5:
            return False
        self._is_placed = True
        return True

    def _emerges(self, now: Float32) -> bool:
        """Whether the first picture after a blank one is seen; between the two bounds nothing changes."""
        deviation = float(now.std())
        was_blank = self._is_blank
        self._is_blank = deviation < _BLANK or (was_blank and deviation <= _SEEN)
        return was_blank and not self._is_blank


def is_dissolve(window_tn: Float32) -> bool:
    """Whether one picture is blended into another over these frames, the middle one being a mixture.

    Args:
        window_tn: (2 k + 1, n) signatures of successive frames; the first and the last are taken for the two pictures.
    """
    contrast = np.sqrt(np.square(window_tn[-1] - window_tn[0]).mean())
    if contrast < _LEAST_CONTRAST or (fit := _fit(window_tn)) is None:
        return False
    mixed = (fit.later > _MIXED[0]) & (fit.later < _MIXED[1])
    if not mixed[len(window_tn) // 2] or mixed.sum() < _LEAST_MIXED:
        return False
    worst = fit.left_over[mixed].max() / contrast
    step_back = (np.maximum.accumulate(fit.later) - fit.later).max()
    return bool(
        worst < _MOST_LEFT_OVER
        and worst + 0.75 * fit.alike < _MOST_ALIKE
        and fit.total[mixed].mean() < _MOST_ENERGY
        and np.diff(fit.later).max() < _MOST_STEP
        and step_back < _MOST_BACK
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Frames as sums of the first and the last of them."""

    later: Float64
    """(T,) part of the last one in the sum: 0 at the first, 1 at the last."""
    total: Float64
    """(T,) weights of both together."""
    left_over: Float64
    """(T,) root mean square of what no sum explains, levels."""
    alike: float
    """Correlation of first and last."""


def _fit(window_tn: Float32) -> _Fit | None:
    """Least squares; `None` where the two ends show the same, or one of them shows nothing."""
    ends = window_tn[[0, -1]].astype(np.float64)
    products = ends @ ends.T
    energies = float(products[0, 0] * products[1, 1])
    if np.linalg.det(products) <= _LEAST_INDEPENDENCE * energies:
        return None
    shares = ends @ window_tn.T
    weights = np.linalg.solve(products, shares)
    total = weights.sum(axis=0)
    left_over = np.square(window_tn, dtype=np.float64).sum(axis=1) - (weights * shares).sum(axis=0)
    return _Fit(
        weights[1] / np.maximum(total, 0.1),
        total,
        np.sqrt(np.clip(left_over, 0, None) / window_tn.shape[1]),
        float(products[0, 1] / np.sqrt(energies)),
    )
