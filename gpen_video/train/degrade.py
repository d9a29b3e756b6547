"""Synthetic low quality: each degradation a small function of an image and an explicit generator.

Images are (H, W, 3) float32 R'G'B' in 0..1. Blur is stated for 512-pixel faces and scales with the face.

Sources: GPEN's released training ranges (blur kernel 41 at sigma 0.1 to 10, down-sampling 0.8 to 8, noise to 20/255,
JPEG quality 60 to 100), Yang et al., CVPR 2021, equation 9 for the order: blur, down-sampling, noise, JPEG.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Rng = np.random.Generator
REFERENCE_SIDE = 512


@dataclass(frozen=True, slots=True)
class Ranges:
    """Uniform ranges of the published chain."""

    blur_sigma: tuple[float, float] = (0.1, 10.0)
    """Pixels at a 512-pixel face."""
    down: tuple[float, float] = (0.8, 8.0)
    noise: tuple[float, float] = (0.0, 20.0)
    """Standard deviation in 1/255."""
    jpeg: tuple[int, int] = (60, 100)


PUBLISHED = Ranges()
USUAL = Ranges(blur_sigma=(0.1, 5.0), down=(1.0, 5.0), noise=(0.0, 20.0), jpeg=(30, 100))
FILM = Ranges(blur_sigma=(0.5, 5.0), down=(1.0, 5.0), noise=(0.0, 6.0), jpeg=(30, 95))
MILD = Ranges(blur_sigma=(0.1, 2.0), down=(0.8, 2.0), noise=(0.0, 5.0), jpeg=(80, 100))


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float, radius: int) -> Image:
    """Normalised anisotropic Gaussian, (2 radius + 1) squared, its axes turned by `angle` radians."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = -x * np.sin(angle) + y * np.cos(angle)
    kernel = np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / sigma_y) ** 2))
    return np.asarray(kernel / kernel.sum(), np.float32)


def blur(image: Image, rng: Rng, sigma: tuple[float, float]) -> Image:
    """Gaussian blur, isotropic or anisotropic in equal parts."""
    scale = image.shape[0] / REFERENCE_SIDE
    isotropic = rng.random() < 0.5
    sigma_x = max(rng.uniform(*sigma) * scale, 0.05)
    sigma_y = sigma_x if isotropic else max(rng.uniform(*sigma) * scale, 0.05)
    radius = max(1, min(round(20 * max(scale, 0.25)), int(np.ceil(3 * max(sigma_x, sigma_y)))))
    if isotropic:
        side = 2 * radius + 1
        soft = cv2.GaussianBlur(image, (side, side), sigma_x, borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(soft, np.float32)
    kernel = gaussian_kernel(sigma_x, sigma_y, rng.uniform(-np.pi, np.pi), radius)
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), np.float32)


def gaussian_noise(image: Image, rng: Rng, sigma: tuple[float, float]) -> Image:
    """White noise, independent for each channel."""
    strength = np.float32(rng.uniform(*sigma) / 255)
    return np.clip(image + strength * rng.standard_normal(image.shape, np.float32), 0, 1)


def jpeg(image: Image, rng: Rng, quality: tuple[int, int]) -> Image:
    """One JPEG generation."""
    levels = np.round(image[:, :, ::-1] * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(quality[0], quality[1] + 1))])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return decoded[:, :, ::-1].astype(np.float32) / np.float32(255)


def film_grain(image: Image, rng: Rng, strength: tuple[float, float] = (2.0, 18.0)) -> Image:
    """Grain: strongest in the middle tones, correlated over about a pixel, alike in all channels."""
    grain = rng.standard_normal(image.shape[:2], np.float32)
    width = rng.uniform(0.4, 1.2)
    grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), width), np.float32)
    grain *= np.float32(rng.uniform(*strength) / 255) / grain.std()
    luma = image.mean(axis=2)
    envelope = 0.35 + 2.6 * luma * (1 - luma)
    return np.asarray(np.clip(image + (grain * envelope)[:, :, None], 0, 1), np.float32)


