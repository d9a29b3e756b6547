"""One portrait that comes with scikit-image, and crops with given strengths, to test with."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from gpen_video.geometry import TEMPLATES, scaling, similarity
from gpen_video.types import Detection, FaceCrop, RestoredFace, TrackedFace
from tests.faces.scenes import frozen

ASTRONAUT_5XY = np.array([[206.0, 114.0], [245.0, 113.0], [226.0, 138.0], [211.0, 156.0], [245.0, 155.0]])
"""Eyes, nose and corners of the mouth in `skimage.data.astronaut`, by hand."""


@lru_cache(maxsize=4)
def portrait(size: int = 256) -> NDArray[np.float32]:
    """(size, size, 3) aligned crop, 0 to 1."""
    crop_from_image = similarity(ASTRONAUT_5XY, TEMPLATES["gpen"] * size)
    crop = cv2.warpAffine(astronaut(), crop_from_image, (size, size), flags=cv2.INTER_CUBIC, borderMode=1)
    return frozen(crop.astype(np.float32) / 255)


def crop_of(
    rgb_hwc: NDArray[Any],
    *,
    scale: float = 1.0,
    track_id: int = 0,
    seen: bool = True,
    score: float = 0.99,
    landmarks_5xy: NDArray[Any] | None = None,
) -> FaceCrop:
    """A crop whose pixels are `scale` frame pixels wide; landmarks in the crop's pixels, on the template by default."""
    size = len(rgb_hwc)
    points = TEMPLATES["gpen"] * size if landmarks_5xy is None else landmarks_5xy
    frame_from_crop = scaling(scale, scale, 3.0, 5.0)
    in_frame = points * scale + [3.0, 5.0]
    box = np.concatenate([in_frame.min(axis=0) - 20 * scale, in_frame.max(axis=0) + 20 * scale]).astype(np.float32)
    detection = Detection(frozen(box), frozen(in_frame.astype(np.float32)), score) if seen else None
    face = TrackedFace(track_id, frozen(in_frame), detection)
    return FaceCrop(face, frozen(np.asarray(rgb_hwc, np.float32)), frozen(frame_from_crop))


def restored_as(crop: FaceCrop, rgb_hwc: NDArray[Any]) -> RestoredFace:
    return RestoredFace(crop, frozen(np.asarray(rgb_hwc, np.float32)))


def blurred(rgb_hwc: NDArray[Any], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(np.asarray(rgb_hwc, np.float32), (0, 0), sigma), np.float32)


def grainy(rgb_hwc: NDArray[Any], deviation: float, seed: int = 0) -> NDArray[np.float32]:
    """With white noise, the same in all colours."""
    noise = np.random.default_rng(seed).normal(0, deviation, (*rgb_hwc.shape[:2], 1))
    return np.clip(rgb_hwc + noise, 0, 1).astype(np.float32)


def moved(rgb_hwc: NDArray[Any], row: float, pixels: float) -> NDArray[np.float32]:
    """The band around a row, in parts of the side, shifted down."""
    side = len(rgb_hwc)
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    band = np.exp(-(((y / side - row) / 0.065) ** 4)).astype(np.float32)
    below = y + np.float32(pixels) * band
    return np.asarray(cv2.remap(np.asarray(rgb_hwc, np.float32), x, below, cv2.INTER_LINEAR), np.float32)


def turned(degrees: float, size: int = 256) -> NDArray[np.float64]:
    """The template's landmarks of a head that turns aside, by the model of `faces.gate.turn_of`."""
    points = TEMPLATES["gpen"] * size
    angle = np.radians(degrees)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down = (mouth - eyes) / np.linalg.norm(mouth - eyes)
    right = np.array([down[1], -down[0]])
    half = (points[1] - points[0]) @ right / 2
    aside = (points - eyes) @ right
    depth = np.array([0.0, 0.0, half, 0.0, 0.0])
    aside[2] = 0.0
    now = aside * np.cos(angle) + depth * np.sin(angle)
    return eyes + np.outer((points - eyes) @ down, down) + np.outer(now, right)
