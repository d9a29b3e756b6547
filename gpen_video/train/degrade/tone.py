"""Tone and colour as stock, print and exposure give them; a restorer has to leave all of it as it is.

For training every function here goes to both images of a pair.
"""

import cv2
import numpy as np

from gpen_video.train.degrade.images import Image, Range, Rng, clip

DENSEST = 3.0
"""Optical density of a print's black; what is blacker shows as this."""
# R'G'B' = transmittance^(1 / 2.2), so that density is -2.2 log10 R'G'B'.
_BLACK = np.float32(10 ** (-DENSEST / 2.2))


def tone(
    image: Image, rng: Rng, gamma_sigma: float = 0.12, black: Range = (0.0, 0.06), white: Range = (0.9, 1.0)
) -> Image:
    """Contrast and exposure as a worn print or a poor transfer has them.

    Args:
        image: R'G'B'.
        rng: draws gamma, black and white.
        gamma_sigma: standard deviation of the logarithm of gamma.
        black: what 0 becomes.
        white: what 1 becomes.
    """
    gamma = float(np.exp(rng.normal(0, gamma_sigma)))
    low, high = rng.uniform(*black), rng.uniform(*white)
    return np.asarray(cv2.pow(image, gamma), np.float32) * np.float32(high - low) + np.float32(low)


def dye_fade(
    image: Image, rng: Rng, cyan: Range = (0.4, 0.95), magenta: Range = (0.95, 1.0), yellow: Range = (0.7, 1.0)
) -> Image:
    """Colour film whose dyes faded: cyan soonest, so that prints turn pink, and blacks grow thin.

    A dye that has kept the share s of its density turns transmittance T into T^s, hence R' into R'^s. Cyan goes first
    and magenta last in Eastmancolor kept in the dark (Wilhelm and Brower, *The Permanence and Care of Color
    Photographs*, 1993, chapter 9, from where also the ranges' order of magnitude).

    Args:
        image: R'G'B'.
        rng: draws the three shares.
        cyan: share of density left in the dye that holds back red.
        magenta: the same for green.
        yellow: the same for blue.
    """
    shares = [rng.uniform(*share) for share in (cyan, magenta, yellow)]
    planes = [cv2.pow(np.maximum(image[:, :, i], _BLACK), share) for i, share in enumerate(shares)]
    return np.asarray(cv2.merge(planes), np.float32).reshape(image.shape)


def flicker(image: Image, rng: Rng, stops: Range = (-0.25, 0.25)) -> Image:
    """Exposure of a hand-cranked or worn camera: one gain in light, in stops (powers of two)."""
    return clip(image * np.float32(2 ** (rng.uniform(*stops) / 2.2)))