def scratches(image: Image, rng: Rng) -> Image:
    """A few thin vertical lines, light or dark, that wander a little."""
    result = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        column = rng.uniform(0, width) + np.cumsum(rng.normal(0, 0.08, height))
        distance = np.abs(np.arange(width)[None] - column[:, None])
        line = np.clip(1 - distance / rng.uniform(0.6, 1.4), 0, 1) * rng.uniform(0.1, 0.5)
        tone = rng.choice([0.05, 0.95])
        result += (line[:, :, None] * (tone - result)).astype(np.float32)
    return result


def dust(image: Image, rng: Rng) -> Image:
    """Specks, light or dark."""
    result = image.copy()
    side = image.shape[0]
    for _ in range(int(rng.integers(1, 7))):
        speck = np.zeros(image.shape[:2], np.float32)
        centre = (int(rng.integers(0, side)), int(rng.integers(0, side)))
        axes = (max(1, round(side * rng.uniform(0.003, 0.012))), max(1, round(side * rng.uniform(0.003, 0.012))))
        cv2.ellipse(speck, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
        result += speck[:, :, None] * (np.float32(rng.choice([0.05, 0.95])) - result) * np.float32(rng.uniform(0.4, 1))
    return result


def grey(image: Image, rng: Rng) -> Image:
    """Black and white as panchromatic or orthochromatic (blind to red) stock sees it."""
    ortho, pan = np.array([0.05, 0.55, 0.40]), np.array([0.299, 0.587, 0.114])
    weights = (pan + rng.uniform(0, 1) * (ortho - pan)).astype(np.float32)
    return np.repeat((image @ weights)[:, :, None], 3, axis=2)


def tone(image: Image, rng: Rng) -> Image:
    """Contrast and exposure as a worn print or a poor transfer has them."""
    gamma = np.exp(rng.normal(0, 0.12))
    black, white = rng.uniform(0, 0.06), rng.uniform(0.9, 1.0)
    return (black + (white - black) * np.power(image, gamma)).astype(np.float32)


def downsample(image: Image, rng: Rng, factor: tuple[float, float]) -> Image:
    """Bilinear, as the published chain does it."""
    side = max(8, round(image.shape[0] / rng.uniform(*factor)))
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def published(image: Image, rng: Rng, ranges: Ranges = PUBLISHED, enlarge: int = cv2.INTER_LINEAR) -> Image:
    """The published chain: blur, down-sampling, noise, JPEG, and back to size, as published bilinearly."""
    return _chain(image, rng, ranges, lambda small: small, enlarge)


def archival(image: Image, rng: Rng, enlarge: int = cv2.INTER_CUBIC) -> Image:
    """Film and tape: soft, grainy, marked, then as a transfer compresses it."""

    def marks(small: Image) -> Image:
        small = film_grain(small, rng)
        if rng.random() < 0.25:
            small = scratches(small, rng)
        return dust(small, rng) if rng.random() < 0.3 else small

    return _chain(image, rng, FILM, marks, enlarge)


def _chain(image: Image, rng: Rng, ranges: Ranges, marks: Callable[[Image], Image], enlarge: int) -> Image:
    side = image.shape[0]
    small = downsample(blur(image, rng, ranges.blur_sigma), rng, ranges.down)
    small = jpeg(gaussian_noise(marks(small), rng, ranges.noise), rng, ranges.jpeg)
    return np.clip(cv2.resize(small, (side, side), interpolation=enlarge), 0, 1)


def training_pair(image: Image, rng: Rng) -> tuple[Image, Image]:
    """A (degraded, target) pair of the mixture that the shipped network is trained on.

    Three in ten are black and white in both, so that the network does not colour; tone changes are in both as well:
    the film's grading is not ours to undo. Faces are enlarged as `faces.align` enlarges them, with cubic interpolation.
    """
    if rng.random() < 0.3:
        image = grey(image, rng)
    if rng.random() < 0.5:
        image = tone(image, rng)
    chance = rng.random()
    if chance < 0.15:
        return published(image, rng, PUBLISHED, cv2.INTER_CUBIC), image
    if chance < 0.50:
        return published(image, rng, USUAL, cv2.INTER_CUBIC), image
    if chance < 0.60:
        return published(image, rng, MILD, cv2.INTER_CUBIC), image
    return archival(image, rng), image
