from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.config.schema import TrackSettings
from gpen_video.faces.track import Tracker, track_delay, track_faces
from gpen_video.types import Detection, FrameFaces, TrackedFace
from tests.faces.scenes import carrier, detection_at, frozen, gray_frame

SETTINGS = TrackSettings()


def film(detections: Sequence[Sequence[Detection]], shots: tuple[int, ...] = ()) -> list[FrameFaces[Detection]]:
    """One item a frame; `shots` are the frames, besides the first, where a shot starts."""
    return [carrier(gray_frame(t, t == 0 or t in shots), *found) for t, found in enumerate(detections)]


def ids(item: FrameFaces[Any]) -> list[int]:
    return [face.track_id for face in item.faces]


def centres(items: list[FrameFaces[TrackedFace]], track_id: int) -> NDArray[Any]:
    """(T, 2), nan where the track is not there."""
    rows = [[face.landmarks_5xy.mean(axis=0) for face in item.faces if face.track_id == track_id] for item in items]
    return np.array([row[0] if row else (np.nan, np.nan) for row in rows])


def moving(
    length: int, start: tuple[float, float], speed: tuple[float, float], size: float = 80, score: float = 0.9
) -> list[Detection]:
    return [detection_at(*(np.add(start, np.multiply(t, speed))), size, score) for t in range(length)]


def run(
    detections: Sequence[Sequence[Detection]],
    settings: TrackSettings = SETTINGS,
    shots: tuple[int, ...] = (),
    **arguments: float,
) -> list[FrameFaces[TrackedFace]]:
    return list(track_faces(iter(film(detections, shots)), settings, **arguments))


def test_every_frame_comes_out_in_order_and_late_by_the_delay() -> None:
    consumed = []

    def source() -> Iterator[FrameFaces[Any]]:
        for item in film([()] * 30):
            consumed.append(item.frame.index)
            yield item

    for index, item in enumerate(track_faces(source(), SETTINGS)):
        assert item.frame.index == index
        assert len(consumed) == min(30, index + track_delay(SETTINGS) + 1)
        assert item.faces == ()
    assert index == 29


@pytest.mark.parametrize(("lag", "hits", "delay"), [(8, 3, 8), (0, 3, 2), (0, 1, 0), (4, 10, 9)])
def test_one_face_is_one_track_from_its_first_frame(lag: int, hits: int, delay: int) -> None:
    settings = TrackSettings(lag=lag, min_hits=hits)
    assert track_delay(settings) == delay
    found = moving(20, (60, 100), (5, 2))
    items = run([(face,) for face in found], settings)
    assert [ids(item) for item in items] == [[0]] * 20
    assert all(item.faces[0].detection is face for item, face in zip(items, found, strict=True))
    truth = np.array([face.landmarks_5xy.mean(axis=0) for face in found])
    np.testing.assert_allclose(centres(items, 0)[10:], truth[10:], atol=0.5)


def test_false_detections_are_dropped_and_leave_no_hole_in_the_ids() -> None:
    rng = np.random.default_rng(0)
    true = moving(40, (40, 60), (4, 1))
    frames = [[face] for face in true]
    for t in (3, 4, 15, 28):
        frames[t].insert(0, detection_at(*rng.uniform((120, 150), (300, 220)), 50))
    frames[20].insert(0, detection_at(*np.array([280.0, 40.0]), 60))
    items = run([tuple(frame) for frame in frames], TrackSettings(max_gap=2))
    assert [ids(item) for item in items] == [[0]] * 40


