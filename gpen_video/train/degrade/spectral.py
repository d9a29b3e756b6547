"""Black and white as different emulsions see colour.

The weights stand for light, not for R'G'B': colours are made linear, summed up and encoded again. Each set sums to 1,
so that white stays white. They follow from how far up each emulsion can see (blue-sensitive to about 500 nm,
orthochromatic to 580 nm, panchromatic to 650 nm: James, *The Theory of the Photographic Process*, 4th ed.)
against the primaries of BT.709 and are otherwise ours.
"""

import cv2
import numpy as np

from gpen_video.train.degrade.images import Image, Rng

PANCHROMATIC = (0.30, 0.50, 0.20)
ORTHOCHROMATIC = (0.03, 0.57, 0.40)
BLUE_SENSITIVE = (0.00, 0.15, 0.85)
"""Wet plates and films before about 1910: red is black, a blue sky is white."""

Weights = tuple[float, float, float]


def black_and_white(image: Image, weights: Weights) -> Image:
    """Three equal channels of what light of these `weights` for red, green and blue exposes."""
    # A square stands for the transfer curve: in faces within 0.025 of BT.709's result, and four times as fast.
    exposure = cv2.transform(np.square(image), np.tile(np.asarray(weights, np.float64), (3, 1)))
    return np.asarray(np.sqrt(exposure), np.float32)


def grey(image: Image, rng: Rng) -> Image:
    """Black and white on a stock between panchromatic and orthochromatic; one in seven blue-sensitive."""
    if rng.random() < 1 / 7:
        return black_and_white(image, BLUE_SENSITIVE)
    share = rng.uniform(0, 1)
    red, green, blue = (1 - share) * np.array(PANCHROMATIC) + share * np.array(ORTHOCHROMATIC)
    return black_and_white(image, (float(red), float(green), float(blue)))
