"""Dense optical flow between two pictures, and fetching one picture to the other along it; numpy and OpenCV only.

Flow is (H, W, 2) float32, one (x, y) in pixels for each pixel of the picture that is looked *from*: what is at p there
is at ``p + flow[p]`` in the other.
"""

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_PRESETS = {False: cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, True: cv2.DISOPTICAL_FLOW_PRESET_FAST}
_local = threading.local()


def flow_between(from_hw: Float32, to_hw: Float32, *, quick: bool = False) -> Float32:
    """Where each pixel of one picture is in another of the same size.

    Dense inverse search: T. Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016.

    Args:
        from_hw: (H, W) brightness, nominally 0 to 1; at least 16 pixels a side.
        to_hw: (H, W).
        quick: in a quarter of the time, less exact where little is to be seen.

    Returns:
        (H, W, 2).
    """
    flow = _search(quick).calc(_bytes(from_hw), _bytes(to_hw), None)
    return np.asarray(flow, np.float32)


def fetch(image: Float32, flow: Float32) -> Float32:
    """`image`, (H, W) or (H, W, C), as seen from the other end of the flow: value at p is that at ``p + flow[p]``.

    Cubic, so that detail fetched again and again stays sharp; beyond the border the border goes on.
    """
    height, width = flow.shape[:2]
    across = flow[..., 0] + np.arange(width, dtype=np.float32)
    down = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(image, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


def round_trip(forward: Float32, backward: Float32) -> Float32:
    """(H, W) pixels by which a point misses itself when it goes along one flow and comes back along the other.

    Large where something is hidden in one of the pictures (N. Sundaram et al., "Dense point trajectories by
    GPU-accelerated large displacement optical flow", ECCV 2010).
    """
    return length_of(forward + fetch(backward, forward))


def length_of(flow: Float32) -> Float32:
    """Of the vectors of a flow: as `np.linalg.norm` over the last axis, in a fraction of its time."""
    return np.asarray(np.sqrt(np.square(flow[..., 0]) + np.square(flow[..., 1])), np.float32)


def _search(quick: bool) -> Any:  # noqa: ANN401 - OpenCV's object, which keeps buffers and serves one thread
    name = f"quick_{quick}"
    if not hasattr(_local, name):
        setattr(_local, name, cv2.DISOpticalFlow.create(_PRESETS[quick]))
    return getattr(_local, name)


def _bytes(brightness_hw: Float32) -> NDArray[np.uint8]:
    return np.asarray(np.clip(brightness_hw * np.float32(255), 0, 255).round(), np.uint8)
