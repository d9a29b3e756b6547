import numpy as np
import pytest

from gpen_video.faces.mask import face_mask
from gpen_video.geometry import TEMPLATES
from gpen_video.measure.seam import seam

SIDE, FEATHER = 256, 0.12
ALPHA = face_mask(TEMPLATES["gpen"] * SIDE, SIDE, FEATHER)
NOISE = 0.01 * np.random.default_rng(0).standard_normal((SIDE, SIDE))


def _film(height: float) -> np.ndarray:
    """A flat picture with noise, and a face that is brighter by `height`, put in with the mask."""
    return (0.5 + NOISE + height * ALPHA).astype(np.float32)


def test_equal_pictures_have_no_seam() -> None:
    assert seam(_film(0), _film(0), ALPHA) == 0


@pytest.mark.parametrize("height", [0.05, -0.05, 0.2])
def test_a_step_spread_over_the_mask_s_edge(height: float) -> None:
    """A smooth step of height h over w pixels is steepest in its middle, by 1.5 h / w."""
    steepest = 1.5 * abs(height) / (FEATHER * SIDE)
    assert seam(_film(height), _film(0), ALPHA) == pytest.approx(steepest, rel=0.15)


def test_a_harder_edge_is_more_visible() -> None:
    hard = (0.5 + NOISE + 0.05 * (ALPHA > 0.5)).astype(np.float32)
    assert seam(hard, _film(0), ALPHA) > 2 * seam(_film(0.05), _film(0), ALPHA)


def test_fresh_noise_is_no_seam_and_a_step_elsewhere_neither() -> None:
    other = 0.01 * np.random.default_rng(1).standard_normal((SIDE, SIDE))
    fresh = (0.5 + other).astype(np.float32)
    planted = 1.5 * 0.05 / (FEATHER * SIDE)
    assert abs(seam(fresh, _film(0), ALPHA)) < 0.3 * planted
    inside = (0.5 + NOISE + 0.2 * (np.hypot(*np.mgrid[-128:128, -128:128]) < 20)).astype(np.float32)
    assert seam(inside, _film(0), ALPHA) == pytest.approx(0, abs=1e-9)


def test_a_source_that_is_steep_there_already_is_taken_off() -> None:
    steep = _film(0.2)
    assert seam(steep, steep, ALPHA) == 0
    assert seam(_film(0.1), steep, ALPHA) < seam(_film(0.3), _film(0), ALPHA)


def test_no_edge_no_seam() -> None:
    assert seam(_film(0), _film(0), np.ones_like(ALPHA)) is None
