from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from gpen_video.config import GateSettings
from gpen_video.faces import Aligner, RetinaFaceDetector
from gpen_video.faces.gate import gate_faces, size_of, turn_of
from gpen_video.geometry import TEMPLATES, scale_of
from gpen_video.media import decode, probe
from gpen_video.pipeline import crop_faces, detect_faces
from gpen_video.train.degrade import archival
from gpen_video.types import FaceCrop, FrameFaces, TrackedFace
from gpen_video.weights import load_detector
from tests.faces.portraits import blurred, crop_of, grainy, portrait, turned
from tests.faces.scenes import gray_frame

SOFT = blurred(portrait(), 2)
DEFAULTS = GateSettings()


def film(crops: Sequence[FaceCrop], cut: int | None = None) -> Iterator[FrameFaces[FaceCrop]]:
    for t, crop in enumerate(crops):
        yield FrameFaces(gray_frame(t, t in (0, cut)), (crop,))


def strengths(crops: Sequence[FaceCrop], settings: GateSettings = DEFAULTS, cut: int | None = None) -> list[float]:
    return [item.faces[0].strength for item in gate_faces(film(crops, cut), settings)]


def reasons(crops: Sequence[FaceCrop], settings: GateSettings = DEFAULTS) -> dict[str, list[float]]:
    told: dict[str, list[float]] = {}
    list(gate_faces(film(crops), settings, lambda _f, _t, reason, value: told.setdefault(reason, []).append(value)))
    return told


def test_a_soft_face_is_wanted_whole() -> None:
    assert strengths([crop_of(SOFT)] * 3) == [1.0] * 3
    assert not reasons([crop_of(SOFT)] * 3)


@pytest.mark.parametrize(
    ("crop", "reason"),
    [
        (crop_of(SOFT, scale=0.09), "small"),
        (crop_of(portrait()), "sharp already"),
        (crop_of(SOFT, landmarks_5xy=turned(72)), "turned away"),
        (crop_of(SOFT, score=0.3), "detector unsure"),
        (crop_of(SOFT, scale=9), "larger than the network"),
    ],
)
def test_each_reason_leaves_a_face_alone_and_is_told(crop: FaceCrop, reason: str) -> None:
    assert strengths([crop] * 3) == pytest.approx([0] * 3, abs=1e-9)
    told = reasons([crop] * 3)
    assert set(told) == {reason}
    assert len(told[reason]) == 3


def test_parts_multiply() -> None:
    one = strengths([crop_of(SOFT, scale=6)])[0]
    other = strengths([crop_of(SOFT, score=0.5)])[0]
    assert 0.4 < one < 0.6 and 0.6 < other < 0.7
    assert strengths([crop_of(SOFT, scale=6, score=0.5)])[0] == pytest.approx(one * other)


def test_a_strength_that_is_there_already_is_kept() -> None:
    chosen = crop_of(SOFT, scale=6)
    half = type(chosen)(chosen.face, chosen.rgb_hwc, chosen.frame_from_crop_2x3, 0.5)
    assert strengths([half])[0] == pytest.approx(0.5 * strengths([chosen])[0])


def test_sharp_but_grainy_faces_are_restored() -> None:
    assert strengths([crop_of(grainy(portrait(), 0.04))])[0] == 1


def test_it_can_be_switched_off() -> None:
    assert strengths([crop_of(portrait())], GateSettings(enabled=False)) == [1.0]
    wide = GateSettings(small=0, sharp=10, turned=90, sure=0, large=1000)
    assert strengths([crop_of(portrait(), scale=9, score=0.1, landmarks_5xy=turned(80))], wide) == [1.0]


def test_a_face_that_turns_away_fades_without_steps_and_comes_back() -> None:
    angles = [*range(40, 85, 3), *range(85, 40, -3)]
    made = strengths([crop_of(SOFT, landmarks_5xy=turned(angle)) for angle in angles] + [crop_of(SOFT)] * 15)
    assert made[0] == 1 and min(made) < 0.1 and made[-1] > 0.97
    assert np.abs(np.diff(made)).max() <= 0.2


