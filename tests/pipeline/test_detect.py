"""Detection on every n-th frame, with the shipped detector, on the portrait in known motion and on real clips."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.data import astronaut

from gpen_video.faces import RetinaFaceDetector
from gpen_video.media import decode, probe
from gpen_video.pipeline import detect_faces
from gpen_video.types import ColourSpec, Detection, Frame, FrameFaces, Picture, PixelFormat, Timestamp
from gpen_video.weights import load_detector

CLIPS = Path(__file__).parents[2].parent / "shared" / "media" / "faces"
GBR = PixelFormat("gbrp", "rgb", 8)


@cache
def shipped() -> RetinaFaceDetector:
    net = load_detector("retinaface-mobile0.25").net
    return RetinaFaceDetector(net, device=torch.device("cpu"), score=0.5, min_face=0)


class Looking:
    """The shipped detector, counting."""

    def __init__(self) -> None:
        self.pictures: list[int] = []

    def detect(self, rgb_nhwc: NDArray[np.uint8]) -> list[tuple[Detection, ...]]:
        self.pictures.append(len(rgb_nhwc))
        return shipped().detect(rgb_nhwc)


@cache
def film(count: int = 14) -> tuple[Frame, ...]:
    """The portrait, drifting by 2 pixels a frame."""
    frames = []
    for index in range(count):
        shift = np.array([[1, 0, 2.0 * index], [0, 1, 0.7 * index]])
        rgb = cv2.warpAffine(astronaut()[:256, 96:352], shift, (256, 256), borderMode=cv2.BORDER_REFLECT_101)
        planes = tuple(np.ascontiguousarray(rgb[:, :, channel]) for channel in (1, 2, 0))
        for plane in planes:
            plane.flags.writeable = False
        picture = Picture(planes, GBR, ColourSpec(matrix="gbr", full_range=True))
        frames.append(Frame(index, Timestamp(index, Fraction(1, 25)), picture, starts_shot=index == 0))
    return tuple(frames)


def run(frames: Sequence[Frame], every: int, batch: int = 2, detector: Any = None) -> list[FrameFaces[Detection]]:
    return list(detect_faces(frames, detector or shipped(), long_side=640, min_face=16, batch=batch, every=every))


def followed(items: Sequence[FrameFaces[Detection]]) -> list[bool | None]:
    return [item.faces[0].followed if item.faces else None for item in items]


def distance(one: Detection, other: Detection) -> float:
    """Mean distance of landmarks, in eye distances."""
    eyes = np.linalg.norm(other.landmarks_5xy[1] - other.landmarks_5xy[0])
    return float(np.linalg.norm(one.landmarks_5xy - other.landmarks_5xy, axis=1).mean() / eyes)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_every_nth_frame_is_looked_at_and_the_others_are_followed(every: int) -> None:
    detector = Looking()
    items = run(film(), every, detector=detector)
    assert followed(items) == [index % every != 0 for index in range(14)]
    assert sum(detector.pictures) == -(-14 // every) and max(detector.pictures) <= 2


@pytest.mark.parametrize("every", [2, 3, 5])
def test_followed_faces_move_as_the_picture_does(every: int) -> None:
    items = run(film(), every)
    for index, item in enumerate(items):
        start = items[index - index % every].faces[0]
        truth = start.landmarks_5xy + np.array([2.0, 0.7]) * (index % every)
        assert np.abs(item.faces[0].landmarks_5xy - truth).max() < 0.5
        assert item.faces[0].score <= start.score


def test_a_shot_is_looked_at_from_its_first_frame() -> None:
    frames = [replace(frame, starts_shot=frame.index in (0, 4)) for frame in film()]
    assert [i for i, flag in enumerate(followed(run(frames, 3))) if not flag] == [0, 3, 4, 7, 10, 13]


def test_a_damaged_frame_has_no_faces_and_its_turn_is_put_off() -> None:
    white = Picture(tuple(np.full_like(p, 255) for p in film()[0].picture.planes), GBR, film()[0].picture.colour)
    frames = [replace(f, picture=white, damaged=True) if f.index in (0, 5, 9) else f for f in film()]
    items = run(frames, 3)
    assert [i for i, item in enumerate(items) if not item.faces] == [0, 5, 9]
    assert [i for i, flag in enumerate(followed(items)) if flag is False] == [1, 3, 6, 10, 12]
    good = run(film(), 3)
    # Flow goes from the frame before the damage to the one behind it.
    assert distance(items[4].faces[0], good[4].faces[0]) < 0.02
    assert distance(run([f for f in frames if f.index != 0], 5)[5].faces[0], good[6].faces[0]) < 0.05


def test_a_cut_is_not_followed_over() -> None:
    wall = Picture(tuple(np.full_like(p, 90) for p in film()[0].picture.planes), GBR, film()[0].picture.colour)
    frames = [f if f.index < 5 else replace(f, picture=wall, starts_shot=f.index == 5) for f in film()]
    assert all((len(item.faces) > 0) == (index < 5) for index, item in enumerate(run(frames, 3)))


def test_the_batch_does_not_show_in_the_result() -> None:
    one, four = run(film(), 3, batch=1), run(film(), 3, batch=4)
    for a, b in zip(one, four, strict=True):
        np.testing.assert_allclose(a.faces[0].landmarks_5xy, b.faces[0].landmarks_5xy, atol=1e-3)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the shared clips are not here")
@pytest.mark.parametrize("name", ["grid_bbaf2n.mpg", "foreman_h264.mp4"])
def test_following_agrees_with_looking_on_real_clips(name: str) -> None:
    info = probe(CLIPS / name)
    frames = [replace(frame, starts_shot=frame.index == 0) for frame, _ in zip(decode(info), range(20), strict=False)]
    looked = run(frames, 1)
    errors = []
    for seen, carried in zip(looked, run(frames, 3), strict=True):
        assert len(carried.faces) == len(seen.faces) == 1
        errors.append(distance(carried.faces[0], seen.faces[0]))
    assert np.median(errors) < 0.06 and max(errors) < 0.2