def test_crossing_faces_keep_their_identity() -> None:
    rng = np.random.default_rng(7)
    right, left = moving(60, (30, 100), (4, 0)), moving(60, (270, 108), (-4, 0))
    frames = []
    for t, pair in enumerate(zip(right, left, strict=True)):
        hidden = 28 <= t <= 31  # the front face hides the other
        frame = [pair[0]] if hidden else list(pair)
        rng.shuffle(frame)
        frames.append(tuple(frame))
    items = run(frames)
    first, second = sorted(ids(items[0]), key=lambda i: np.nan_to_num(centres(items, i)[0, 0]))
    for track_id, truth in ((first, right), (second, left)):
        expected = np.array([face.landmarks_5xy.mean(axis=0) for face in truth])
        np.testing.assert_allclose(centres(items, track_id), expected, atol=8)
    assert all(len(item.faces) == 2 for item in items)


def test_landmarks_decide_where_boxes_cannot() -> None:
    """Two faces cheek to cheek: each detector's box is drawn around both."""
    both = np.array([60, 60, 160, 140], np.float32)

    def frame(t: int) -> tuple[Detection, ...]:
        pair = [Detection(both, frozen(face.landmarks_5xy), 0.9) for face in (left, right)]
        return tuple(pair if t % 2 else pair[::-1])

    left, right = detection_at(90, 100, 60), detection_at(130, 100, 60)
    items = run([frame(t) for t in range(12)])
    for track_id in (0, 1):
        assert np.ptp(centres(items, track_id)[:, 0]) < 1


def test_without_lag_nothing_later_is_known() -> None:
    settings = TrackSettings(lag=0, min_hits=4)
    found = moving(20, (60, 100), (0, 0))
    later = found[:10] + moving(10, (66, 100), (0, 0))
    one, other = (centres(run([(face,) for face in film_], settings), 0) for film_ in (found, later))
    np.testing.assert_array_equal(one[:10], other[:10])
    assert abs(one[10] - other[10]).max() > 1


def test_gap_is_filled_between_detections() -> None:
    found = [(face,) for face in moving(40, (40, 60), (4, 1))]
    truth = np.array([face.landmarks_5xy.mean(axis=0) for (face,) in found])
    found[15:21] = [()] * 6
    items = run(found)
    assert [ids(item) for item in items] == [[0]] * 40
    assert [item.faces[0].detection is None for item in items] == [15 <= t < 21 for t in range(40)]
    np.testing.assert_allclose(centres(items, 0), truth, atol=1)


def test_gap_that_is_too_long_ends_the_track() -> None:
    found = [(face,) for face in moving(60, (100, 100), (0, 0))]
    found[20:29] = [()] * 9
    items = run(found, TrackSettings(max_gap=8))
    assert ids(items[19]) == [0]
    assert ids(items[29]) == [1]


def test_long_gap_is_not_seen_across_but_keeps_the_identity() -> None:
    found = [(face,) for face in moving(60, (100, 100), (0, 0))]
    found[20:40] = [()] * 20
    items = run(found, TrackSettings(max_gap=30, lag=4), tail=3)
    shown = [bool(item.faces) for item in items]
    assert shown == [t < 23 or t >= 36 for t in range(60)]
    assert ids(items[59]) == [0]


def test_face_that_leaves_is_predicted_for_its_tail_only() -> None:
    found = [(face,) for face in moving(20, (100, 100), (1, 0))] + [()] * 20
    items = run(found, tail=5)
    assert [bool(item.faces) for item in items] == [t < 25 for t in range(40)]
    assert items[24].faces[0].detection is None


def test_prediction_ends_at_the_edge_of_the_frame() -> None:
    found = [(face,) for face in moving(20, (20, 100), (15, 0))] + [()] * 10  # 320 pixels wide
    items = run(found, tail=10)
    assert not any(item.faces for item in items[22:])


def test_shot_start_flushes_and_clears() -> None:
    consumed = []
    found = [(face,) for face in moving(30, (100, 100), (1, 0))]

    def source() -> Iterator[FrameFaces[Any]]:
        for item in film(found, shots=(12,)):
            consumed.append(item.frame.index)
            yield item

    items = []
    for item in track_faces(source(), SETTINGS):
        items.append(item)
        if item.frame.index < 12:
            assert len(consumed) <= 13  # no frame of the new shot is waited for
    assert [ids(item) for item in items] == [[0]] * 12 + [[1]] * 18
    alone = run(found[:12])
    np.testing.assert_array_equal(centres(items[:12], 0), centres(alone, 0))
    second = run(found[12:])
    np.testing.assert_array_equal(centres(items[12:], 1), centres(second, 0))


