"""How many faces a detector finds, how many it finds that are not there, and how far it agrees with its teacher."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpen_video.errors import InputError
from gpen_video.faces import Detector, RetinaFaceDetector, upright_rgb
from gpen_video.geometry import iou_matrix
from gpen_video.media import decode, probe
from gpen_video.train.composites import Composite, PortraitPyramid, degrade, make_composite, paste_one
from gpen_video.train.metrics import landmark_error
from gpen_video.types import Detection
from gpen_video.weights import load_detector

SIZES = (24, 32, 48, 64, 96, 128, 192)
"""Shorter sides of the box in pixels, for `recall_by_size`."""
FALSE_FINDS_PER_100 = 1.0
"""What `evaluate_on_composites` allows when it chooses the score."""
SMALLEST_FACE = 24.0
"""Shorter side in pixels from which a face must be found."""

_SIDE = 384
_LOWEST_SCORE = 0.02
_SAME_FACE_IOU = 0.35
_NO_FACE_IOU = 0.2
_SURE_TEACHER = 0.8
_SUSPECTING_TEACHER = 0.3
_SMALLEST_SURE_FACE = 22.0
_FILM_SUFFIXES = frozenset({".mp4", ".mkv", ".mpg", ".mov", ".avi"})

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recall:
    """Faces that should be found, and those that were."""

    wanted: int
    found: int
    landmark_median: float | None
    """Landmark error in eye distances; `None` where nothing was found."""
    landmark_95: float | None
    """95th percentile."""

    @property
    def share(self) -> float | None:
        """0 to 1; `None` where there was nothing to find."""
        return self.found / self.wanted if self.wanted else None


@dataclass(frozen=True, slots=True)
class CompositeScores:
    """A detector on composites of held-out faces, at the least score that keeps false finds rare."""

    pictures: int
    score: float
    """The threshold: lowered further, there would be more false finds than allowed."""
    recall: Recall
    false_finds_per_100: float
    default_score: float
    at_default: Recall
    default_false_finds_per_100: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"recall_share": self.recall.share, "at_default_share": self.at_default.share}


@dataclass(frozen=True, slots=True)
class SizeScores:
    """Recall of single faces of one size."""

    size: int
    """Shorter side of the box in pixels."""
    clean: Recall
    degraded: Recall


@dataclass(frozen=True, slots=True)
class ClipScores:
    """A detector on a real clip, beside its teacher."""

    clip: str
    frames: int
    agreement: Recall
    """Of the faces that the teacher is sure of."""
    alone: int
    """Finds where the teacher suspects nothing."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A detector on real clips, beside its teacher."""

    score: float
    clips: tuple[ClipScores, ...]

    @property
    def share(self) -> float | None:
        """Of all faces in all clips that the teacher is sure of; `None` where it is sure of none."""
        wanted = sum(clip.agreement.wanted for clip in self.clips)
        return sum(clip.agreement.found for clip in self.clips) / wanted if wanted else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"share": self.share}


def candidate_detector(name_or_path: str) -> RetinaFaceDetector:
    """A RetinaFace that reports also what it hardly believes, so that scores can be chosen afterwards.

    Raises:
        WeightsError: as `load_detector`.
    """
    net = load_detector(name_or_path).net
    return RetinaFaceDetector(net, device=torch.device("cpu"), score=_LOWEST_SCORE, min_face=4)


