"""Where each pixel of a face was in the crop before: the motion of the whole face, and what moves in it by itself."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.flow import fetch, flow_between, length_of, round_trip
from gpen_video.restore.registration import REFERENCE_SIDE, STILL, inside_face, register

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_SMOOTH = 1.5
_AROUND = 3.0
"""Reach, in pixels of a crop of 256, over which flow is smoothed, and over which it has to explain the picture."""
_GAIN = (1.0, 3.0)
"""Drop of the squared difference, in its median along the flow, from which flow counts, and counts whole."""
_RATIO = (1.1, 1.5)
"""The same as a ratio of what differs without the flow."""
_MISSED = ((0.5, 0.1), (1.5, 0.3))
"""Pixels, and parts of the flow's length, by which a round trip may miss, and from which the flow is worth nothing."""
_LEAST_MOVED = 0.005
"""Part of the face that has to move by itself for flow to be used at all."""


def motion_to_past(now_hw: Float32, past_hw: Float32, past_from_now: Float64) -> Float32 | None:
    """Flow from the face now to the face before.

    A still face has none, and where a local flow explains the picture no better than the motion of the whole face, it
    is left out: fetched along the noise of a flow, a still face would shimmer and blur.

    Args:
        now_hw: (S, S) brightness of the crop, nominally 0 to 1.
        past_hw: (S, S) of the crop before.
        past_from_now: (2, 3) the map between the two crops if nothing moved in the frame.

    Returns:
        (S, S, 2), what is at p was at ``p + flow[p]``; `None` where the face stands still in the crop.
    """
    matrix = register(now_hw, past_hw, past_from_now)
    whole = None if matrix is None else _flow_of(matrix, len(now_hw))
    own = _own_flow(now_hw, past_hw if whole is None else fetch(past_hw, whole))
    if own is None:
        return whole
    if matrix is None:
        return own
    return _flow_of(matrix, len(now_hw)) + np.asarray(own @ matrix[:, :2].T, np.float32)


def scaled(flow: Float32, side: int) -> Float32:
    """The flow of the same picture at `side` pixels."""
    if len(flow) == side:
        return flow
    larger = cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(larger * np.float32(side / len(flow)), np.float32)


def ramp(values: Float32, start: float | Float32, end: float | Float32) -> Float32:
    """0 up to `start`, 1 from `end`, smooth between."""
    part = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)


def blurred(image: Float32, reach: float) -> Float32:
    """`image` low-passed by a Gaussian of `reach` pixels of a crop of 256."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), reach * len(image) / REFERENCE_SIDE), np.float32)


def _own_flow(now: Float32, past: Float32) -> Float32 | None:
    """What the two pictures, aligned as a whole, still need; `None` where that is nothing."""
    forward = blurred(flow_between(now, past, quick=True), _SMOOTH)
    without = blurred(np.square(now - past), _AROUND)
    along = blurred(np.square(now - fetch(past, forward)), _AROUND)
    inside = inside_face(len(now))
    noise = max(float(np.median(along[inside])), 1e-6)
    explains = ramp(without - along, _GAIN[0] * noise, _GAIN[1] * noise) * ramp(without / (along + noise / 4), *_RATIO)
    if not explains[inside].any():
        return None
    backward = blurred(flow_between(past, now, quick=True), _SMOOTH)
    length = length_of(forward)
    (least, more), (most, much_more) = _MISSED
    missed = ramp(round_trip(forward, backward), least + more * length, most + much_more * length)
    flow = forward * blurred(explains * (1 - missed), 2)[..., None]
    moves = length_of(flow[inside]) > STILL * len(now) / REFERENCE_SIDE
    return np.asarray(flow, np.float32) if moves.mean() > _LEAST_MOVED else None


def _flow_of(matrix: Float64, side: int) -> Float32:
    """(side, side, 2) flow along a (2, 3) map."""
    along = np.arange(side)
    flow = np.empty((side, side, 2), np.float32)
    for axis, (across, down) in enumerate(matrix[:, :2] - np.eye(2)):
        flow[..., axis] = along * across + (along * down)[:, None] + matrix[axis, 2]
    return flow
