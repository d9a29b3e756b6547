"""How landmarks tremble: second differences over three frames, the camera's motion taken off."""

from collections.abc import Sequence

import numpy as np

from gpen_video.types import Float64


def acceleration(landmarks_t5xy: Sequence[Float64]) -> float:
    """Mean length of the second differences of five landmarks, in their pixels a frame squared.

    Of a point that moves evenly it is 0. Of independent noise of standard deviation s in both coordinates it is
    ``s sqrt(6) sqrt(pi / 2)``, about 3.07 s: a second difference has the weights 1, -2, 1, and the length of a vector
    of two normal coordinates is Rayleigh distributed.

    Args:
        landmarks_t5xy: (5, 2) in each of three successive frames, the oldest first, in coordinates of the scene: those
            of a camera that does not move (see `faces.camera`).
    """
    first, second, third = landmarks_t5xy
    return float(np.linalg.norm(third - 2 * second + first, axis=1).mean())
