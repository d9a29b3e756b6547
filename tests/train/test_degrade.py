from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpen_video.train import degrade
from gpen_video.train.degrade import MILD, PUBLISHED
from gpen_video.train.degrade.mixture import draw_chain

SIDE = 128
ORACLE = Path(__file__).parents[2].parent / "shared" / "oracle"


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def picture(height: int, width: int) -> np.ndarray:
    """Smooth colour with detail, read-only: whatever writes into it fails."""
    made = rng().random((height, width, 3), np.float32)
    made = cv2.GaussianBlur(made, (0, 0), 2).reshape(made.shape)
    made = (made - made.min()) / max(float(np.ptp(made)), 1e-3)
    made.flags.writeable = False
    return made


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return picture(SIDE, SIDE)


Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
ALL: dict[str, Degradation] = {
    name: getattr(degrade, name)
    for name in (
        "blur", "gaussian_noise", "jpeg", "published", "film_grain", "halation", "weave_blur", "scratches", "dust",
        "hairs", "tone", "dye_fade", "flicker", "grey", "combing", "chroma_bleed", "luma_ringing", "tape_noise",
        "line_jitter", "head_switching", "dropouts", "mpeg", "h263", "cinepak", "archival",
    )
}  # fmt: skip
ALL |= {stock.name: lambda x, r, s=stock: degrade.stock_grain(x, r, s) for stock in degrade.STOCKS}
ALL["colour grain"] = lambda x, r: degrade.film_grain(x, r, colour=(0.5, 1.0))
ALL["pair"] = lambda x, r: degrade.training_pair(x, r)[0]
ALL["clip"] = lambda x, r: degrade.training_clip(x, r, 2).degraded_thwc[1]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(4))
def test_range_type_and_seed(image: np.ndarray, name: str, seed: int) -> None:
    once, again = ALL[name](image, rng(seed)), ALL[name](image, rng(seed))
    assert once.shape == image.shape
    assert once.dtype == np.float32
    assert once.min() >= -1e-6 and once.max() <= 1 + 1e-6
    assert np.array_equal(once, again)
    assert not np.array_equal(once, image)
    assert not np.shares_memory(once, image)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(ALL)), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_any_size_and_seed(name: str, height: int, width: int, seed: int) -> None:
    made = ALL[name](picture(height, width), rng(seed))
    assert made.shape == (height, width, 3)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert made.min() >= -1e-6 and made.max() <= 1 + 1e-6


@pytest.mark.parametrize(("sigma_x", "sigma_y", "angle"), [(1.0, 1.0, 0.0), (3.0, 1.0, 0.0), (2.0, 4.0, 0.7)])
def test_gaussian_kernel_has_the_moments_of_its_name(sigma_x: float, sigma_y: float, angle: float) -> None:
    kernel = degrade.gaussian_kernel(sigma_x, sigma_y, angle, 25).astype(np.float64)
    y, x = np.mgrid[-25:26, -25:26]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    measured = [[(kernel * x * x).sum(), (kernel * x * y).sum()], [(kernel * x * y).sum(), (kernel * y * y).sum()]]
    np.testing.assert_allclose(measured, covariance, rtol=0.01, atol=0.01)


