import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from gpen_video.train.metrics import landmark_error, psnr, sharpness, ssim


def tensor(rgb_hwc: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb_hwc * 2 - 1).permute(2, 0, 1)[None]


def pictures(seed: int, noise: float, height: int = 40, width: int = 33) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clean = cv2.GaussianBlur(rng.random((height, width, 3)), (0, 0), 2)
    clean = (clean - clean.min()) / np.ptp(clean)
    return np.clip(clean + noise * rng.standard_normal(clean.shape), 0, 1), clean


def test_psnr_is_the_closed_form() -> None:
    target = torch.zeros(2, 3, 8, 8)
    made = target + torch.tensor([0.2, 0.02]).view(2, 1, 1, 1)  # of a range of 2: 20 dB and 40 dB
    torch.testing.assert_close(psnr(made, target), torch.tensor([20.0, 40.0]), atol=1e-3, rtol=0)


def test_what_lies_outside_the_range_is_clipped_before_it_is_judged() -> None:
    target = torch.ones(1, 3, 16, 16)
    assert psnr(target + 5, target).item() == pytest.approx(100)
    assert ssim(target + 5, target).item() == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0, 0.5))
def test_ssim_is_that_of_scikit_image(seed: int, noise: float) -> None:
    made, clean = pictures(seed, noise)
    expected = structural_similarity(
        made, clean, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(tensor(made), tensor(clean)).item() == pytest.approx(expected, abs=1e-6)


def test_each_image_of_a_batch_is_judged_for_itself() -> None:
    pairs = [pictures(seed, noise) for seed, noise in ((0, 0.05), (1, 0.3))]
    made = torch.cat([tensor(a) for a, _ in pairs])
    clean = torch.cat([tensor(b) for _, b in pairs])
    for metric in (psnr, ssim):
        alone = torch.cat([metric(tensor(a), tensor(b)) for a, b in pairs])
        torch.testing.assert_close(metric(made, clean), alone)
        assert alone[0] > alone[1]


def test_sharpness_is_the_energy_of_the_gradient() -> None:
    ramp = torch.linspace(-1, 1, 21).expand(1, 3, 16, 21)  # steps of 0.1 along x, none along y
    assert sharpness(ramp).item() == pytest.approx(0.01, rel=1e-4)
    assert sharpness(ramp.transpose(2, 3)).item() == pytest.approx(0.01, rel=1e-4)
    _, clean = pictures(0, 0)
    soft = cv2.GaussianBlur(clean, (0, 0), 2)
    assert sharpness(tensor(soft)) < 0.6 * sharpness(tensor(clean))


def test_landmark_error_is_in_eye_distances() -> None:
    true = np.array([[10, 20], [30, 20], [20, 30], [14, 40], [26, 40]], np.float32)
    assert landmark_error(true + np.array([3, 4]), true) == pytest.approx(5 / 20)
    assert landmark_error(true, true) == 0
