import cv2
import numpy as np
import pytest

from gpen_video.faces.appearance import SIDE, appearance_of, averaged, likeness
from gpen_video.types import Detection
from tests.faces.people import face_picture
from tests.faces.scenes import FORMATS, detection_at, frozen, gray_frame, landmarks_at, picture_of


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.5, 60.0)])
def test_same_person_is_alike_elsewhere_larger_turned_and_darker(gain: float, offset: float) -> None:
    one = appearance_of(face_picture([(3, 100, 100, 80)]), detection_at(100, 100, 80))
    plane = face_picture([(3, 190, 120, 130)]).planes[0] * gain + offset
    turn = cv2.getRotationMatrix2D((190.0, 120.0), -20.0, 1.0)
    turned = cv2.warpAffine(plane, turn, (320, 240), borderMode=cv2.BORDER_REFLECT)
    landmarks = frozen(landmarks_at(190, 120, 130, np.radians(20)).astype(np.float32))
    face = Detection(detection_at(190, 120, 130).box_xyxy, landmarks, 0.9)
    assert likeness(one, appearance_of(picture_of(FORMATS["gray"], [turned]), face)) > 0.95


def test_others_are_less_alike() -> None:
    looks = [appearance_of(face_picture([(who, 100, 100, 80)]), detection_at(100, 100, 80)) for who in range(5)]
    assert max(likeness(looks[i], looks[j]) for i in range(5) for j in range(i)) < 0.7


def test_depth_does_not_matter() -> None:
    picture = face_picture([(1, 100, 100, 80)])
    deep = picture_of(FORMATS["gray10le"], [picture.planes[0].astype(int) * 4])
    face = detection_at(100, 100, 80)
    assert likeness(appearance_of(picture, face), appearance_of(deep, face)) > 0.999


def test_a_plain_face_has_no_looks() -> None:
    plain = appearance_of(gray_frame().picture, detection_at(100, 100, 80))
    assert plain is None
    assert likeness(plain, np.ones((SIDE, SIDE), np.float32)) is None


def test_average_changes_slowly_and_stays_normalised() -> None:
    one, other = (appearance_of(face_picture([(who, 100, 100, 80)]), detection_at(100, 100, 80)) for who in (0, 1))
    mean = averaged(one, other)
    assert likeness(mean, one) > 0.98
    assert likeness(mean, mean) == pytest.approx(1, abs=1e-5)
    for _ in range(60):
        mean = averaged(mean, other)
    assert likeness(mean, other) > 0.99
    assert averaged(None, one) is one
    assert averaged(one, None) is one
