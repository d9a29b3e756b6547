import cv2
import numpy as np
import pytest

from gpen_video.train import degrade
from gpen_video.train.degrade import STOCKS, Stock
from gpen_video.train.degrade.film import grain_of, line_kernel


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(level: float, side: int = 256) -> np.ndarray:
    return np.full((side, side, 3), level, np.float32)


def autocorrelation(noise: np.ndarray, lag: int) -> float:
    noise = noise - noise.mean()
    return float((noise[:, lag:] * noise[:, : noise.shape[1] - lag]).mean() / np.square(noise).mean())


def test_grain_is_alike_in_all_channels_and_strongest_in_the_middle_tones() -> None:
    strength = {}
    for level in (0.02, 0.25, 0.5, 0.75, 0.98):
        grain = degrade.film_grain(flat(level), rng(), (5, 5)) - flat(level)
        assert np.abs(np.ptp(grain, axis=2)).max() < 1e-6
        strength[level] = grain.std()
    assert strength[0.5] > 2 * strength[0.02] and strength[0.5] > 2 * strength[0.98]
    assert strength[0.5] > strength[0.25] > strength[0.02]
    assert strength[0.5] > strength[0.75] > strength[0.98]


def test_grain_has_the_stated_strength_at_middle_grey() -> None:
    for width in (0.4, 0.8, 1.6):
        grain = degrade.film_grain(flat(0.5), rng(), (10, 10), (width, width)) - flat(0.5)
        assert grain[:, :, 0].std() * 255 == pytest.approx(10, rel=0.03)


def test_colour_grain_shares_what_it_says() -> None:
    grain = degrade.film_grain(flat(0.5), rng(), (10, 10), colour=(0.4, 0.4)) - flat(0.5)
    correlation = np.corrcoef(grain.reshape(-1, 3).T)
    np.testing.assert_allclose(correlation[np.triu_indices(3, 1)], 0.6, atol=0.03)
    assert grain.std() * 255 == pytest.approx(10, rel=0.03)


def test_grain_of_a_stock_is_as_wide_as_its_clumps() -> None:
    # 5 micrometres on 7.49 micrometres a pixel, seen through a spot of 0.4 pixels.
    stock = Stock("test", 7.49, granularity=(14, 14), grain_um=(5, 5), contrast=(2, 2))
    width = np.hypot(5 / 7.49, 0.4)
    grain = (degrade.stock_grain(flat(0.5, 512), rng(), stock, lines=(1000, 1000)) - flat(0.5, 512))[:, :, 0]
    for lag in (1, 2):
        assert autocorrelation(grain, lag) == pytest.approx(np.exp(-(lag**2) / (4 * width**2)), abs=0.03)


def test_strength_of_a_stock_is_selwyns() -> None:
    """Density noise drawn micrometre by micrometre, once under the meter's aperture, once under the scanner's spot."""
    side, lines = 1024, 576
    density = rng().standard_normal((side, side)).astype(np.float32)
    y, x = np.mgrid[-24:25, -24:25]
    aperture = (x * x + y * y <= 24**2).astype(np.float32)
    through_aperture = cv2.filter2D(density, -1, aperture / aperture.sum())
    density *= 0.014 / through_aperture.std()  # RMS granularity 14
    stock = Stock("test", 16.0, granularity=(14, 14), grain_um=(5, 5), contrast=(2.5, 2.5))
    strength, width = grain_of(stock, lines, rng())
    pixel = 16000 / lines
    seen = cv2.GaussianBlur(density, (0, 0), float(np.hypot(5, 0.4 * pixel)))
    around_grey = 0.5 * 10 ** (-2.5 * seen / 2.2)
    assert width == pytest.approx(np.hypot(5 / pixel, 0.4))
    assert strength == pytest.approx(255 * around_grey.std(), rel=0.1)


def test_a_smaller_gauge_is_grainier_in_the_same_scan() -> None:
    strengths, widths = zip(
        *(np.mean([grain_of(stock, 576, rng(seed)) for seed in range(200)], axis=0) for stock in STOCKS), strict=True
    )
    assert [stock.name for stock in STOCKS] == ["8 mm", "16 mm", "35 mm"]
    assert strengths[1] > strengths[2] and strengths[0] > strengths[2]
    assert widths[0] > widths[1] > widths[2]


def test_halation_is_a_red_glow_around_what_is_bright() -> None:
    lamp = np.full((256, 256, 3), 0.1, np.float32)
    lamp[120:136, 120:136] = 1
    glow = degrade.halation(lamp, rng(), radius=(12, 12), strength=(0.4, 0.4)) - lamp
    assert glow.min() > -1e-6
    red, green, blue = glow[128, 138]
    assert red > green > blue > 0
    assert glow[128, 138, 0] > glow[128, 146, 0] > glow[128, 200, 0]
    dark = np.full((64, 64, 3), 0.6, np.float32)  # 0.6 is a third of white's light
    np.testing.assert_allclose(degrade.halation(dark, rng()), dark, atol=1e-6)
    neutral = degrade.halation(lamp, rng(), tint=(1, 1, 1))
    assert np.ptp(neutral, axis=2).max() < 1e-6


@pytest.mark.parametrize(("across", "down"), [(0.0, 6.0), (4.0, 0.0), (3.0, -5.0), (0.0, 0.0)])
def test_a_line_kernel_has_the_moments_of_a_line(across: float, down: float) -> None:
    kernel = line_kernel(across, down).astype(np.float64)
    radius = kernel.shape[0] // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    assert kernel.sum() == pytest.approx(1)
    assert abs((kernel * x).sum()) < 1e-6 and abs((kernel * y).sum()) < 1e-6
    # Sharing a point between two samples adds at most 1/4 of a pixel squared.
    assert 0 <= (kernel * x * x).sum() - across**2 / 12 + 1e-2 < 0.27
    assert 0 <= (kernel * y * y).sum() - down**2 / 12 + 1e-2 < 0.27


def test_scratches_are_vertical_and_narrow() -> None:
    for seed in range(20):
        marked = degrade.scratches(flat(0.5), rng(seed), count=(2, 2), width=(1, 1), wander=0)
        columns = np.flatnonzero(np.abs(marked - 0.5).max(axis=(0, 2)) > 0)
        assert 1 <= len(columns) <= 4
        np.testing.assert_array_equal(marked, np.broadcast_to(marked[:1], marked.shape))


@pytest.mark.parametrize("seed", range(10))
def test_dust_and_hairs_cover_little(seed: int) -> None:
    dusty = degrade.dust(flat(0.5), rng(seed), count=(3, 3), size=(0.01, 0.01))
    assert 3 <= (dusty != 0.5).any(axis=2).sum() <= 3 * np.pi * (1.3 * 2.56 + 3) ** 2
    hairy = degrade.hairs(flat(0.5), rng(seed), count=(1, 1), length=(100, 100))
    assert 3 <= (hairy != 0.5).any(axis=2).sum() <= 6 * 50 + 40  # 50 pixels long, at most 6 across with its soft edge
    untouched = degrade.dust(flat(0.5), rng(seed), count=(0, 0))
    np.testing.assert_array_equal(untouched, flat(0.5))