def evaluate_on_composites(
    detector: Detector,
    portraits: Sequence[PortraitPyramid],
    *,
    count: int = 300,
    side: int = _SIDE,
    seed: int = 78,
    degraded: bool = True,
    default_score: float = 0.6,
    on_picture: Callable[[int, int], None] | None = None,
) -> CompositeScores:
    """Recall at one false find in a hundred pictures, on composites with decoys and cut faces.

    They are as hard as those of the training: turned by up to 40 degrees, in profile, sparsely lit, and degraded until
    some are beyond anyone. Faces of less than `SMALLEST_FACE` pixels, cut or upside down are neither asked for nor
    counted as false. Parts of faces in the clutter do count as false, though some look like faces to anyone.

    Args:
        detector: from `candidate_detector`.
        portraits: held out, from `load_portraits`.
        count: of pictures; below a hundred no false find at all is allowed.
        side: of the pictures, in pixels.
        seed: decides every composite.
        degraded: as film, video and compression leave them, or before that.
        default_score: the threshold that the product uses.
        on_picture: called with the pictures done and to do.
    """
    tries = []
    for index in range(count):
        sample = make_composite(portraits, side, np.random.default_rng((seed, index)))
        picture = sample.bgr_hwc if degraded else sample.clean_bgr_hwc
        tries.append(_Try.of(sample, detector.detect(picture[None, :, :, ::-1])[0]))
        if on_picture is not None:
            on_picture(index + 1, count)
    score = _least_score([s for one in tries for s in one.false_scores], int(count * FALSE_FINDS_PER_100 / 100))
    recalls = [_recall(one.at(threshold) for one in tries) for threshold in (score, default_score)]
    false = [100 / count * sum(s >= t for one in tries for s in one.false_scores) for t in (score, default_score)]
    return CompositeScores(count, score, recalls[0], false[0], default_score, recalls[1], false[1])


def recall_by_size(
    detector: Detector,
    portraits: Sequence[PortraitPyramid],
    *,
    sizes: Sequence[int] = SIZES,
    count: int = 40,
    seed: int = 77,
    score: float = 0.6,
) -> tuple[SizeScores, ...]:
    """Recall of one upright face a picture, clean and degraded, `count` pictures a size."""
    return tuple(
        SizeScores(size, *(_single_faces(detector, portraits, size, count, seed, score, d) for d in (False, True)))
        for size in sizes
    )


def agreement_with_teacher(
    detector: Detector,
    teacher: Detector,
    clips: Path,
    *,
    score: float = 0.6,
    every: int = 20,
    long_side: int = 960,
    on_clip: Callable[[str], None] | None = None,
) -> Agreement:
    """Which of the faces that the teacher is sure of (0.8, 22 pixels) the detector finds.

    Both look at the pictures that the product would show them.

    Args:
        detector: from `candidate_detector`.
        teacher: likewise.
        clips: folder of films.
        score: the detector's threshold.
        every: takes every so many frames.
        long_side: of the picture that is looked at, in pixels; smaller ones are not enlarged.
        on_clip: called with each film's name before it is read.

    Raises:
        InputError: the folder holds no film, or one cannot be decoded.
    """
    films = sorted(path for path in clips.glob("*") if path.suffix.lower() in _FILM_SUFFIXES)
    if not films:
        raise InputError(f"{clips}: holds no film ({', '.join(sorted(_FILM_SUFFIXES))})")
    scores = []
    for film in films:
        if on_clip is not None:
            on_clip(film.name)
        scores.append(_clip_scores(film, detector, teacher, score, every, long_side))
    return Agreement(score, tuple(scores))


def match(faces: Sequence[Detection], box_xyxy: Boxes, least_iou: float = _SAME_FACE_IOU) -> Detection | None:
    """The face that overlaps a box most, if it does so by `least_iou`."""
    overlaps = iou_matrix(box_xyxy[None], _boxes(faces))[0]
    if not len(overlaps) or overlaps.max() < least_iou:
        return None
    return faces[int(overlaps.argmax())]


@dataclass(slots=True)
class _Hits:
    """What was wanted and found in one picture."""

    wanted: int = 0
    errors: list[float] = field(default_factory=list)
    """Landmark error of each face found."""

    def add(self, true_landmarks_5xy: NDArray[np.float32], found: Detection | None) -> None:
        self.wanted += 1
        if found is not None:
            self.errors.append(landmark_error(found.landmarks_5xy, true_landmarks_5xy))


