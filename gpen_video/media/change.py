"""How much two pictures differ: enough for a cut, or not."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

_RATE = 25.0  # PySceneDetect wants one; nothing depends on it
_MOST_TINT = 3.0  # standard deviation of Cr and Cb, in levels, up to which two pictures share one tint


def differ(one_hwc: NDArray[np.uint8], other_hwc: NDArray[np.uint8], threshold: float) -> bool:
    """Whether two small pictures could be the sides of a cut.

    The measure is that of PySceneDetect's `ContentDetector`: the mean change of hue, saturation and brightness. In
    black and white, or toned in one colour, only brightness can change, and the mean of the three would be a third of
    what a cut in colour gives: there it is brightness alone.

    Args:
        one_hwc: From `small_picture`.
        other_hwc: Of the same size.
        threshold: Of the mean change, 0 to 255.
    """
    # The detector compares a frame with the one before; it holds none back for the shortest shot.
    detector = ContentDetector(threshold, min_scene_len=0, luma_only=_share_one_tint(one_hwc, other_hwc))
    detector.process_frame(FrameTimecode(0, _RATE), one_hwc)
    return bool(detector.process_frame(FrameTimecode(1, _RATE), other_hwc))


def _share_one_tint(one_hwc: NDArray[np.uint8], other_hwc: NDArray[np.uint8]) -> bool:
    _, deviations = cv2.meanStdDev(cv2.cvtColor(np.vstack([one_hwc, other_hwc]), cv2.COLOR_BGR2YCrCb))
    return bool(deviations[1:].max() < _MOST_TINT)