def test_shot_shorter_than_the_asked_for_hits_keeps_its_faces() -> None:
    items = run([(face,) for face in moving(2, (100, 100), (1, 0))])
    assert [ids(item) for item in items] == [[0], [0]]


def test_low_scores_continue_a_track_but_start_none() -> None:
    strong, weak = moving(30, (60, 60), (2, 0)), moving(30, (60, 60), (2, 0), score=0.3)
    frames = [(weak[t] if 10 <= t < 20 else strong[t], detection_at(220, 150, 60, 0.4)) for t in range(30)]
    items = run(frames, TrackSettings(max_gap=1), start_score=0.6)
    assert [ids(item) for item in items] == [[0]] * 30
    assert items[15].faces[0].detection is weak[15]


def test_jitter_is_smoothed_and_lag_free() -> None:
    rng = np.random.default_rng(3)
    truth = moving(80, (60, 80), (2, 1))
    noisy = [
        Detection(face.box_xyxy, frozen(face.landmarks_5xy + rng.normal(0, 1.2, (5, 2)).astype(np.float32)), 0.9)
        for face in truth
    ]
    items = run([(face,) for face in noisy])
    error = np.stack([item.faces[0].landmarks_5xy for item in items]) - np.stack([f.landmarks_5xy for f in truth])
    assert error[8:-8].std() < 1.2 / 2  # a quarter of the variance
    assert abs(error.mean()) < 0.1


def broken(box: tuple[float, ...] = (10, 10, 60, 60), landmarks: NDArray[Any] | None = None) -> Detection:
    points = detection_at(40, 40, 80).landmarks_5xy if landmarks is None else landmarks
    return Detection(np.array(box, np.float32), np.array(points, np.float32), 0.9)


@pytest.mark.parametrize(
    "detection",
    [broken(box=(10, 10, np.nan, 60)), broken(box=(60, 10, 60, 60)), broken(landmarks=np.full((5, 2), 30.0))],
)
def test_unusable_detections_are_left_out(detection: Detection) -> None:
    assert not any(item.faces for item in run([(detection,)] * 10))


def test_memory_does_not_grow() -> None:
    tracker = Tracker(SETTINGS)
    picture = gray_frame().picture
    for t in range(200):
        tracker.observe(gray_frame(t), (detection_at(100, 100, 80),) if t < 150 else ())
        if t >= 8:
            tracker.take(picture)
        assert sum(len(track.pending) for track in tracker._tracks) <= 9
    assert tracker._tracks == []


def test_upstream_is_closed_and_errors_pass() -> None:
    closed = []

    def source() -> Iterator[FrameFaces[Any]]:
        try:
            yield from film([()] * 20)
            raise OSError("disk")
        finally:
            closed.append(True)

    with pytest.raises(OSError, match="disk"):
        list(track_faces(source(), SETTINGS))
    upstream = source()  # held, or it would be closed by its own deletion
    stage = track_faces(upstream, SETTINGS)
    next(stage)
    stage.close()
    assert closed == [True, True]


def test_what_is_seen_too_briefly_is_told() -> None:
    settings = TrackSettings(min_hits=3, max_gap=0, lag=2)
    told: list[tuple[int, str, float]] = []
    brief = film([[detection_at(60, 60, 40)] if t in (4, 5) else [] for t in range(10)])
    out = list(track_faces(brief, settings, on_skip=lambda *what: told.append(what)))
    assert not any(item.faces for item in out)
    assert told == [(t, "seen too briefly", pytest.approx(0.9)) for t in (4, 5)]