def test_a_face_at_a_limit_does_not_flicker() -> None:
    rng = np.random.default_rng(0)
    scores = np.clip(0.45 + rng.normal(0, 0.1, 60), 0, 1)
    raw = np.clip((scores - 0.3) / 0.3, 0, 1)
    made = strengths([crop_of(SOFT, score=float(score)) for score in scores])
    assert np.std(np.diff(made)[10:]) < 0.15 * np.std(np.diff(raw)[10:])


def test_predicted_faces_inherit() -> None:
    gone = crop_of(portrait(), seen=False)
    assert strengths([crop_of(SOFT)] + [gone] * 5) == [1.0] * 6


def test_a_cut_forgets() -> None:
    assert strengths([crop_of(portrait())] * 3 + [crop_of(SOFT)] * 2, cut=3) == pytest.approx([0, 0, 0, 1, 1])


@pytest.mark.parametrize("degrees", [0, 10, 30, 50, 70, 90])
def test_turn_and_size_of_a_turning_head(degrees: float) -> None:
    assert turn_of(turned(degrees)) == pytest.approx(degrees, abs=2)
    assert size_of(turned(degrees)) == pytest.approx(size_of(turned(0)), rel=0.02)


def test_turn_of_a_tilted_head_is_none() -> None:
    points = TEMPLATES["gpen"] * 256
    angle = np.radians(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert turn_of(points @ rotation.T) == pytest.approx(turn_of(points), abs=1e-6)
    assert turn_of(np.zeros((5, 2))) == 0


@pytest.mark.parametrize("name", ["foreman_h264.mp4", "carphone_pristine.mp4", "portrait_ac3.mkv", "asl_sister.mkv"])
def test_clean_film_is_left_alone_and_the_same_degraded_is_not(shared: Path, name: str) -> None:
    crops = real_crops(shared / "media" / "faces" / name)
    assert len(crops) >= 4
    assert np.mean(strengths(crops)) < 0.3
    damaged = [strengths([damaged_like_film(crop, seed)])[0] for seed, crop in enumerate(crops * 2)]
    assert np.mean(damaged) > 0.7


def damaged_like_film(crop: FaceCrop, seed: int) -> FaceCrop:
    """As if the frame had been: on the frame's pixels, where these are coarser than the crop's."""
    size = len(crop.rgb_hwc)
    side = round(size * min(1.0, scale_of(crop.frame_from_crop_2x3)))
    in_frame = cv2.resize(crop.rgb_hwc, (side, side), interpolation=cv2.INTER_AREA)
    worse = np.asarray(archival(in_frame, np.random.default_rng(seed)), np.float32)
    worse = cv2.resize(worse, (size, size), interpolation=cv2.INTER_CUBIC)
    return FaceCrop(crop.face, worse, crop.frame_from_crop_2x3)


def test_old_film_is_restored(shared: Path) -> None:
    crops = real_crops(shared / "media" / "faces" / "chaplin.mp4", first=200)
    assert len(crops) >= 4
    assert np.mean(strengths(crops)) > 0.8


def real_crops(path: Path, first: int = 0, frames: int = 6) -> list[FaceCrop]:
    """The surest face of some frames of a clip, as one track."""
    info = probe(path)
    detector = RetinaFaceDetector(
        load_detector("retinaface-mobile0.25").net, device=torch.device("cpu"), score=0.6, min_face=16
    )
    found = detect_faces(islice(decode(info), first, first + frames), detector, long_side=640, min_face=16, batch=1)

    def tracked() -> Iterator[FrameFaces[Any]]:
        for item in found:
            best = item.faces[:1]
            yield item.with_faces(tuple(TrackedFace(0, d.landmarks_5xy.astype(np.float64), d) for d in best))

    return [face for item in crop_faces(tracked(), Aligner(256)) for face in item.faces]