@dataclass(frozen=True, slots=True, eq=False)
class _Try:
    """One composite and all that was found in it, also the hardly believed."""

    boxes_xyxy: Boxes
    landmarks_n5xy: NDArray[np.float32]
    found: tuple[Detection, ...]
    false_scores: tuple[float, ...]
    """Of the finds where nothing is."""

    @classmethod
    def of(cls, sample: Composite, found: tuple[Detection, ...]) -> "_Try":
        sides = sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2]
        wanted = sides.min(axis=1) >= SMALLEST_FACE
        there = np.concatenate([sample.boxes_xyxy, sample.doubtful_xyxy])
        false = tuple(
            face.score for face in found if iou_matrix(face.box_xyxy[None], there).max(initial=0) < _NO_FACE_IOU
        )
        return cls(sample.boxes_xyxy[wanted], sample.landmarks_n5xy[wanted], found, false)

    def at(self, score: float) -> _Hits:
        hits = _Hits()
        believed = [face for face in self.found if face.score >= score]
        for box, points in zip(self.boxes_xyxy, self.landmarks_n5xy, strict=True):
            hits.add(points, match(believed, box))
        return hits


def _least_score(false_scores: list[float], allowed: int) -> float:
    """Just above the surest false find that is one too many."""
    surest_first = sorted(false_scores, reverse=True)
    if len(surest_first) <= allowed:
        return _LOWEST_SCORE
    return float(np.nextafter(surest_first[allowed], 1))


def _recall(pictures: Iterator[_Hits]) -> Recall:
    hits = list(pictures)
    errors = [error for one in hits for error in one.errors]
    wanted = sum(one.wanted for one in hits)
    if not errors:
        return Recall(wanted, 0, None, None)
    return Recall(wanted, len(errors), float(np.median(errors)), float(np.percentile(errors, 95)))


def _single_faces(
    detector: Detector,
    portraits: Sequence[PortraitPyramid],
    size: int,
    count: int,
    seed: int,
    score: float,
    degraded: bool,
) -> Recall:
    def pictures() -> Iterator[_Hits]:
        rng = np.random.default_rng((seed, size, degraded))
        for _ in range(count):
            sample = paste_one(portraits, _SIDE, float(size), rng)
            picture = degrade(sample.clean_bgr_hwc, rng) if degraded else sample.clean_bgr_hwc
            found = [face for face in detector.detect(picture[None, :, :, ::-1])[0] if face.score >= score]
            hits = _Hits()
            for box, points in zip(sample.boxes_xyxy, sample.landmarks_n5xy, strict=True):
                hits.add(points, match(found, box))
            yield hits

    return _recall(pictures())


def _clip_scores(
    film: Path, detector: Detector, teacher: Detector, score: float, every: int, long_side: int
) -> ClipScores:
    pictures, alone = [], 0
    for rgb in _pictures(film, every, long_side):
        believed = [face for face in detector.detect(rgb[None])[0] if face.score >= score]
        taught = [face for face in teacher.detect(rgb[None])[0] if face.score >= _SUSPECTING_TEACHER]
        hits = _Hits()
        for face in taught:
            if face.score >= _SURE_TEACHER and _shorter_side(face) >= _SMALLEST_SURE_FACE:
                hits.add(face.landmarks_5xy, match(believed, face.box_xyxy))
        alone += sum(match(taught, face.box_xyxy, _NO_FACE_IOU) is None for face in believed)
        pictures.append(hits)
    return ClipScores(film.name, len(pictures), _recall(iter(pictures)), alone)


def _pictures(film: Path, every: int, long_side: int) -> Iterator[Picture]:
    info = probe(film)
    aspect = float(info.sample_aspect_ratio or 1)
    with closing(decode(info, tolerant=True)) as frames:
        for frame in islice(frames, 0, None, every):
            yield upright_rgb(frame, long_side, info.rotation, aspect)[0]


def _boxes(faces: Sequence[Detection]) -> Boxes:
    return np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)


def _shorter_side(face: Detection) -> float:
    return float((face.box_xyxy[2:] - face.box_xyxy[:2]).min())
