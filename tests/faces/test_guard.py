from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.config import GuardSettings
from gpen_video.faces.guard import guard_faces
from gpen_video.types import Frame, FrameFaces, RestoredFace
from tests.faces.portraits import blurred, crop_of, moved, portrait, restored_as
from tests.faces.scenes import gray_frame

SOURCE = blurred(portrait(128), 1)
MIRRORED = np.ascontiguousarray(SOURCE[:, ::-1])
DEFAULTS = GuardSettings()


def film(
    faces: Sequence[NDArray[Any]], *, cut: int | None = None, damaged: int | None = None, **crop: Any
) -> Iterator[FrameFaces[RestoredFace]]:
    for t, restored in enumerate(faces):
        frame = gray_frame(t, t in (0, cut))
        frame = Frame(t, frame.time, frame.picture, starts_shot=frame.starts_shot, damaged=t == damaged)
        yield FrameFaces(frame, (restored_as(crop_of(SOURCE, **crop), restored),))


def guarded(faces: Sequence[NDArray[Any]], settings: GuardSettings = DEFAULTS, **at: Any) -> list[RestoredFace]:
    return [item.faces[0] for item in guard_faces(film(faces, **at), settings)]


def test_a_good_restoration_is_kept_whole() -> None:
    for face in guarded([portrait(128)] * 3):
        assert face.strength == 1
        assert face.likeness is not None and face.likeness > 0.98


def test_a_wrong_face_is_given_up_and_told() -> None:
    told: list[Any] = []
    made = list(guard_faces(film([MIRRORED] * 3), DEFAULTS, None, lambda *decision: told.append(decision)))
    assert [item.faces[0].strength for item in made] == [0.0] * 3
    assert [decision[:3] for decision in told] == [(t, 0, "other structure than the source") for t in range(3)]
    likeness = made[0].faces[0].likeness
    assert likeness is not None and likeness < 0.5
    assert told[0][3] == pytest.approx(likeness)


def test_strength_falls_on_a_ramp_below_the_floor() -> None:
    faces = [moved(portrait(128), 0.475, pixels) for pixels in np.arange(0, 9, 0.5)]
    pairs = [(face.likeness, face.strength) for rgb in faces for face in guarded([rgb])]
    assert sum(0 < strength < 1 for _, strength in pairs) >= 3
    for likeness, strength in pairs:
        assert likeness is not None
        assert strength == pytest.approx(np.clip((likeness - (DEFAULTS.floor - 0.12)) / 0.12, 0, 1), abs=1e-6)


def test_it_goes_down_and_comes_back_slowly() -> None:
    strengths = [face.strength for face in guarded([portrait(128)] * 3 + [MIRRORED] * 20 + [portrait(128)] * 30)]
    assert np.abs(np.diff(strengths)).max() <= 0.2 + 1e-9
    assert strengths[2] == 1 and strengths[22] < 0.05 and strengths[-1] > 0.95


def test_likeness_is_that_of_the_frame() -> None:
    values = [face.likeness for face in guarded([portrait(128), MIRRORED, portrait(128)])]
    assert values[0] == values[2] != values[1]


def test_a_cut_forgets_and_a_damaged_frame_is_forgotten() -> None:
    assert guarded([MIRRORED] * 3 + [portrait(128)], cut=3)[3].strength == 1
    strengths = [face.strength for face in guarded([portrait(128)] * 2 + [MIRRORED] + [portrait(128)] * 2, damaged=2)]
    assert strengths == [1.0] * 5


def test_predicted_faces_inherit() -> None:
    assert guarded([MIRRORED], seen=False)[0].strength == 0  # nothing else is known
    stream = [*film([portrait(128)]), *film([MIRRORED] * 2, seen=False)]
    frames = [FrameFaces(gray_frame(t, t == 0), item.faces) for t, item in enumerate(stream)]
    assert [item.faces[0].strength for item in guard_faces(frames, DEFAULTS)] == [1.0] * 3


def test_a_face_that_nobody_wants_is_not_looked_at() -> None:
    (item,) = film([MIRRORED])
    crop = item.faces[0].crop
    unwanted = type(crop)(crop.face, crop.rgb_hwc, crop.frame_from_crop_2x3, 0.0)
    (made,) = guard_faces([item.with_faces((restored_as(unwanted, MIRRORED),))], DEFAULTS)
    assert (made.faces[0].likeness, made.faces[0].strength) == (None, 1.0)


def test_it_can_be_switched_off() -> None:
    face = guarded([MIRRORED], GuardSettings(enabled=False))[0]
    assert (face.likeness, face.strength) == (None, 1.0)


class Brightness:
    """Persons are bright or dark."""

    def __init__(self) -> None:
        self.calls = 0

    def embed(self, rgb_nhwc: NDArray[Any]) -> NDArray[Any]:
        self.calls += 1
        level = np.clip(rgb_nhwc.mean(axis=(1, 2, 3)) * np.pi / 2, 0, np.pi)
        return np.stack([np.cos(level), np.sin(level)], axis=1).astype(np.float32)


def test_an_embedder_is_heard_as_well() -> None:
    told: list[Any] = []
    dark = (0.5 * SOURCE).astype(np.float32)
    embedder = Brightness()
    settings = GuardSettings(embedding_floor=0.95)
    items = list(guard_faces(film([SOURCE, dark], cut=1), settings, embedder, lambda *d: told.append(d)))
    same, other = (item.faces[0] for item in items)
    assert same.likeness == pytest.approx(1) and same.strength == 1
    level = float(SOURCE.mean()) * np.pi / 2
    assert other.likeness == pytest.approx(np.cos(0.5 * level), abs=1e-4)
    assert other.strength == pytest.approx(np.clip((np.cos(0.5 * level) - 0.83) / 0.12, 0, 1), abs=1e-3)
    assert 0 <= other.strength < 0.9 and embedder.calls == 2
    assert {reason for _, _, reason, _ in told} == {"other person than the source"}
