from collections.abc import Callable

import cv2
import numpy as np
import pytest

from gpen_video.train import degrade
from gpen_video.train.degrade import MILD, PUBLISHED

SIDE = 128


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Smooth colour with detail, read-only."""
    made = rng().random((SIDE, SIDE, 3), np.float32)
    made = cv2.GaussianBlur(made, (0, 0), 2)
    made = (made - made.min()) / (made.max() - made.min())
    made.flags.writeable = False
    return made


Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
ALL: dict[str, Degradation] = {
    "blur": lambda x, r: degrade.blur(x, r, PUBLISHED.blur_sigma),
    "gaussian_noise": lambda x, r: degrade.gaussian_noise(x, r, PUBLISHED.noise),
    "jpeg": lambda x, r: degrade.jpeg(x, r, PUBLISHED.jpeg),
    "film_grain": degrade.film_grain,
    "scratches": degrade.scratches,
    "dust": degrade.dust,
    "grey": degrade.grey,
    "tone": degrade.tone,
    "published": degrade.published,
    "archival": degrade.archival,
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(4))
def test_range_type_and_seed(image: np.ndarray, name: str, seed: int) -> None:
    once, again = ALL[name](image, rng(seed)), ALL[name](image, rng(seed))
    assert once.shape == image.shape
    assert once.dtype == np.float32
    assert once.min() >= -1e-6 and once.max() <= 1 + 1e-6
    assert np.array_equal(once, again)
    assert not np.array_equal(once, image)


@pytest.mark.parametrize(("sigma_x", "sigma_y", "angle"), [(1.0, 1.0, 0.0), (3.0, 1.0, 0.0), (2.0, 4.0, 0.7)])
def test_gaussian_kernel_has_the_moments_of_its_name(sigma_x: float, sigma_y: float, angle: float) -> None:
    kernel = degrade.gaussian_kernel(sigma_x, sigma_y, angle, 25).astype(np.float64)
    y, x = np.mgrid[-25:26, -25:26]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    measured = [[(kernel * x * x).sum(), (kernel * x * y).sum()], [(kernel * x * y).sum(), (kernel * y * y).sum()]]
    np.testing.assert_allclose(measured, covariance, rtol=0.01, atol=0.01)


def test_noise_has_the_stated_strength() -> None:
    middle = np.full((256, 256, 3), 0.5, np.float32)
    noisy = degrade.gaussian_noise(middle, rng(), (10, 10))
    assert noisy.std() * 255 == pytest.approx(10, rel=0.02)


def test_grain_is_alike_in_all_channels_and_strongest_in_the_middle_tones() -> None:
    strength = {}
    for level in (0.02, 0.5):
        flat = np.full((256, 256, 3), level, np.float32)
        grain = degrade.film_grain(flat, rng(), (5, 5)) - flat
        assert np.abs(np.ptp(grain, axis=2)).max() < 1e-6
        strength[level] = grain.std()
    assert strength[0.5] > 2 * strength[0.02]


def test_grey_is_neutral(image: np.ndarray) -> None:
    assert np.ptp(degrade.grey(image, rng()), axis=2).max() == 0


def test_black_and_white_stays_so_in_both_images_of_a_pair(image: np.ndarray) -> None:
    neutral = np.repeat(image[:, :, :1], 3, axis=2)
    for seed in range(20):
        _, target = degrade.training_pair(neutral, rng(seed))
        assert np.ptp(target, axis=2).max() < 1e-6


def test_milder_ranges_do_less_harm(image: np.ndarray) -> None:
    def error(ranges: degrade.Ranges) -> float:
        return float(np.mean([np.square(degrade.published(image, rng(s), ranges) - image).mean() for s in range(20)]))

    assert error(MILD) < 0.5 * error(PUBLISHED)
