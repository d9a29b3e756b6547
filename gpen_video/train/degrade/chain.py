"""The published chain: blur, down-sampling, noise, JPEG.

Sources: GPEN's released training ranges (blur kernel 41 at sigma 0.1 to 10, down-sampling 0.8 to 8, noise to 20/255,
JPEG quality 60 to 100), Yang et al., CVPR 2021, equation 9 for the order.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from gpen_video.train.degrade.images import Image, Range, Rng, scale_of


@dataclass(frozen=True, slots=True)
class Ranges:
    """Uniform ranges of the published chain."""

    blur_sigma: Range = (0.1, 10.0)
    """Pixels at a 512-pixel face."""
    down: Range = (0.8, 8.0)
    noise: Range = (0.0, 20.0)
    """Standard deviation in 1/255."""
    jpeg: tuple[int, int] = (60, 100)


PUBLISHED = Ranges()
USUAL = Ranges(blur_sigma=(0.1, 5.0), down=(1.0, 5.0), noise=(0.0, 20.0), jpeg=(30, 100))
MILD = Ranges(blur_sigma=(0.1, 2.0), down=(0.8, 2.0), noise=(0.0, 5.0), jpeg=(80, 100))


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float, radius: int) -> Image:
    """Normalised anisotropic Gaussian, (2 radius + 1) squared, its axes turned by `angle` radians."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = -x * np.sin(angle) + y * np.cos(angle)
    kernel = np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / sigma_y) ** 2))
    return np.asarray(kernel / kernel.sum(), np.float32)


def blur(image: Image, rng: Rng, sigma: Range = PUBLISHED.blur_sigma) -> Image:
    """Gaussian blur, isotropic or anisotropic in equal parts."""
    scale = scale_of(image)
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


def downsample(image: Image, rng: Rng, factor: Range = PUBLISHED.down) -> Image:
    """Bilinear, as the published chain does it; no side gets below 8 pixels."""
    height, width = image.shape[:2]
    by = rng.uniform(*factor)
    size = max(8, round(width / by)), max(8, round(height / by))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.float32)


def gaussian_noise(image: Image, rng: Rng, sigma: Range = PUBLISHED.noise) -> Image:
    """White noise, independent for each channel; `sigma` in 1/255."""
    strength = np.float32(rng.uniform(*sigma) / 255)
    return np.clip(image + strength * rng.standard_normal(image.shape, np.float32), 0, 1)


def jpeg(image: Image, rng: Rng, quality: tuple[int, int] = PUBLISHED.jpeg) -> Image:
    """One JPEG generation; `quality` on libjpeg's scale, both ends included."""
    levels = np.round(image[:, :, ::-1] * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(quality[0], quality[1] + 1))])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return decoded[:, :, ::-1].astype(np.float32) / np.float32(255)


def enlarged(small: Image, like: Image, interpolation: int) -> Image:
    """Back to the size of `like`, clipped."""
    height, width = like.shape[:2]
    return np.clip(cv2.resize(small, (width, height), interpolation=interpolation), 0, 1)


def published(image: Image, rng: Rng, ranges: Ranges = PUBLISHED, enlarge: int = cv2.INTER_LINEAR) -> Image:
    """The published chain: blur, down-sampling, noise, JPEG, and back to size, as published bilinearly."""
    small = downsample(blur(image, rng, ranges.blur_sigma), rng, ranges.down)
    small = jpeg(gaussian_noise(small, rng, ranges.noise), rng, ranges.jpeg)
    return enlarged(small, image, enlarge)
