"""Identities through what happens in films: crossings, hidden faces, exits, pans, damaged frames."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpen_video.config.schema import TrackSettings
from gpen_video.faces import RetinaFaceDetector
from gpen_video.faces.track import track_faces
from gpen_video.media import decode, probe
from gpen_video.pipeline import detect_faces
from gpen_video.types import Detection, FrameFaces, Picture, TrackedFace
from gpen_video.weights import load_detector
from tests.faces.people import Person, face_picture
from tests.faces.scenes import FORMATS, carrier, detection_at, frame_of, picture_of

CLIPS = Path(__file__).parents[2].parent / "shared" / "media" / "faces"
SIZE = 80.0


def scene(
    frames: Sequence[Sequence[Person]],
    hidden: Sequence[tuple[int, int]] = (),
    damaged: Sequence[int] = (),
    shift: tuple[float, float] = (0, 0),
    noise: float = 0.5,
) -> list[FrameFaces[Detection]]:
    """People and what is detected of them: all but those (frame, who) in `hidden`, in an order without meaning."""
    rng = np.random.default_rng(1)
    items = []
    for t, people in enumerate(frames):
        picture = face_picture(people, shift_xy=(shift[0] * t, shift[1] * t))
        places = [
            (x + rng.normal(0, noise), y + rng.normal(0, noise), s) for w, x, y, s in people if (t, w) not in hidden
        ]
        found = [detection_at(*place) for place in places]
        rng.shuffle(found)
        items.append(carrier(replace(frame_of(picture, t), damaged=t in damaged), *found))
    return items


def tracked(items: Sequence[FrameFaces[Detection]], **settings: Any) -> list[FrameFaces[TrackedFace]]:
    return list(track_faces(iter(items), TrackSettings(**settings), start_score=0.5))


def who_is_who(out: Sequence[FrameFaces[TrackedFace]], frames: Sequence[Sequence[Person]]) -> dict[int, set[int]]:
    """Track ids by person, by which face each tracked one is nearest to, where nobody stands near that one."""
    ids: dict[int, set[int]] = {}
    for item, people in zip(out, frames, strict=True):
        places = np.array([(x, y) for _, x, y, _ in people]).reshape(-1, 2)
        for face in item.faces:
            if face.detection is None:
                continue
            distance = np.linalg.norm(places - face.landmarks_5xy.mean(axis=0), axis=1)
            if np.sort(distance)[1:2].min(initial=np.inf) > SIZE / 2:
                ids.setdefault(people[int(distance.argmin())][0], set()).add(face.track_id)
    return ids


def assert_no_switch(out: Sequence[FrameFaces[TrackedFace]], frames: Sequence[Sequence[Person]], people: int) -> None:
    ids = who_is_who(out, frames)
    assert len(ids) == people
    assert [len(one) for one in ids.values()] == [1] * people
    assert len(set.union(*ids.values())) == people


def test_faces_that_cross_keep_their_ids() -> None:
    frames = [[(0, 40 + 4.0 * t, 110, SIZE), (1, 280 - 4.0 * t, 116, SIZE)] for t in range(60)]
    assert_no_switch(tracked(scene(frames, [(t, 0) for t in range(26, 35)])), frames, 2)


def test_faces_that_meet_and_turn_back_are_told_by_their_looks() -> None:
    """Place and speed say that they passed each other."""

    def x(t: int) -> float:
        return 60 + 5.0 * t if t < 20 else 160 - 5.0 * max(0, t - 28)

    frames = [[(0, x(t), 110, SIZE), (1, 320 - x(t), 112, SIZE)] for t in range(48)]
    hidden = [(t, 0) for t in range(17, 32)]
    assert_no_switch(tracked(scene(frames, hidden), max_gap=20), frames, 2)


def test_hidden_for_ten_frames() -> None:
    frames = [[(0, 60 + 2.0 * t, 110, SIZE), (1, 250, 60, SIZE)] for t in range(50)]
    out = tracked(scene(frames, [(t, 0) for t in range(20, 30)]), max_gap=12)
    assert_no_switch(out, frames, 2)


def test_face_that_comes_back_is_known_again() -> None:
    frames = [[(0, 100, 110, SIZE)] if t < 20 or t >= 50 else [] for t in range(80)]
    out = tracked(scene(frames))
    assert {face.track_id for item in out for face in item.faces} == {0}


@pytest.mark.parametrize(("settings", "comes"), [({"memory": 20}, 0), ({}, 1)])
def test_face_that_was_forgotten_or_is_another_is_new(settings: dict[str, int], comes: int) -> None:
    frames = [[(0, 100, 110, SIZE)] if t < 20 else [(comes, 200, 110, SIZE)] if t >= 50 else [] for t in range(80)]
    out = tracked(scene(frames), **settings)
    assert [face.track_id for face in out[10].faces] == [0]
    assert [face.track_id for face in out[70].faces] == [1]


def test_back_before_its_track_ended_is_one_face_a_frame() -> None:
    frames = [[(0, 60, 60, 40.0)] if t < 20 else [(0, 270, 180, 40.0)] if t >= 23 else [] for t in range(50)]
    out = tracked(scene(frames), max_gap=30)
    for item in out:
        assert [face.track_id for face in item.faces] in ([], [0])
    assert out[40].faces


def test_move_by_more_than_its_width_between_frames() -> None:
    place = [100.0] * 10 + [180.0] * 10 + [110.0] * 10
    frames = [[(0, x, 110, SIZE)] for x in place]
    out = tracked(scene(frames))
    assert [[face.track_id for face in item.faces] for item in out] == [[0]] * 30


def test_person_who_walks_in_a_pan_is_followed() -> None:
    """The frame jerks by half a face a frame; in the scene the person walks on, hidden for a while."""
    frames = [[(0, 280 - 5.0 * t, 110, 60.0)] for t in range(40)]
    items = scene(frames, [(t, 0) for t in range(16, 22)], shift=(-6.0, 0.0), noise=0.0)
    out = tracked(items)
    truth = np.array([280 - 5.0 * t for t in range(40)])
    found = np.array([item.faces[0].landmarks_5xy.mean(axis=0)[0] for item in out])
    offset = found[:14].mean() - truth[:14].mean()  # the template's middle is not quite the crop's
    np.testing.assert_allclose(found - offset, truth, atol=1.5)


def test_camera_that_shakes_carries_a_hidden_face_along() -> None:
    """While the face is not seen it goes with the scene; without knowing the camera it would be left behind."""
    shake = np.cumsum(np.random.default_rng(4).uniform(-7, 7, 40))
    people = [[(0, 160 + s, 110, 60.0)] for s in shake]
    items = []
    for t, one in enumerate(people):
        picture = face_picture(one, shift_xy=(shake[t], 0))
        items.append(carrier(frame_of(picture, t), *([] if 18 <= t < 24 else [detection_at(*one[0][1:])])))

    def error(camera: bool) -> float:
        out = tracked(items, camera=camera)
        found = np.array([item.faces[0].landmarks_5xy.mean(axis=0)[0] for item in out])
        miss = found - 160 - shake
        return float(np.abs(miss - np.median(miss))[18:24].max())

    assert error(camera=True) < 1.0
    assert error(camera=False) > 3.0


@pytest.mark.parametrize("torn", [(20,), (20, 21)])
def test_damaged_frames_leave_no_trace(torn: tuple[int, ...]) -> None:
    frames = [[(0, 60 + 3.0 * t, 110, SIZE)] for t in range(45)]
    items = scene(frames, shift=(2.0, 0.0))
    white = picture_of(FORMATS["gray"], [np.full((240, 320), 255)])
    broken = list(items)
    for t in torn:  # and a detector that sees faces in it
        broken[t] = carrier(
            replace(frame_of(white, t), damaged=True), detection_at(250, 60, 90), detection_at(90, 180, 50)
        )
    out, whole = tracked(broken), tracked(items)
    assert [[face.track_id for face in item.faces] for item in out] == [[0]] * 45
    for one, other in zip(out, whole, strict=True):
        assert np.abs(one.faces[0].landmarks_5xy - other.faces[0].landmarks_5xy).max() < 1.0


def test_damaged_frames_are_not_counted_as_unseen() -> None:
    frames = [[(0, 100, 110, SIZE)]] * 40
    out = tracked(scene(frames, damaged=range(15, 19)), max_gap=0)
    assert [[face.track_id for face in item.faces] for item in out] == [[0]] * 40


def test_followed_faces_go_on_but_do_not_begin_or_confirm() -> None:
    face = detection_at(100, 110, SIZE)
    followed = replace(face, followed=True)
    stray = replace(detection_at(240, 110, SIZE), followed=True)
    frame = face_picture([(0, 100, 110, SIZE)])
    items = [carrier(frame_of(frame, t), face if t % 4 == 0 else followed, stray) for t in range(30)]
    out = list(track_faces(iter(items), TrackSettings(), 0.5, every=4))
    assert [[one.track_id for one in item.faces] for item in out] == [[0]] * 30
    once = [carrier(frame_of(frame, t), *([face] if t == 0 else [followed])) for t in range(30)]
    assert not any(item.faces for item in track_faces(iter(once), TrackSettings(), 0.5))


def test_flicker_on_texture_is_never_believed() -> None:
    items = [
        carrier(frame_of(face_picture([]), t), *([detection_at(90, 90, 60)] if t % 6 == 0 else [])) for t in range(60)
    ]
    assert not any(item.faces for item in tracked(items))


def test_what_was_long_ago_does_not_matter() -> None:
    """The same from frame 90 on, whether the film begins at 0 or at 30: segments are warmed up."""
    rng = np.random.default_rng(2)
    frames = [[(0, 160 + 30 * np.sin(t / 9) + rng.normal(0, 0.4), 110, SIZE)] for t in range(120)]
    items = scene(frames, shift=(0.7, 0))
    whole, part = tracked(items)[90:], tracked(items[30:])[60:]
    for one, other in zip(whole, part, strict=True):
        assert np.abs(one.faces[0].landmarks_5xy - other.faces[0].landmarks_5xy).max() < 0.01


def beside(one: Picture, other: Picture) -> Picture:
    return Picture(
        tuple(np.hstack(planes) for planes in zip(one.planes, other.planes, strict=True)), one.format, one.colour
    )


@pytest.fixture(scope="module")
def detector() -> RetinaFaceDetector:
    return RetinaFaceDetector(
        load_detector("retinaface-mobile0.25").net, device=torch.device("cpu"), score=0.3, min_face=0
    )


def detected(pictures: Sequence[Picture], detector: RetinaFaceDetector) -> list[FrameFaces[Detection]]:
    frames = (frame_of(picture, t) for t, picture in enumerate(pictures))
    return list(detect_faces(frames, detector, long_side=480, min_face=16, batch=2))


def pictures_of(name: str, first: int, last: int) -> list[Picture]:
    if not CLIPS.is_dir():
        pytest.skip(f"{CLIPS} is not there")
    return [frame.picture for frame in decode(probe(CLIPS / name)) if first <= frame.index < last]


def centres_by_id(items: Sequence[FrameFaces[TrackedFace]]) -> dict[int, NDArray[Any]]:
    ids: dict[int, list[NDArray[Any]]] = {}
    for item in items:
        for face in item.faces:
            ids.setdefault(face.track_id, []).append(face.landmarks_5xy.mean(axis=0))
    return {one: np.array(places) for one, places in ids.items()}


def test_two_talking_heads_side_by_side(detector: RetinaFaceDetector) -> None:
    pairs = zip(pictures_of("grid_bbaf2n.mpg", 0, 24), pictures_of("grid_pwij3p.mpg", 0, 24), strict=True)
    out = tracked(detected([beside(*pair) for pair in pairs], detector))
    assert [len(item.faces) for item in out] == [2] * 24
    assert sorted(centres_by_id(out)) == [0, 1]
    for places in centres_by_id(out).values():
        assert np.ptp(places, axis=0).max() < 40


def test_rider_keeps_his_id(detector: RetinaFaceDetector) -> None:
    out = tracked(detected(pictures_of("bikes.mp4", 30, 50), detector))
    rider = centres_by_id(out)[out[0].faces[0].track_id]
    assert len(rider) >= 12
    assert np.linalg.norm(np.diff(rider, axis=0), axis=1).max() < 40


@pytest.mark.slow
def test_tramp_and_policeman_keep_their_ids(detector: RetinaFaceDetector) -> None:
    out = tracked(detected(pictures_of("chaplin.mp4", 185, 225), detector))
    faces = centres_by_id(out)
    assert len(faces) == 2
    for places in faces.values():
        assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 25
