"""The bars of steadiness, in pixels of a crop of 256: still faces stand still, moving ones are not dragged.

Truth is a closed form; the noise is white, of the sizes that the shipped detector was measured to have on portraits
with fresh noise in each frame: 0.0035 face sizes on clean pictures, 0.02 on archival ones.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.config.schema import TrackSettings
from gpen_video.faces import Aligner
from gpen_video.faces.smooth import NoiseMeter, Smoother
from gpen_video.faces.track import track_faces
from gpen_video.geometry import apply, invert, scale_of
from gpen_video.types import Detection
from tests.faces.scenes import carrier, detection_at, frozen, gray_frame

Float64 = NDArray[np.float64]

FRAMES = 90
INSIDE = slice(10, -10)
"""Without the ends, where there is less to know from."""
CLEAN, ARCHIVAL = 0.0035, 0.02
CROP = 200.0
BASE = detection_at(160, 120, CROP)
SIZE = float(np.sqrt(np.prod(BASE.box_xyxy[2:] - BASE.box_xyxy[:2])))
ALIGNER = Aligner(256)
CORNERS = np.array([[48.0, 48], [208, 48], [208, 208], [48, 208]])


def eased(time: Float64, start: float, length: float) -> Float64:
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((time - start) / length, 0, 1))


MOVES: dict[str, Callable[[Float64], tuple[Float64, Float64]]] = {
    "still": lambda t: (0 * t, 0 * t),
    "starts and stops in 6": lambda t: (0.5 * (eased(t, 30, 6) - eased(t, 60, 8)), 0 * t),
    "nods at 1 Hz": lambda t: (0 * t, 0.12 * np.sin(2 * np.pi * t / 25)),
    "nods at 2 Hz": lambda t: (0 * t, 0.08 * np.sin(4 * np.pi * t / 25)),
    "walks by": lambda t: (0.05 * t, 0.02 * np.sin(4 * np.pi * t / 25)),
}


@cache
def faces(move: str, noise: float) -> tuple[list[Detection], Float64]:
    """What is detected, and (T, 5, 2) true landmarks."""
    rng = np.random.default_rng(11)
    shift = np.stack(MOVES[move](np.arange(FRAMES, dtype=np.float64)), axis=1) * SIZE
    truth = BASE.landmarks_5xy.astype(np.float64) + shift[:, None]
    found = []
    for points, (x, y) in zip(truth, shift, strict=True):
        # As measured, about half of the noise is common to all five points.
        error = (0.75 * rng.normal(size=2) + 0.66 * rng.normal(size=(5, 2))) * noise * SIZE
        box = BASE.box_xyxy + np.array([x, y, x, y], np.float32)
        found.append(Detection(frozen(box), frozen((points + error).astype(np.float32)), 0.98))
    return found, truth


@cache
def steadied(move: str, noise: float) -> Float64:
    stream = (carrier(gray_frame(t, width=1600), face) for t, face in enumerate(faces(move, noise)[0]))
    return np.stack([item.faces[0].landmarks_5xy for item in track_faces(stream, TrackSettings())])


def miss(landmarks: Float64, truth: Float64) -> Float64:
    """(T, 4, 2) by how much the crop's corners are off, in pixels of the crop."""
    crops, wanted = ([ALIGNER.crop_from_frame(points) for points in series] for series in (landmarks, truth))
    return np.stack(
        [
            (apply(invert(c), CORNERS) - apply(invert(w), CORNERS)) * scale_of(w)
            for c, w in zip(crops, wanted, strict=True)
        ]
    )


def raw_and_steady(move: str, noise: float) -> tuple[Float64, Float64]:
    detections, truth = faces(move, noise)
    raw = np.stack([face.landmarks_5xy for face in detections]).astype(np.float64)
    return miss(raw, truth)[INSIDE], miss(steadied(move, noise), truth)[INSIDE]


def jitter(missed: Float64) -> float:
    return float(np.sqrt(np.square(np.diff(missed, 2, axis=0)).mean()))


def distance(missed: Float64, percentile: float) -> float:
    return float(np.percentile(np.linalg.norm(missed, axis=-1), percentile))


@pytest.mark.parametrize("noise", [CLEAN, ARCHIVAL])
def test_still_face_stands_still(noise: float) -> None:
    raw, steady = raw_and_steady("still", noise)
    assert jitter(steady) <= 0.08 * jitter(raw)
    assert distance(steady, 95) < 0.5 * distance(raw, 95)


@pytest.mark.parametrize("move", [move for move in MOVES if move != "still"])
def test_moving_face_is_not_dragged(move: str) -> None:
    raw, steady = raw_and_steady(move, CLEAN)
    assert distance(steady, 95) <= 1.0
    assert distance(steady, 50) < distance(raw, 50)
    assert jitter(steady) <= 0.6 * jitter(raw)


@pytest.mark.parametrize("move", [move for move in MOVES if move != "still"])
def test_moving_face_in_noise_is_nearer_the_truth_than_what_was_seen(move: str) -> None:
    raw, steady = raw_and_steady(move, ARCHIVAL)
    assert distance(steady, 95) < 0.9 * distance(raw, 95)
    assert distance(steady, 50) < 0.75 * distance(raw, 50)
    assert jitter(steady) <= 0.25 * jitter(raw)


def test_nothing_pops_where_a_model_takes_over() -> None:
    """Half a second before and after the move the face is as calm as ever, and no single step stands out."""
    seen, second = (
        np.linalg.norm(np.diff(series, 2, axis=0), axis=-1).max(axis=1)
        for series in raw_and_steady("starts and stops in 6", CLEAN)
    )
    assert second.max() < seen.max()
    assert second[35:41].max() < 0.4  # frames 45 to 52, at rest between the two moves


def test_noise_is_measured_whatever_moves() -> None:
    for move in MOVES:
        meter = NoiseMeter(0.03)
        for face in faces(move, CLEAN)[0]:
            meter.add(face.landmarks_5xy.astype(np.float64).ravel(), SIZE)
        assert meter.deviation == pytest.approx(CLEAN, rel=0.4)


def test_noise_is_not_measured_across_a_gap() -> None:
    meter = NoiseMeter(0.03)
    for t in range(40):
        meter.add(None if t % 5 == 4 else np.full(10, float(t**2)), SIZE)
    assert meter.deviation == pytest.approx(0.03)


def test_a_track_begins_with_a_measurement() -> None:
    with pytest.raises(ValueError, match="begins with a measurement"):
        Smoother(0.02).step([None])
