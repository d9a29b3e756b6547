"""Faces whose every sample is known: drawn, moved and shaken by stated amounts."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gpen_video.geometry import TEMPLATES
from gpen_video.types import ColourSpec, Detection, Frame, FrameFaces, Picture, PixelFormat, Timestamp, TrackedFace

GRAY = PixelFormat("gray16le", "gray", 16)
WIDTH, HEIGHT = 320, 240
FACE = 128.0
"""Side of the aligned crop in the frame, in pixels."""
MIDDLE = (160.0, 120.0)


def landmarks(at: tuple[float, float] = MIDDLE) -> NDArray[np.float64]:
    """The template's face with the crop's middle at a point."""
    return (TEMPLATES["gpen"] - 0.5) * FACE + at


def detection(at: tuple[float, float] = MIDDLE, shake: NDArray[np.float64] | None = None) -> Detection:
    """A face in a box of 100 by 100, so that a face size is 100 pixels."""
    points = landmarks(at) + (0 if shake is None else shake)
    box = np.array([at[0] - 50, at[1] - 50, at[0] + 50, at[1] + 50], np.float32)
    return Detection(box, points.astype(np.float32), 0.9)


def frame(
    luma_hw: NDArray[np.floating], index: int = 0, *, starts_shot: bool | None = None, damaged: bool = False
) -> Frame:
    """A gray picture of 16 bits, which holds levels to a hundred-thousandth."""
    plane = np.rint(np.clip(luma_hw, 0, 1) * 65535).astype(np.uint16)
    plane.flags.writeable = False
    first = index == 0 if starts_shot is None else starts_shot
    picture = Picture((plane,), GRAY, ColourSpec())
    return Frame(index, Timestamp(index, Fraction(1, 25)), picture, starts_shot=first, damaged=damaged)


def texture(seed: int = 1, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.float64]:
    """Smooth waves in both directions, between 0.2 and 0.8, that flow can follow."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = sum(
        np.sin(x * fx + y * fy + phase)
        for fx, fy, phase in zip(
            *(rng.uniform(low, high, 12) for low, high in ((-0.5, 0.5), (-0.5, 0.5), (0, 6))), strict=True
        )
    )
    return np.asarray(0.5 + 0.3 * waves / np.abs(waves).max())


def tracked(of: Frame, at: tuple[float, float] = MIDDLE, seen: Detection | None = None) -> FrameFaces[TrackedFace]:
    """The frame with one face of track 0."""
    return FrameFaces(of, (TrackedFace(0, landmarks(at), seen or detection(at)),))


def found(of: Frame, *detections: Detection) -> FrameFaces[Detection]:
    return FrameFaces(of, detections)
