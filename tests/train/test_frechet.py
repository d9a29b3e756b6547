from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from gpen_video.errors import IncompatibleWeightsError
from gpen_video.train.frechet import (
    Gaussian,
    detector_features,
    fit_gaussian,
    frechet_distance,
    imagenet_features,
)
from gpen_video.weights import load_detector


def random_gaussian(seed: int, size: int = 12) -> Gaussian:
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(size, size))
    return Gaussian(rng.normal(size=size), spread @ spread.T)


def test_closed_forms() -> None:
    a = Gaussian(np.array([0.0, 3.0]), np.diag([4.0, 9.0]))
    b = Gaussian(np.array([4.0, 0.0]), np.diag([1.0, 25.0]))
    # |m|² + sum of (sigma_a - sigma_b)² where the covariances share their axes.
    assert frechet_distance(a, b) == pytest.approx(25 + 1 + 4)
    assert frechet_distance(b, a) == pytest.approx(30)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_turning_both_changes_nothing() -> None:
    a, b = random_gaussian(0), random_gaussian(1)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(12, 12)))
    turned = [Gaussian(turn @ one.mean, turn @ one.covariance @ turn.T) for one in (a, b)]
    assert frechet_distance(*turned) == pytest.approx(frechet_distance(a, b))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_the_matrix_square_root_gives(seed: int) -> None:
    a, b = random_gaussian(seed), random_gaussian(seed + 100)
    cross = np.trace(scipy.linalg.sqrtm(a.covariance @ b.covariance)).real
    expected = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_few_samples_of_many_dimensions_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(20, 64))
    same, moved = fit_gaussian(samples), fit_gaussian(samples + 0.5)
    assert np.linalg.matrix_rank(same.covariance) == 19
    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(same, moved) == pytest.approx(64 * 0.25, rel=1e-6)


def test_a_fit_has_the_moments_of_the_samples() -> None:
    rng = np.random.default_rng(0)
    fitted = fit_gaussian(rng.normal(size=(20000, 2)) * [1, 3] + [5, 7])
    np.testing.assert_allclose(fitted.mean, [5, 7], atol=0.1)
    np.testing.assert_allclose(fitted.covariance, np.diag([1, 9]), atol=0.3)
    with pytest.raises(ValueError, match="N >= 2"):
        fit_gaussian(np.zeros((1, 3)))


@pytest.fixture(scope="module")
def detector() -> torch.nn.Module:
    return load_detector("retinaface-mobile0.25").net


def test_features_of_a_face_then_of_its_mirror_image(detector: torch.nn.Module) -> None:
    net = detector_features(detector, "mine")
    assert net.name == "mine backbone"
    faces = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    made = net.features(faces)
    assert made.shape == (6, 256)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made[3:], net.features(faces[:, :, ::-1])[:3], rtol=1e-3, atol=1e-4)
    assert np.abs(made[3:] - made[:3]).max() > 0.05


def test_the_detector_gets_what_it_was_trained_on(detector: torch.nn.Module) -> None:
    faces = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    bgr = torch.from_numpy(faces[..., ::-1] * 255 - np.array([104, 117, 123], np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        stages = list(detector.body(bgr).values())  # type: ignore[operator]
    expected = stages[-1].mean(dim=(2, 3)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(detector_features(detector, "").features(faces)[:1], expected, rtol=1e-3, atol=1e-4)


def test_activations_on_portraits_have_the_moments_that_imagenet_left(shared: Path) -> None:
    """Only the preprocessing of its own training gives them: 0..255 or 0..1 is off by factors of 2000 and 20."""
    import cv2

    net = imagenet_features(shared / "weights/mobilenetV1X0.25_pretrain.tar")
    files = sorted((shared / "faces/images").glob("t2i-*.jpg"))[::60][:20]
    faces = np.stack([cv2.resize(cv2.imread(str(file))[:, :, ::-1], (128, 128)) for file in files])
    convolution, normalisation = list(net._body.modules())[3:5]
    with torch.no_grad():
        made = convolution(net._prepare(torch.from_numpy(faces.astype(np.float32) / 255)))
    ratio = (made.var(dim=(0, 2, 3)) / normalisation.running_var).median().item()  # type: ignore[union-attr, operator]
    assert 0.4 < ratio < 2.5


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"stage1.0.0.weight": torch.zeros(3)}, path)
    with pytest.raises(IncompatibleWeightsError, match="not those of MobileNet"):
        imagenet_features(path)
