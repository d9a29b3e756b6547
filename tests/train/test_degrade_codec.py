from collections.abc import Callable
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from gpen_video.train import degrade


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """176 x 144, as H.263 wants it, black and white: gradients, edges and a little texture."""
    y, x = np.mgrid[:144, :176].astype(np.float32)
    made = 0.25 + 0.3 * x / 176 + 0.2 * y / 144
    cv2.circle(made, (80, 70), 45, 0.8, -1, cv2.LINE_AA)
    cv2.circle(made, (65, 60), 7, 0.2, -1, cv2.LINE_AA)
    cv2.circle(made, (95, 60), 7, 0.2, -1, cv2.LINE_AA)
    made += 0.05 * cv2.GaussianBlur(rng().standard_normal((144, 176)).astype(np.float32), (0, 0), 1.2)
    return np.repeat(np.clip(made, 0, 1)[:, :, None], 3, axis=2)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square((a - b).astype(np.float64)).mean()))


def ffmpegs(image: np.ndarray, codec: str, quantiser: int) -> np.ndarray:
    """One black-and-white intra picture through FFmpeg's encoder and decoder at a fixed quantiser."""
    height, width = image.shape[:2]
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
    encoder.gop_size, encoder.qmin, encoder.qmax = 1, quantiser, quantiser
    encoder.options = {"flags": "+qscale"}
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = np.rint(16 + 219 * image[:, :, 0])
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoder = av.CodecContext.create(codec, "r")
    (decoded,) = [one for packet in packets for one in decoder.decode(packet)] + decoder.decode(None)
    luma = decoded.to_ndarray()[:height].astype(np.float32)
    return np.repeat((luma[:, :, None] - 16) / 219, 3, axis=2)


# MPEG-1's mismatch control (odd coefficients only) is left out, H.263 has none.
@pytest.mark.parametrize("quantiser", [3, 10, 20, 31])
@pytest.mark.parametrize(("ours", "codec", "alike"), [(degrade.mpeg, "mpeg1video", 49), (degrade.h263, "h263", 53)])
def test_what_is_lost_is_what_the_real_codec_loses(
    image: np.ndarray, ours: Callable[..., np.ndarray], codec: str, alike: float, quantiser: int
) -> None:
    real, made = ffmpegs(image, codec, quantiser), ours(image, rng(), (quantiser, quantiser))
    assert psnr(made, image) == pytest.approx(psnr(real, image), abs=0.5)
    assert psnr(made, real) > alike  # but for roundings the same picture


@pytest.mark.parametrize("codec", [degrade.mpeg, degrade.h263])
def test_a_flat_block_keeps_its_level_within_half_a_step(codec: Callable[..., np.ndarray]) -> None:
    for quantiser in (1, 8, 31):
        for level in np.linspace(0, 1, 17):
            flat = np.full((20, 12, 3), level, np.float32)
            assert np.abs(codec(flat, rng(), (quantiser, quantiser)) - flat).max() <= 0.5 / 219 + 1e-5


def test_coarser_steps_lose_more(image: np.ndarray) -> None:
    for codec in (degrade.mpeg, degrade.h263):
        errors = [np.square(codec(image, rng(), (q, q)) - image).mean() for q in (2, 6, 12, 24)]
        assert errors == sorted(errors)


def test_faint_detail_falls_into_the_dead_zone() -> None:
    # One cosine of the block whose coefficient is 4 * 4 * amplitude (in levels) on both axes together.
    place = np.arange(8)
    ripple = np.outer(np.cos((2 * place + 1) * 3 * np.pi / 16), np.cos((2 * place + 1) * 3 * np.pi / 16))
    for coefficient, survives in ((19.0, False), (21.0, True)):
        block = np.rint(219 * 0.5) / 219 + np.tile(ripple, (2, 2)) * coefficient / 4 / 219
        picture = np.repeat(block[:, :, None], 3, axis=2).astype(np.float32)
        coded = degrade.h263(picture, rng(), (10, 10))
        assert (np.ptp(coded) > 0.01) == survives


def test_cinepak_has_no_more_patches_than_its_codebook(image: np.ndarray) -> None:
    coded = degrade.cinepak(image, rng(), (32, 32))
    patches = np.rint(coded * 2550).reshape(72, 2, 88, 2, 3).swapaxes(1, 2).reshape(-1, 12)
    # 32 lively patches, and 4 even ones of each calm vector.
    assert 20 < len(np.unique(patches, axis=0)) <= 32 + 4 * 32


def test_cinepak_keeps_what_fits_into_its_codebook() -> None:
    cells = rng().integers(0, 2, (8, 8))
    colours = np.array([[0.2, 0.3, 0.6], [0.7, 0.5, 0.4]], np.float32)
    board = colours[cells].repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_allclose(degrade.cinepak(board, rng()), board, atol=1e-5)
