"""Fixed-lag smoothing: the best estimate for a frame, given some frames after it."""

from collections.abc import Sequence

import filterpy.kalman
import numpy as np

from gpen_video.faces.kalman import Float64, State, transition


def smooth(states: Sequence[State]) -> Float64:
    """(N,) positions at the first of several successive states, in the light of all of them.

    H. E. Rauch, F. Tung and C. T. Striebel, "Maximum likelihood estimates of linear dynamic systems", AIAA Journal
    3(8), 1965. With a window that reaches the end of a track this is the full smoother; the filter before the window
    has already used all that was measured earlier.

    Args:
        states: What the filter knew after each frame of the window, at least one.
    """
    if len(states) == 1:
        return states[0].position
    count = len(states[0].mean) // 2
    steps = [state.step_noise for state in (*states[1:], states[-1])]  # [k] leads from k to k + 1; the last is unused
    means, *_ = filterpy.kalman.rts_smoother(
        np.stack([state.mean for state in states]),
        np.stack([state.covariance for state in states]),
        [transition(count)] * len(states),
        steps,
    )
    position: Float64 = means[0, :count]
    return position
