"""Made-up people: each a blotchy pattern of their own where their face is, so that looks can be compared."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.types import Picture
from tests.faces.scenes import FORMATS, picture_of

Person = tuple[int, float, float, float]
"""Who it is, and where as in `detection_at`: x, y, size."""


@lru_cache
def pattern(who: int) -> NDArray[np.float64]:
    """(64, 64), 0 to 255."""
    rng = np.random.default_rng([who, 99])
    return np.clip(cv2.resize(rng.uniform(20, 235, (6, 6)), (64, 64), interpolation=cv2.INTER_CUBIC), 0, 255)


@lru_cache
def backdrop(width: int, height: int) -> NDArray[np.float64]:
    """(H, W) scenery with corners to hold on to."""
    rng = np.random.default_rng(7)
    coarse, fine = (
        cv2.resize(rng.uniform(60, 200, side), (width, height), interpolation=cv2.INTER_CUBIC)
        for side in ((12, 16), (60, 80))
    )
    return (coarse + fine) / 2


def face_picture(
    people: Sequence[Person], width: int = 320, height: int = 240, shift_xy: tuple[float, float] = (0, 0)
) -> Picture:
    """People before scenery that is shifted against the frame; the last of them stands in front."""
    wide = backdrop(width + 400, height + 200)
    move = np.array([[1.0, 0.0, shift_xy[0] - 200], [0.0, 1.0, shift_xy[1] - 100]])
    frame = cv2.warpAffine(wide, move, (width, height), borderMode=cv2.BORDER_REFLECT)
    for who, x, y, size in people:
        scale = size / 64
        place = np.array([[scale, 0, x - size / 2], [0, scale, y - size / 2]])
        face = cv2.warpAffine(pattern(who), place, (width, height))
        inside = cv2.warpAffine(np.ones((64, 64)), place, (width, height))
        frame = frame * (1 - inside) + face * inside
    return picture_of(FORMATS["gray"], [np.clip(frame, 0, 255)])
