"""Faces carried on by optical flow, against motion that is known."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from gpen_video.faces import follow_faces
from gpen_video.geometry import apply, compose, scaling
from gpen_video.types import ColourSpec, Detection, Frame
from tests.faces.scenes import FORMATS, frame_of, frozen, picture_of

SIZE = 256
LANDMARKS = np.array([(100, 96), (138, 96), (121, 118), (104, 140), (136, 140)], np.float64)
"""Of the portrait, about; what is asked is where they go."""
EYES = 38.0
GRAY = np.asarray(cv2.cvtColor(astronaut()[0:SIZE, 96 : 96 + SIZE], cv2.COLOR_RGB2GRAY), np.float32)


def moved(degrees: float, scale: float, x: float, y: float) -> np.ndarray:
    """`new_from_old` about the middle of the face."""
    turn = np.asarray(cv2.getRotationMatrix2D((120.0, 116.0), degrees, scale), np.float64)
    return compose(scaling(1, 1, x, y), turn)


def frame(matrix: np.ndarray | None = None, *, bits: int = 8, gain: float = 1.0, index: int = 0) -> Frame:
    image = GRAY if matrix is None else cv2.warpAffine(GRAY, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
    samples = np.clip(np.rint(image * gain * 2 ** (bits - 8)), 0, 2**bits - 1)
    return frame_of(picture_of(FORMATS["gray" if bits == 8 else "gray10le"], [samples], ColourSpec()), index)


def face(score: float = 0.9) -> Detection:
    return Detection(frozen(np.array([82, 62, 156, 160], np.float32)), frozen(LANDMARKS.astype(np.float32)), score)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(
    "motion", [(0, 1, 0, 0), (0, 1, 3.3, -2.6), (0, 1, 30, 12), (8, 1, 2, 2), (-3, 1.06, -4, 5), (0, 0.93, 0, 6)]
)
def test_landmarks_go_where_the_face_goes(motion: tuple[float, float, float, float], bits: int) -> None:
    matrix = moved(*motion)
    (found,) = follow_faces(frame(bits=bits), frame(matrix, bits=bits, index=1), (face(),))
    error = np.linalg.norm(found.landmarks_5xy - apply(matrix, LANDMARKS), axis=1)
    assert error.max() < 0.03 * EYES
    middle = found.box_xyxy.reshape(2, 2).mean(axis=0)
    np.testing.assert_allclose(middle, apply(matrix, np.array([[119, 111]]))[0], atol=0.03 * EYES)
    np.testing.assert_allclose(
        np.diff(found.box_xyxy.reshape(2, 2), axis=0)[0], np.array([74, 98]) * motion[1], rtol=0.02
    )
    assert found.followed
    assert 0.7 * 0.9 < found.score <= 0.9


def test_a_change_of_light_does_not_matter() -> None:
    (found,) = follow_faces(frame(), frame(moved(0, 1, 2, 1), gain=0.85), (face(),))
    assert np.abs(found.landmarks_5xy - LANDMARKS - (2, 1)).max() < 0.04 * EYES


def test_the_score_falls_with_noise() -> None:
    rng = np.random.default_rng(0)

    def noisy(sigma: float) -> Frame:
        samples = np.clip(np.rint(GRAY + rng.normal(0, sigma, GRAY.shape)), 0, 255)
        return frame_of(picture_of(FORMATS["gray"], [samples]), 1)

    scores = [follow_faces(frame(), noisy(sigma), (face(),))[0].score for sigma in (0.5, 12)]
    assert scores[1] < scores[0] - 0.003


def test_what_is_hidden_is_not_followed() -> None:
    rng = np.random.default_rng(1)
    hidden = GRAY.copy()
    hidden[60:165, 70:170] = cv2.resize(rng.uniform(0, 255, (12, 12)), (100, 105))
    assert follow_faces(frame(), frame_of(picture_of(FORMATS["gray"], [hidden]), 1), (face(),)) == ()


def test_nothing_is_followed_onto_a_blank_wall() -> None:
    wall = frame_of(picture_of(FORMATS["gray"], [np.full((SIZE, SIZE), 120)]), 1)
    assert follow_faces(frame(), wall, (face(),)) == ()
    assert follow_faces(wall, frame(), (face(),)) == ()


def test_each_face_is_followed_for_itself() -> None:
    elsewhere = Detection(
        frozen(np.array([-300, -300, -240, -220], np.float32)),
        frozen((LANDMARKS - 400).astype(np.float32)),
        0.9,
    )
    found = follow_faces(frame(), frame(moved(0, 1, 5, 0)), (elsewhere, face(0.7)))
    assert len(found) == 1 and found[0].score <= 0.7
    assert follow_faces(frame(), frame(), ()) == ()
