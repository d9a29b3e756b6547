import numpy as np
import pytest

from gpen_video.train import degrade
from gpen_video.train.degrade.images import rgb_from_ycc, ycc_from_rgb
from gpen_video.train.degrade.tape import SAMPLES_PER_US

HEIGHT, WIDTH = 96, 540


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_ycc(y: np.ndarray | float, cb: np.ndarray | float, cr: np.ndarray | float) -> np.ndarray:
    planes = [np.broadcast_to(np.asarray(plane, np.float32), (HEIGHT, WIDTH)) for plane in (y, cb, cr)]
    return rgb_from_ycc(np.ascontiguousarray(np.stack(planes, axis=2)))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Colours that no filter takes out of range."""
    return (0.4 + 0.2 * rng().random((HEIGHT, WIDTH, 3))).astype(np.float32)


def wave(megahertz: float) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * megahertz / SAMPLES_PER_US * np.arange(WIDTH))


def amplitude(row: np.ndarray) -> float:
    return float(np.sqrt(2) * row[100:-100].std())


def test_ycc_is_bt601() -> None:
    colours = np.array([[[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]], np.float32)
    expected = [[1, 0, 0], [0, 0, 0], [0.299, -0.168736, 0.5], [0.587, -0.331264, -0.418688], [0.114, 0.5, -0.081312]]
    np.testing.assert_allclose(ycc_from_rgb(colours)[0], expected, atol=1e-6)
    np.testing.assert_allclose(rgb_from_ycc(ycc_from_rgb(colours)), colours, atol=1e-6)


def test_combing_moves_the_odd_lines_alone(image: np.ndarray) -> None:
    pixels = 512 / HEIGHT  # of a reference face
    combed = degrade.combing(image, rng(), across=(3 * pixels, 3 * pixels), down=(0, 0))
    np.testing.assert_array_equal(combed[::2], image[::2])
    np.testing.assert_allclose(combed[1::2, 3:], image[1::2, :-3], atol=1e-5)


def test_chroma_bleed_leaves_luma(image: np.ndarray) -> None:
    for seed in range(8):
        bled = ycc_from_rgb(degrade.chroma_bleed(image, rng(seed)))
        np.testing.assert_allclose(bled[:, :, 0], ycc_from_rgb(image)[:, :, 0], atol=1e-5)
        assert bled[:, :, 1:].std() < 0.5 * ycc_from_rgb(image)[:, :, 1:].std()


@pytest.mark.parametrize("bandwidth", [0.3, 0.6])
def test_bandwidth_is_where_half_the_power_is_left(bandwidth: float) -> None:
    fixed = (bandwidth, bandwidth)
    chroma = degrade.chroma_bleed(of_ycc(0.5, wave(bandwidth), 0), rng(), fixed, (0, 0), (0, 0))
    assert amplitude(ycc_from_rgb(chroma)[40, :, 1]) == pytest.approx(0.1 * np.sqrt(0.5), rel=0.02)
    fixed = (4 * bandwidth, 4 * bandwidth)
    luma = degrade.luma_ringing(of_ycc(0.5 + wave(4 * bandwidth), 0, 0), rng(), fixed, (0, 0))
    assert amplitude(ycc_from_rgb(luma)[40, :, 0]) == pytest.approx(0.1 * np.sqrt(0.5), rel=0.02)


def test_chroma_comes_late_and_low() -> None:
    spot = np.zeros((HEIGHT, WIDTH))
    spot[40, 200] = 0.2
    made = ycc_from_rgb(degrade.chroma_bleed(of_ycc(0.5, spot, 0), rng(), (0.5, 0.5), (0.3, 0.3), (1.5, 1.5)))
    weight = made[:, :, 1] / made[:, :, 1].sum()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    assert (weight * x).sum() - 200 == pytest.approx(0.3 * SAMPLES_PER_US, abs=0.05)
    assert (weight * y).sum() - 40 == pytest.approx(1.5, abs=0.05)


def test_peaking_overshoots_at_edges_and_nowhere_else() -> None:
    edge = np.where(np.arange(WIDTH) < 270, 0.3, 0.7)
    made = degrade.luma_ringing(of_ycc(edge, 0.05, -0.05), rng(), (2, 2), (0.8, 0.8))
    y, cb, cr = np.moveaxis(ycc_from_rgb(made), 2, 0)
    assert y[40, 240:270].min() < 0.28 and y[40, 270:300].max() > 0.72
    np.testing.assert_allclose(y[:, [10, -10]], [[0.3, 0.7]] * HEIGHT, atol=1e-5)
    np.testing.assert_allclose([cb.mean(), cr.mean()], [0.05, -0.05], atol=1e-5)
    plain = degrade.luma_ringing(of_ycc(edge, 0, 0), rng(), (2, 2), (0, 0))
    assert plain.min() > 0.3 - 1e-5 and plain.max() < 0.7 + 1e-5


def test_tape_noise_has_the_stated_strength_and_runs_along_the_line() -> None:
    made = degrade.tape_noise(of_ycc(0.5, 0, 0), rng(), luma=(6, 6), chroma=(3, 3))
    y, cb, _ = np.moveaxis(ycc_from_rgb(made) - [0.5, 0, 0], 2, 0)
    assert 255 * y.std() == pytest.approx(6, rel=0.05)
    assert 255 * cb.std() == pytest.approx(3, rel=0.1)
    along, down = ((a * b).mean() / np.square(cb).mean() for a, b in ((cb[:, 4:], cb[:, :-4]), (cb[4:], cb[:-4])))
    assert along > 0.5 > 0.2 > down


def test_jitter_moves_lines_sideways_only() -> None:
    rows = np.linspace(0.1, 0.9, HEIGHT)[:, None]
    still = of_ycc(rows, 0, 0)
    np.testing.assert_allclose(degrade.line_jitter(still, rng()), still, atol=1e-6)
    edge = of_ycc(np.where(np.arange(WIDTH) < 270, 0.2, 0.8), 0, 0)
    start = (degrade.line_jitter(edge, rng(), (0.5, 0.5))[:, :, 0] < 0.5).sum(axis=1)
    assert 0 < start.std() < 1.5


def test_head_switching_spares_what_is_above(image: np.ndarray) -> None:
    made = degrade.head_switching(image, rng(), height=(0.05, 0.05))
    np.testing.assert_array_equal(made[:-5], image[:-5])
    assert all(not np.array_equal(made[row], image[row]) for row in range(HEIGHT - 5, HEIGHT))


@pytest.mark.parametrize("seed", range(6))
def test_a_dropout_is_one_line_high(image: np.ndarray, seed: int) -> None:
    made = degrade.dropouts(image, rng(seed), count=(3, 3), length=(20, 20))
    changed = (made != image).any(axis=2)
    assert 1 <= changed.any(axis=1).sum() <= 3
    assert changed.sum() <= 60
