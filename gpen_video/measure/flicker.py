"""What changes from frame to frame though nothing moved: flicker and warping error of one pair of frames."""

from dataclasses import dataclass

import numpy as np

from gpen_video.flow import fetch
from gpen_video.measure.motion import Bool, Motion
from gpen_video.types import Float32


@dataclass(frozen=True, slots=True)
class Change:
    """Of a face between two neighbouring frames, after its motion is taken off."""

    absolute: float
    """Mean absolute difference of luma, 0 to 1: flicker."""
    squared: float
    """Mean squared difference of luma: warping error."""


def change_between(now_hw: Float32, last_hw: Float32, motion: Motion, inside_hw: Bool) -> Change | None:
    """Compare a frame with the one before, fetched along the motion.

    The squared error is the warping error of W.-S. Lai et al., "Learning blind video temporal consistency", ECCV 2018,
    section 4.2: over the pixels that are not occluded, of luma in place of R'G'B'. The absolute one is the same with
    the absolute difference, so that it is read in parts of the range from black to white.

    Args:
        now_hw: Luma of the face's window in this frame.
        last_hw: Luma of the window of the same size in the frame before.
        motion: From this window to that one.
        inside_hw: What counts as the face.

    Returns:
        `None` where no pixel of the face could be followed.
    """
    compared = inside_hw & motion.known_hw
    if not compared.any():
        return None
    difference = (now_hw - fetch(last_hw, motion.flow_hw2))[compared].astype(np.float64)
    return Change(float(np.abs(difference).mean()), float(np.square(difference).mean()))
