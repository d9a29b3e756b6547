"""Dissolves and fades, made of scenes and of real clips."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from gpen_video.config.schema import ShotSettings
from tests.media.shot_films import FACES, Bgr, dissolved, marks, real_clip, scene

LEAD = 24


@pytest.mark.parametrize("length", [6, 8, 12, 20, 32])
def test_a_dissolve_starts_a_shot_about_in_its_middle(length: int) -> None:
    film = dissolved(scene(1, LEAD + length, 0.1), scene(2, LEAD + length, 0.1), length)
    starts, damaged = marks(film)
    assert len(starts) == 2 and damaged == []
    assert abs(starts[1] - (LEAD + length / 2)) <= max(2, 0.2 * length)


def test_it_is_found_also_where_a_frame_in_it_is_damaged() -> None:
    film = dissolved(scene(1, LEAD + 16), scene(2, LEAD + 16), 16)
    film[LEAD + 10] = np.full_like(film[0], 235)
    starts, damaged = marks(film)
    assert len(starts) == 2 and abs(starts[1] - LEAD - 8) <= 4
    assert damaged == [LEAD + 10]


def test_dissolves_are_left_alone_when_not_asked_for() -> None:
    film = dissolved(scene(1, LEAD + 12), scene(2, LEAD + 12), 12)
    assert marks(film, ShotSettings(dissolves=False)) == ([0], [])


def test_cuts_and_dissolves_stand_side_by_side() -> None:
    film = [*scene(3, 20), *dissolved(scene(1, 36), scene(2, 36), 12), *scene(4, 20)]
    starts, _ = marks(film)
    assert len(starts) == 4 and starts[1] == 20 and starts[3] == 20 + 60
    assert abs(starts[2] - (20 + 24 + 6)) <= 2


@pytest.mark.parametrize("level", [16, 235])
@pytest.mark.parametrize("blank", [1, 6])
def test_a_fade_out_and_in_starts_one_shot(level: int, blank: int) -> None:
    fade = np.linspace(1, 0, 14)[1:]

    def faded(pictures: list[Bgr], weights: np.ndarray) -> list[Bgr]:
        return [(p * w + level * (1 - w)).astype(np.uint8) for p, w in zip(pictures, weights, strict=True)]

    before, after = scene(5, 40), scene(6, 40)
    out = faded(before[27:], fade)
    film = [*before[:27], *out, *[out[-1]] * (blank - 1), *faded(after[:13], fade[::-1]), *after[13:]]
    starts, damaged = marks(film)
    assert damaged == []
    assert len(starts) == 2 and 40 <= starts[1] <= 40 + blank + 4


def pan(seed: int) -> list[Bgr]:
    return scene(seed, 70, speed=1.5)


def zoom(seed: int) -> list[Bgr]:
    picture = scene(seed, 1)[0]
    return [cv2.warpAffine(picture, cv2.getRotationMatrix2D((64, 48), 0.2 * i, 1.015**i), (128, 96)) for i in range(60)]


def exposure(seed: int) -> list[Bgr]:
    levels = 2 ** np.interp(np.arange(70), [15, 45], [0, -1.5])
    return [(picture * level).astype(np.uint8) for picture, level in zip(scene(seed, 70), levels, strict=True)]


def passer(seed: int) -> list[Bgr]:
    """Somebody walks in, as large as half the picture."""
    film, other = scene(seed, 60, speed=0.1), scene(seed + 50, 60, speed=0.1)
    for index, (picture, person) in enumerate(zip(film, other, strict=True)):
        edge = int(np.clip((index - 15) * 2.5, 0, 64))
        picture[:, :edge] = person[:, 64 - edge : 64]
    return film


@pytest.mark.parametrize("move", [pan, zoom, exposure, passer])
@pytest.mark.parametrize("seed", [20, 21, 22])
def test_what_moves_or_darkens_does_not_dissolve(move: object, seed: int) -> None:
    assert marks(move(seed)) == ([0], [])  # type: ignore[operator]


@pytest.mark.skipif(not FACES.is_dir(), reason="the shared clips are not here")
@pytest.mark.parametrize("length", [8, 24])
def test_real_clips_dissolve(length: int) -> None:
    names = ["grid_bbaf2n.mpg", "foreman_h264.mp4", "carphone_pristine.mp4"]
    for before, after in pairwise(names):
        need = LEAD + length
        starts, damaged = marks(dissolved(real_clip(before)[:need], real_clip(after)[:need], length))
        assert len(starts) == 2 and damaged == [], (before, after)
        assert abs(starts[1] - (LEAD + length / 2)) <= max(2, 0.25 * length), (before, after)
