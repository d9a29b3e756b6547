"""How what is seen in one frame has moved since the frame before."""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.faces.resample import Roi
from gpen_video.flow import fetch, flow_between
from gpen_video.types import Float32

Bool = NDArray[np.bool_]

_CALM_SIGMA = 1.5
"""Pixels by which pictures are smoothed before flow is looked for: grain has no motion, and must not make any."""
LEAST_SIDE = 16
"""Of a window, in pixels: below it flow cannot be found."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A window of a frame."""

    luma_hw: Float32
    """0 to 1."""
    roi: Roi
    """Where in the frame it is."""
    frame: int
    """Of which frame, by its index."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """From a window of this frame to the window of the frame before."""

    flow_hw2: Float32
    """(H, W, 2) pixels: what is at p now was at ``p + flow[p]`` in the last window."""
    known_hw: Bool
    """Where that can be trusted: seen in both frames, and not at an edge of motion."""


class MotionFinder(Protocol):
    """Tells the motion of a face between its windows in two frames."""

    def between(self, now: View, last: View) -> Motion:
        """The motion of the pixels of `now`.

        Args:
            now: The face's window in this frame.
            last: A window of the same size in the frame before, shifted with the face by whole pixels.
        """
        ...


class FlowFinder:
    """Finds motion by dense optical flow, on pictures that are smoothed first."""

    def between(self, now: View, last: View) -> Motion:
        """See `MotionFinder.between`."""
        this, before = _calm(now.luma_hw), _calm(last.luma_hw)
        back = flow_between(this, before)
        return Motion(back, consistent(back, flow_between(before, this)) & ~motion_edges(back) & within(back))


def consistent(flow: Float32, back: Float32) -> Bool:
    """Pixels that come back to themselves when they follow the one flow there and the other back.

    M. Ruder, A. Dosovitskiy, T. Brox, "Artistic style transfer for videos", GCPR 2016, equation 5, after Sundaram et
    al. (ECCV 2010): ``|w + w'|^2 <= 0.01 (|w|^2 + |w'|^2) + 0.5``.
    """
    returning = fetch(back, flow)
    missed = np.square(flow + returning).sum(axis=-1)
    lengths = np.square(flow).sum(axis=-1) + np.square(returning).sum(axis=-1)
    return np.asarray(missed <= 0.01 * lengths + 0.5)


def motion_edges(flow: Float32) -> Bool:
    """Pixels at the edge of something that moves by itself.

    Ruder et al. 2016, equation 6: ``|grad u|^2 + |grad v|^2 > 0.01 |w|^2 + 0.002``.
    """
    steepness = sum(np.square(derivative) for derivative in np.gradient(flow, axis=(0, 1))).sum(axis=-1)
    return np.asarray(steepness > 0.01 * np.square(flow).sum(axis=-1) + 0.002)


def within(flow: Float32) -> Bool:
    """Pixels whose other end lies inside the window."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))


def _calm(luma_hw: Float32) -> Float32:
    smooth: NDArray[Any] = cv2.GaussianBlur(luma_hw, (0, 0), _CALM_SIGMA)
    return np.asarray(smooth, np.float32)
