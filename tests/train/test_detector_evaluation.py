"""With detectors whose every find is known, the figures are closed forms."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from gpen_video.errors import InputError
from gpen_video.train.composites import Composite, PortraitPyramid, make_composite
from gpen_video.train.detector_evaluation import (
    SMALLEST_FACE,
    agreement_with_teacher,
    evaluate_on_composites,
    match,
    recall_by_size,
)
from gpen_video.types import Detection
from tests.media.factories import Clip, make_clip

COUNT, SIDE, SEED = 40, 160, 78
POINTS = np.array([[70, 90], [130, 90], [100, 120], [78, 145], [122, 145]], np.float32)
BOX = np.array([50, 45, 150, 175], np.float32)


class Scripted:
    """Answers the pictures it is shown, in their order, as it was told to."""

    def __init__(self, answer: Callable[[int, np.ndarray], list[Detection]]) -> None:
        self._answer = answer
        self._shown = 0

    def detect(self, rgb_nhwc: np.ndarray) -> list[tuple[Detection, ...]]:
        found = [tuple(self._answer(self._shown + i, rgb)) for i, rgb in enumerate(rgb_nhwc)]
        self._shown += len(rgb_nhwc)
        return found


@pytest.fixture(scope="module")
def portraits() -> list[PortraitPyramid]:
    rng = np.random.default_rng(5)
    made = []
    for _ in range(6):
        picture = np.full((200, 200, 3), rng.integers(0, 256, 3), np.uint8)
        cv2.ellipse(picture, (100, 110), (50, 65), 0, 0, 360, (140, 170, 220), -1)
        jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
        smaller = [np.asarray(cv2.resize(picture, None, fx=f, fy=f), np.uint8) for f in (0.5, 0.25, 0.125)]
        made.append(PortraitPyramid(jpeg, tuple(smaller), BOX, POINTS))
    return made


@pytest.fixture(scope="module")
def composites(portraits: list[PortraitPyramid]) -> list[Composite]:
    return [make_composite(portraits, SIDE, np.random.default_rng((SEED, index))) for index in range(COUNT)]


def faces_of(sample: Composite, score: float, shift: float = 0.0) -> list[Detection]:
    return [
        Detection(box, points + np.float32(shift * np.linalg.norm(points[1] - points[0])), score)
        for box, points in zip(sample.boxes_xyxy, sample.landmarks_n5xy, strict=True)
    ]


def nowhere(score: float) -> Detection:
    return Detection(np.array([900, 900, 950, 950], np.float32), POINTS + 900, score)


def large(sample: Composite) -> int:
    sides = sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2]
    return int((sides.min(axis=1) >= SMALLEST_FACE).sum())


def test_whoever_knows_all_finds_all(portraits: list[PortraitPyramid], composites: list[Composite]) -> None:
    detector = Scripted(lambda index, _: faces_of(composites[index], 0.3, shift=0.1))
    scores = evaluate_on_composites(detector, portraits, count=COUNT, side=SIDE, seed=SEED)
    assert scores.recall.wanted == scores.recall.found == sum(map(large, composites)) > 20
    assert scores.recall.share == 1
    assert scores.recall.landmark_median == pytest.approx(0.1 * np.sqrt(2), rel=1e-3)
    assert scores.false_finds_per_100 == 0
    assert scores.at_default.found == 0 and scores.at_default.share == 0  # all of 0.3
    assert json.loads(json.dumps(scores.as_dict()))["recall_share"] == 1


def test_the_score_rises_until_false_finds_are_rare(
    portraits: list[PortraitPyramid], composites: list[Composite]
) -> None:
    """40 pictures bear no false find: the surest is of 0.7, so that faces of 0.7 and less are lost with it."""

    def answer(index: int, _: np.ndarray) -> list[Detection]:
        sure = 0.9 if index % 2 else 0.7
        return faces_of(composites[index], sure) + ([nowhere(0.7)] if index == 3 else [nowhere(0.4)])

    scores = evaluate_on_composites(Scripted(answer), portraits, count=COUNT, side=SIDE, seed=SEED)
    assert 0.7 < scores.score < 0.7001
    assert scores.recall.found == sum(map(large, composites[1::2]))
    assert scores.false_finds_per_100 == 0
    assert scores.default_false_finds_per_100 == pytest.approx(100 / COUNT)
    assert scores.at_default.share == 1


def test_one_false_find_in_a_hundred_pictures_is_borne(portraits: list[PortraitPyramid]) -> None:
    detector = Scripted(lambda index, _: [nowhere(0.8)] if index == 0 else [nowhere(0.5)])
    scores = evaluate_on_composites(detector, portraits, count=100, side=SIDE, seed=SEED)
    assert 0.5 < scores.score < 0.5001
    assert scores.false_finds_per_100 == 1


def test_small_and_cut_faces_are_neither_asked_for_nor_false(
    portraits: list[PortraitPyramid], composites: list[Composite]
) -> None:
    assert any(len(sample.doubtful_xyxy) for sample in composites)
    assert any(large(sample) < len(sample.boxes_xyxy) for sample in composites)

    def answer(index: int, _: np.ndarray) -> list[Detection]:
        doubtful = [Detection(box, POINTS, 0.9) for box in composites[index].doubtful_xyxy]
        return faces_of(composites[index], 0.9) + doubtful

    scores = evaluate_on_composites(Scripted(answer), portraits, count=COUNT, side=SIDE, seed=SEED)
    assert scores.default_false_finds_per_100 == 0
    assert scores.at_default.wanted == sum(map(large, composites))


@pytest.mark.parametrize("degraded", [True, False])
def test_the_detector_sees_the_picture_degraded_or_clean(portraits: list[PortraitPyramid], degraded: bool) -> None:
    shown: list[np.ndarray] = []

    def answer(_: int, rgb: np.ndarray) -> list[Detection]:
        shown.append(rgb.copy())
        return []

    evaluate_on_composites(Scripted(answer), portraits, count=1, side=SIDE, seed=SEED, degraded=degraded)
    sample = make_composite(portraits, SIDE, np.random.default_rng((SEED, 0)))
    wanted = sample.bgr_hwc if degraded else sample.clean_bgr_hwc
    np.testing.assert_array_equal(shown[0][..., ::-1], wanted)
    assert not np.array_equal(sample.bgr_hwc, sample.clean_bgr_hwc)


def test_recall_by_size_asks_for_one_face_a_picture(portraits: list[PortraitPyramid]) -> None:
    nothing = Scripted(lambda index, _: [])
    (scores,) = recall_by_size(nothing, portraits, sizes=(48,), count=5)
    assert (scores.size, scores.clean.wanted, scores.degraded.wanted) == (48, 5, 5)
    assert scores.clean.found == 0 and scores.clean.landmark_median is None


def test_the_best_overlap_is_the_match() -> None:
    near, nearer = Detection(BOX + 10, POINTS, 0.9), Detection(BOX + 2, POINTS, 0.3)
    assert match([near, nearer], BOX) is nearer
    assert match([nowhere(1.0)], BOX) is None
    assert match([], BOX) is None


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "grey.mkv", Clip(container="matroska", pts=tuple(range(0, 480, 40)), size=(128, 96)))
    (folder / "notes.txt").write_text("no film")
    return folder


def test_agreement_counts_what_the_teacher_is_sure_of(clips: Path) -> None:
    """Of 12 frames every other is looked at. The teacher is sure of a face in all, suspects one more in one."""
    face, other = Detection(BOX, POINTS, 0.9), Detection(BOX + 300, POINTS, 0.5)
    teacher = Scripted(lambda index, _: [face, other] if index == 0 else [face])
    ours = Scripted(lambda index, _: ([face] if index < 4 else []) + [Detection(BOX + 300, POINTS, 0.7)])
    result = agreement_with_teacher(ours, teacher, clips, every=2)
    (clip,) = result.clips
    assert (clip.clip, clip.frames) == ("grey.mkv", 6)
    assert (clip.agreement.wanted, clip.agreement.found) == (6, 4)
    assert clip.alone == 5  # in the first frame the teacher suspects it too
    assert result.share == pytest.approx(4 / 6)
    assert result.as_dict()["share"] == result.share


def test_a_teacher_that_sees_nothing_gives_no_share(clips: Path) -> None:
    nobody, tiny = Scripted(lambda *_: []), Scripted(lambda *_: [Detection(BOX / 10, POINTS / 10, 0.9)])
    assert agreement_with_teacher(nobody, tiny, clips).share is None


def test_pictures_come_as_the_product_makes_them(clips: Path) -> None:
    shapes: set[tuple[int, ...]] = set()

    def answer(_: int, rgb: np.ndarray) -> list[Detection]:
        shapes.add(rgb.shape)
        return []

    agreement_with_teacher(Scripted(answer), Scripted(lambda *_: []), clips, long_side=64)
    assert shapes == {(48, 64, 3)}


def test_a_folder_without_films_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    nobody = Scripted(lambda *_: [])
    with pytest.raises(InputError, match="holds no film"):
        agreement_with_teacher(nobody, nobody, tmp_path)
