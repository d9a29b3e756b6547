from pathlib import Path

import cv2
import numpy as np
import pytest

from gpen_video.faces.sharpness import sharpness
from gpen_video.train.data import Crops, read_index
from gpen_video.train.evaluate import DEGRADATIONS
from tests.faces.portraits import blurred, grainy, portrait


def test_blur_takes_detail_away() -> None:
    details = [sharpness(blurred(portrait(), sigma), 1.0).detail for sigma in (0.3, 0.7, 1.0, 1.5, 2.5)]
    assert details == sorted(details, reverse=True)
    assert details[0] > 0.3 and details[3] < 0.05


@pytest.mark.parametrize("deviation", [0.01, 0.02, 0.04, 0.08])
def test_grain_is_no_detail(deviation: float) -> None:
    """A blurred face with grain does not pass for a sharp one, by detail; a sharp one is seen to have grain."""
    on_blur = sharpness(grainy(blurred(portrait(), 2), deviation), 1.0)
    assert on_blur.detail < 0.16
    assert sharpness(grainy(portrait(), deviation), 1.0).grain > 0.18
    assert sharpness(portrait(), 1.0).grain < 0.13


@pytest.mark.parametrize("scale", [0.25, 0.5])
def test_a_small_face_is_measured_on_the_frames_pixels(scale: float) -> None:
    """What the frame cannot hold is no lack of sharpness."""
    small = cv2.resize(portrait(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(small, portrait().shape[:2], interpolation=cv2.INTER_CUBIC)
    assert sharpness(enlarged, scale).detail > 0.25 > sharpness(enlarged, 1.0).detail
    assert sharpness(blurred(enlarged, 2 / scale), scale).detail < 0.1


def test_contrast_does_not_matter() -> None:
    assert sharpness(0.3 + 0.4 * portrait(), 1.0).detail == pytest.approx(sharpness(portrait(), 1.0).detail, rel=0.02)


@pytest.mark.parametrize("size", [16, 40, 64, 100, 512])
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_nothing_in_the_crop(size: int, level: float) -> None:
    flat = np.full((size, size, 3), level, np.float32)
    for scale in (0.05, 0.5, 1.0, 4.0):
        measured = sharpness(flat, scale)
        assert measured.detail == pytest.approx(0, abs=1e-3) and measured.grain == pytest.approx(0, abs=1e-3)


def test_portraits_are_told_from_degraded_ones(shared: Path) -> None:
    """Area under the ROC curve over 30 held-out portraits and two kinds of damage."""
    held_out = [portrait for portrait in read_index(shared / "faces") if portrait.held_out][::5][:30]
    crops = Crops(held_out, 256)
    clean = [crops.crop(index) for index in range(len(crops))]
    sharp = np.array([sharpness(face, 1.0).detail for face in clean])
    for name in ("archival", "published"):
        damaged = [DEGRADATIONS[name](face, np.random.default_rng(k))[0] for k, face in enumerate(clean)]
        soft = np.array([sharpness(np.asarray(face, np.float32), 1.0).detail for face in damaged])
        assert (sharp[:, None] > soft[None]).mean() > 0.97
