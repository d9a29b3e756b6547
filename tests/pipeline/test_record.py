"""What the recorder notes, against what pasting does."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpen_video.config.schema import BlendSettings
from gpen_video.faces.align import Aligner
from gpen_video.faces.layer import LayerWish, paste_layers
from gpen_video.faces.mask import face_mask
from gpen_video.faces.resample import Roi
from gpen_video.media.fields import split_fields
from gpen_video.pipeline.decisions import DecisionLog
from gpen_video.pipeline.difference import change_outside, change_within, plane_roi
from gpen_video.pipeline.record import Recorder, Treatment, compared, recorded
from gpen_video.pipeline.stages import weave_layers
from gpen_video.report import Column, TrackRecord
from gpen_video.report.record import BOX, LANDMARKS, REGION
from gpen_video.types import Frame, FrameFaces, MaskedFace, Picture
from tests.faces.scenes import FORMATS, carrier, frame_of, frozen, masked, noise_picture, tracked_at

BLEND = BlendSettings(chroma="restore", grain="none")
SIZE = 32
ALPHA = frozen(face_mask(Aligner(SIZE)._template_5xy, SIZE, 0.12))
NAMES = ["yuv420p", "yuv422p10le", "yuv444p16le", "yuva420p", "gray10le", "gbrp12le"]


def noisy_face(frame: Frame, x: float, y: float, size: float, track_id: int = 0, seen: bool = True) -> MaskedFace:
    crop = Aligner(SIZE).crop(frame, tracked_at(x, y, size, 0.3, track_id, seen))
    rng = np.random.default_rng(track_id)
    return masked(crop, crop.rgb_hwc + rng.normal(0, 0.5, crop.rgb_hwc.shape).astype(np.float32), ALPHA)


def film(name: str, count: int = 4, shots: tuple[int, ...] = (0,)) -> list[Frame]:
    return [frame_of(noise_picture(FORMATS[name], seed=i), i, i in shots) for i in range(count)]


def treated(items: list[FrameFaces[Any]]) -> tuple[list[Frame], Treatment]:
    recorder = Recorder()
    pasted = paste_layers(recorded(items, recorder), BLEND, LayerWish())
    return [item.frame for item in compared(pasted, recorder)], recorder.treatment()


def region_of(row: np.ndarray) -> Roi:
    return Roi(*row[REGION].astype(int).tolist())


@given(st.sampled_from(NAMES), st.floats(-60, 220), st.floats(-60, 180), st.floats(8, 260))
@settings(max_examples=60, deadline=None)
def test_no_sample_changes_outside_the_regions(name: str, x: float, y: float, size: float) -> None:
    (frame,) = film(name, 1)
    (result,), treatment = treated([carrier(frame, noisy_face(frame, x, y, size), noisy_face(frame, 80, 60, 30, 1))])
    regions = [region_of(t.faces[0]) for t in treatment.tracks() if np.isfinite(t.faces[0, REGION]).all()]
    outside = change_outside(frame.picture, result.picture, regions)
    assert (outside.changed, outside.first) == (0, None)
    assert all(0 <= r.left < r.right <= 160 and 0 <= r.top < r.bottom <= 120 for r in regions)


@pytest.mark.parametrize("name", NAMES)
def test_rows_say_what_was_pasted(name: str) -> None:
    (frame,) = film(name, 1)
    face = noisy_face(frame, 70, 50, 48, 5)
    (result,), treatment = treated([carrier(frame, face)])
    (track,) = treatment.tracks()
    row = track.faces[0]
    assert (track.id, track.shot, track.frames) == (5, 0, ((0, 0),))
    np.testing.assert_array_equal(row[BOX], face.restored.crop.face.detection.box_xyxy)  # type: ignore[union-attr]
    np.testing.assert_allclose(row[LANDMARKS].reshape(5, 2), face.restored.crop.face.landmarks_5xy, rtol=1e-6)
    assert row[Column.MASK_MAX] == ALPHA.max()
    region = region_of(row)
    pairs = list(zip(frame.picture.planes, result.picture.planes, strict=True))
    bright = [np.abs(a.astype(float) - b)[region.slices] for a, b in pairs]
    bright = bright if frame.picture.format.family == "rgb" else bright[:1]
    assert row[Column.MEAN_CHANGE] == pytest.approx(np.mean(bright), rel=1e-6)
    assert row[Column.LARGEST_CHANGE] == max(np.abs(a.astype(float) - b).max() for a, b in pairs)
    assert row[Column.LARGEST_CHANGE] > 0


def test_an_empty_mask_has_no_region_and_a_predicted_face_no_box() -> None:
    frames = film("yuv420p", 2)
    empty = masked(noisy_face(frames[0], 70, 50, 40).restored.crop, np.ones((SIZE, SIZE, 3), np.float32), ALPHA * 0)
    predicted = noisy_face(frames[1], 70, 50, 40, seen=False)
    _, treatment = treated([carrier(frames[0], empty), carrier(frames[1], predicted)])
    rows = treatment.tracks()[0].faces
    assert np.isnan(rows[0, REGION]).all() and np.isfinite(rows[0, BOX]).all()
    assert rows[0, Column.LARGEST_CHANGE] == 0 == rows[0, Column.MASK_MAX]
    assert np.isfinite(rows[1, REGION]).all() and np.isnan(rows[1, BOX]).all()


def test_shots_and_runs() -> None:
    frames = film("gray", 7, shots=(0, 4))
    present = {0: [0], 1: [0, 1], 2: [1], 3: [0], 5: [2]}
    items = [carrier(f, *(noisy_face(f, 60 + 20 * t, 50, 30, t) for t in present.get(f.index, []))) for f in frames]
    result, treatment = treated(items)
    assert [frame.index for frame in result] == list(range(7))
    assert [(s.first_frame, s.frame_count) for s in treatment.shots()] == [(0, 4), (4, 3)]
    assert [(t.id, t.shot, t.frames) for t in treatment.tracks()] == [
        (0, 0, ((0, 1), (3, 3))),
        (1, 0, ((1, 2),)),
        (2, 1, ((5, 5),)),
    ]
    assert treatment.frames == 7


@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le"])
def test_fields_are_noted_as_whole_frames(name: str, first: Any) -> None:
    frames = film(name, 3, shots=(0, 2))
    recorder = Recorder()

    def faces() -> Iterator[FrameFaces[MaskedFace]]:
        for field in split_fields(frames, first):
            yield carrier(field, noisy_face(field, 70 + 9 * (field.index % 2), 28, 20, field.index // 4))

    pasted = paste_layers(recorded(faces(), recorder), BLEND, LayerWish())
    woven = weave_layers(pasted, first, frames[0].picture.colour)
    result = [item.frame for item in compared(woven, recorder)]
    treatment = recorder.treatment()
    assert [(s.first_frame, s.frame_count) for s in treatment.shots()] == [(0, 2), (2, 1)]
    tracks = treatment.tracks()
    assert [(t.id, t.shot, t.frames) for t in tracks] == [(0, 0, ((0, 1),)), (1, 1, ((2, 2),))]
    for track in tracks:
        for row in track.faces:
            frame = int(row[Column.FRAME])
            before, after = frames[frame].picture, result[frame].picture
            assert change_outside(before, after, [region_of(row)]).changed == 0
            change = change_within(before, after, region_of(row))
            assert (row[Column.LARGEST_CHANGE], row[Column.MEAN_CHANGE]) == (change.largest, np.float32(change.mean))
            assert row[Column.NOSE_Y] == pytest.approx(2 * 28, abs=8)
    assert isinstance(tracks[0], TrackRecord)


DECIDED = [
    (0, 1, "profile", 50.0),
    (0, None, "too small", 12.0),
    (1, 1, "profile", 60.0),
    (3, 1, "profile", None),
    (1, 2, "profile", 70.0),
]
AS_RUNS = [
    (0, 0, None, "too small", 12.0),
    (0, 1, 1, "profile", 55.0),
    (1, 1, 2, "profile", 70.0),
    (3, 3, 1, "profile", None),
]


@pytest.mark.parametrize("ends", [[9], [1, 9], [1, 2, 3, 9]])
def test_decisions_of_neighbouring_frames_become_one_wherever_the_film_is_divided(ends: list[int]) -> None:
    log = DecisionLog()
    for frame, track, reason, value in DECIDED:
        log.add(frame, track, reason, value)
    parts = [Treatment(0, (), {}, log.taken(end)) for end in ends]
    found = [run.decision for run in Treatment.of(parts).decisions]
    assert [(d.first_frame, d.last_frame, d.track, d.reason, d.value) for d in found] == AS_RUNS
    assert log.taken(9) == ()


@pytest.mark.parametrize("divided", [1, 2, 3, 5])
def test_the_treatment_of_a_film_is_that_of_its_parts(divided: int) -> None:
    frames = film("gray", 6, shots=(0, 4))
    items = [carrier(f, noisy_face(f, 60 + f.index, 50, 30, f.index // 4)) for f in frames]
    _, whole = treated(items)
    parts = []
    for first, end in ((0, divided), (divided, 6)):
        recorder = Recorder(lambda frame, first=first, end=end: first <= frame < end)  # type: ignore[misc]
        seen = items[max(0, first - 2) : end + 1]  # with what is only looked at, before and behind
        assert len(list(compared(paste_layers(recorded(seen, recorder), BLEND, LayerWish()), recorder))) == len(seen)
        parts.append(recorder.treatment())
    joined = Treatment.of(parts)
    assert (joined.frames, joined.shots()) == (6, whole.shots())
    for one, other in zip(joined.tracks(), whole.tracks(), strict=True):
        assert (one.id, one.shot, one.frames) == (other.id, other.shot, other.frames)
        np.testing.assert_array_equal(one.faces, other.faces)


def test_frames_must_be_compared_in_their_order() -> None:
    frames, recorder = film("gray", 2), Recorder()
    recorder.saw(carrier(frames[0]))
    with pytest.raises(ValueError, match="not compared"):
        recorder.treatment()
    with pytest.raises(ValueError, match="frame 1"):
        recorder.pasted(frames[1])


def test_stages_pass_everything_on_and_close_what_is_above() -> None:
    closed = []

    def source() -> Iterator[FrameFaces[Any]]:
        try:
            yield from (carrier(frame) for frame in film("gray", 3))
        finally:
            closed.append(True)

    recorder = Recorder()
    stage = compared(paste_layers(recorded(source(), recorder), BLEND, LayerWish()), recorder)
    assert next(stage).frame.index == 0
    stage.close()
    assert closed == [True]


def altered(picture: Picture, plane: int, x: int, y: int, by: int) -> Picture:
    planes = [p.copy() for p in picture.planes]
    planes[plane][y, x] = int(planes[plane][y, x]) ^ by
    return replace(picture, planes=tuple(planes))


def test_one_sample_is_found_and_named() -> None:
    picture = noise_picture(FORMATS["yuv420p"])
    region = Roi(10, 20, 31, 41)
    for plane, x, y, inside in [(0, 10, 20, True), (0, 9, 20, False), (1, 15, 20, True), (2, 16, 20, False)]:
        changed = altered(picture, plane, x, y, 4)
        outside = change_outside(picture, changed, [region])
        assert (outside.changed, outside.largest) == ((0, 0) if inside else (1, 4))
        if outside.first is not None:
            assert (outside.first.plane, outside.first.x, outside.first.y) == (plane, x, y)
        assert change_within(picture, changed, region).largest == (4 if inside else 0)
    total = 160 * 120 * 3 // 2 - 21 * 21 - 2 * 11 * 11
    assert change_outside(picture, picture, [region, region]).samples == total
    assert plane_roi(region, picture.format, 1) == Roi(5, 10, 16, 21)
