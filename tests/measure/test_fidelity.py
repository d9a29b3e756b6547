import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gpen_video.measure.fidelity import HIGHEST_PSNR, psnr, squared_error, ssim

RNG = np.random.default_rng(0)
TRUE = RNG.random((60, 70)).astype(np.float32)
MADE = np.clip(TRUE + 0.1 * RNG.standard_normal(TRUE.shape), 0, 1).astype(np.float32)
INSIDE = np.hypot(*np.mgrid[-30:30, -35:35]) < 20


def test_psnr_is_scikit_image_s() -> None:
    everywhere = np.ones_like(INSIDE)
    want = peak_signal_noise_ratio(TRUE, MADE, data_range=1)
    assert psnr(squared_error(MADE, TRUE, everywhere)) == pytest.approx(want)
    assert psnr(squared_error(TRUE, TRUE, INSIDE)) == HIGHEST_PSNR


def test_ssim_is_scikit_image_s_inside_the_face() -> None:
    _, image = structural_similarity(
        TRUE.astype(float),
        MADE.astype(float),
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(MADE, TRUE, INSIDE) == pytest.approx(image[INSIDE].mean(), rel=1e-6)
    assert ssim(TRUE, TRUE, INSIDE) == pytest.approx(1)


def test_a_window_that_fits_nowhere() -> None:
    assert ssim(MADE[:8, :8], TRUE[:8, :8], np.ones((8, 8), bool)) is None