@pytest.mark.skipif(not ORACLE.is_dir(), reason="the published network's golden values are not here")
def test_gaussian_kernel_is_the_published_one() -> None:
    import json

    golden = np.load(ORACLE / "degradation.npz")
    for of in json.loads((ORACLE / "degradation.json").read_text())["kernels"]:
        kernel = degrade.gaussian_kernel(of["sigma_x"], of["sigma_y"], of["theta"], of["size"] // 2)
        np.testing.assert_allclose(kernel, golden[f"kernel/{of['name']}"], atol=1e-6)


def test_noise_has_the_stated_strength() -> None:
    middle = np.full((256, 256, 3), 0.5, np.float32)
    noisy = degrade.gaussian_noise(middle, rng(), (10, 10))
    assert noisy.std() * 255 == pytest.approx(10, rel=0.02)


def test_milder_ranges_do_less_harm(image: np.ndarray) -> None:
    def error(ranges: degrade.Ranges) -> float:
        return float(np.mean([np.square(degrade.published(image, rng(s), ranges) - image).mean() for s in range(20)]))

    assert error(MILD) < 0.5 * error(PUBLISHED)


def test_black_and_white_stays_so_in_both_images_of_a_pair(image: np.ndarray) -> None:
    neutral = np.repeat(image[:, :, :1], 3, axis=2)
    for seed in range(20):
        _, target = degrade.training_pair(neutral, rng(seed))
        assert np.ptp(target, axis=2).max() < 1e-6


def test_three_targets_in_ten_are_black_and_white() -> None:
    small = picture(16, 16)
    targets = [degrade.training_pair(small, rng(seed))[1] for seed in range(400)]
    share = np.mean([np.ptp(target, axis=2).max() < 1e-6 for target in targets])
    assert share == pytest.approx(0.3, abs=0.08)  # 3.5 standard deviations


@pytest.mark.parametrize("share", [0.0, 0.45, 1.0])
def test_as_many_chains_are_archival_as_asked_for(share: float) -> None:
    """62 of 100 archival chains are of film, the only ones with grain."""
    chains = [draw_chain(rng(seed), black_and_white=False, archival_share=share) for seed in range(400)]
    grainy = [any(getattr(step, "func", None) is degrade.film_grain for step in chain) for chain in chains]
    assert np.mean(grainy) == pytest.approx(0.62 * share, abs=0.085)  # 3.5 standard deviations


def test_the_target_is_graded_point_by_point(image: np.ndarray) -> None:
    """Nothing moves or blurs: where a neutral picture was brighter, each channel of its target is, too."""
    neutral = np.repeat(image[:, :, :1], 3, axis=2)
    order = np.argsort(neutral[:, :, 0], axis=None)
    for seed in range(40):
        degraded, target = degrade.training_pair(neutral, rng(seed))
        assert np.diff(target.reshape(-1, 3)[order], axis=0).min() > -1e-6
        assert not np.array_equal(degraded, target)


@pytest.mark.parametrize(
    "weights", [degrade.PANCHROMATIC, degrade.ORTHOCHROMATIC, degrade.BLUE_SENSITIVE], ids=["pan", "ortho", "blue"]
)
def test_spectral_weights_keep_white_and_greys(weights: tuple[float, float, float]) -> None:
    assert sum(weights) == pytest.approx(1)
    ramp = np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 6, 1).repeat(3, axis=2)
    np.testing.assert_allclose(degrade.black_and_white(ramp, weights), ramp, atol=1e-6)


def test_red_is_dark_on_orthochromatic_and_black_on_blue_sensitive_stock() -> None:
    red = np.zeros((2, 2, 3), np.float32)
    red[:, :, 0] = 1
    stocks = degrade.PANCHROMATIC, degrade.ORTHOCHROMATIC, degrade.BLUE_SENSITIVE
    pan, ortho, blue = (float(degrade.black_and_white(red, weights)[0, 0, 0]) for weights in stocks)
    assert pan == pytest.approx(np.sqrt(0.3), abs=1e-3)
    assert blue == 0 < ortho < 0.5 * pan


def test_grey_is_neutral(image: np.ndarray) -> None:
    assert all(np.ptp(degrade.grey(image, rng(seed)), axis=2).max() == 0 for seed in range(20))


def test_tone_maps_black_and_white_to_where_it_says() -> None:
    ends = np.array([[[0.0] * 3, [1.0] * 3]], np.float32)
    made = degrade.tone(ends, rng(), black=(0.04, 0.04), white=(0.93, 0.93))
    np.testing.assert_allclose(made[0, :, 0], [0.04, 0.93], atol=1e-6)


def test_faded_dyes_lose_their_share_of_density(image: np.ndarray) -> None:
    bright = 0.2 + 0.8 * image
    faded = degrade.dye_fade(bright, rng(), (0.5, 0.5), (0.9, 0.9), (0.7, 0.7))
    share = np.log(faded[bright.max(axis=2) < 0.99]) / np.log(bright[bright.max(axis=2) < 0.99])
    np.testing.assert_allclose(share, np.broadcast_to([0.5, 0.9, 0.7], share.shape), atol=1e-4)
    black = degrade.dye_fade(np.zeros((1, 1, 3), np.float32), rng(), (0.5, 0.5), (1, 1), (1, 1))
    assert black[0, 0, 0] == pytest.approx(10 ** (-0.5 * 3.0 / 2.2))  # density 3, half of it left


def test_one_stop_doubles_the_light() -> None:
    middle = np.full((2, 2, 3), 0.4, np.float32)
    brighter = degrade.flicker(middle, rng(), (1, 1))
    np.testing.assert_allclose((brighter / middle) ** 2.2, 2, rtol=1e-5)


def test_the_sheet_shows_what_it_names() -> None:
    small = picture(48, 96)
    sheet = degrade.contact_sheet(small, 3)
    cell = 48 + 18
    assert sheet.shape[0] % cell == 0 and sheet.shape[1] == 9 * 96
    assert sheet.dtype == np.float32 and sheet.min() >= -1e-6 and sheet.max() <= 1 + 1e-6
    np.testing.assert_array_equal(sheet[18:cell, :96], small)
    np.testing.assert_array_equal(sheet, degrade.contact_sheet(small, 3))
    cells = sheet.reshape(-1, cell, 9, 96, 3).swapaxes(1, 2).reshape(-1, cell, 96, 3)
    drawn = [one for one in cells if one[18:].min() < 1]
    assert len(drawn) == len({one[18:].tobytes() for one in drawn}) > 90
    assert all(one[:18].min() < 0.5 for one in drawn)  # each has a name
