"""Flashes, damaged and torn frames: no cut, and no state is taken from them."""

import cv2
import numpy as np
import pytest

from gpen_video.config.schema import ShotSettings
from tests.media.shot_films import CUTS, FACES, Bgr, marks, real_clip, scene

ONLY_JUMPS = ShotSettings(dissolves=False)


def white(picture: Bgr) -> Bgr:
    return np.full_like(picture, 235)


def black(picture: Bgr) -> Bgr:
    return np.full_like(picture, 16)


def garbage(picture: Bgr) -> Bgr:
    return np.random.default_rng(1).integers(0, 256, picture.shape).astype(np.uint8)


def shifted(picture: Bgr) -> Bgr:
    """A frame line in the middle of the picture."""
    return np.roll(picture, len(picture) // 2, axis=0)


def torn(picture: Bgr) -> Bgr:
    """A sixth of the lines is lost."""
    result = picture.copy()
    top = len(picture) // 2
    result[top : top + len(picture) // 6] = picture[:1]
    return result


def displaced(picture: Bgr) -> Bgr:
    """The lower quarter slips aside, as at a bad splice."""
    result = picture.copy()
    rows = slice(3 * len(picture) // 4, None)
    result[rows] = np.roll(result[rows], picture.shape[1] // 3, axis=1)
    return result


@pytest.mark.parametrize("spoil", [white, black, garbage, shifted, torn, displaced])
@pytest.mark.parametrize("count", [1, 2])
def test_damage_is_no_cut(spoil: object, count: int) -> None:
    film = scene(1, 40)
    for place in range(20, 20 + count):
        film[place] = spoil(film[place])  # type: ignore[operator]
    assert marks(film) == ([0], list(range(20, 20 + count)))


def test_a_white_frame_in_a_bright_gray_film_is_found() -> None:
    film = [cv2.cvtColor(cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) // 2 + 90, cv2.COLOR_GRAY2BGR) for p in scene(2, 30)]
    film[12] = white(film[12])
    assert marks(film, ONLY_JUMPS) == ([0], [12])


def test_a_flash_longer_than_allowed_is_a_cut_and_one_only() -> None:
    film = scene(3, 40)
    for place in (20, 21, 22):
        film[place] = white(film[place])
    assert marks(film) == ([0, 20], [])
    assert marks(film, ShotSettings(flash=3)) == ([0], [20, 21, 22])


def test_photographers_flashes_leave_one_shot() -> None:
    film = scene(4, 60)
    flashes = [10, 12, 13, 15, 16, 18, 30, 31, 33]
    for place in flashes:
        film[place] = white(film[place])
    assert marks(film) == ([0], flashes)


def test_without_flashes_every_jump_is_a_cut() -> None:
    film = scene(5, 40)
    film[20] = white(film[20])
    assert marks(film, ShotSettings(flash=0, dissolves=False)) == ([0, 20], [])


def test_a_cut_is_found_on_its_frame_beside_flashes() -> None:
    film = [*scene(6, 20), *scene(7, 20)]
    film[16], film[24] = white(film[16]), white(film[24])
    assert marks(film) == ([0, 20], [16, 24])


@pytest.mark.parametrize("spoil", [white, black, garbage])
def test_what_stands_between_two_shots_belongs_to_the_second_as_damage(spoil: object) -> None:
    film = [*scene(6, 20), *scene(7, 20)]
    film[20] = spoil(film[20])  # type: ignore[operator]
    assert marks(film) == ([0, 20], [20])


def test_a_film_may_begin_with_damage() -> None:
    film = scene(8, 20)
    film[0] = white(film[0])
    assert marks(film) == ([0], [0])


def test_what_the_film_ends_with_is_a_shot_of_its_own() -> None:
    """It may be one: there is no telling."""
    film = scene(9, 20)
    film[-1] = white(film[-1])
    assert marks(film) == ([0, 19], [])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_film_of_a_few_frames_is_not_damaged(count: int) -> None:
    assert marks(scene(10, count)) == ([0], [])


@pytest.mark.parametrize("gain", [0.8, 1.15])
def test_a_flicker_of_the_exposure_is_no_damage(gain: float) -> None:
    film = scene(11, 30)
    film[1::2] = [np.clip(picture * gain, 0, 255).astype(np.uint8) for picture in film[1::2]]
    assert marks(film) == ([0], [])


def test_what_crosses_the_picture_in_one_frame_is_no_damage() -> None:
    """As a hand does, or a car close by: it may fill all lines, but not across."""
    film = scene(12, 30)
    film[15][:, 40:70] //= 2
    assert marks(film) == ([0], [])


@pytest.mark.skipif(not FACES.is_dir(), reason="the shared clips are not here")
@pytest.mark.parametrize("name", ["bikes.mp4", "asl_again.mkv", "carphone_pristine.mp4"])
def test_real_films_have_their_cuts_and_no_damage(name: str) -> None:
    """Those with the fastest moves and with cuts; all were measured, see `damage`."""
    assert marks(real_clip(name)) == ([0, *CUTS.get(name, [])], [])


@pytest.mark.skipif(not FACES.is_dir(), reason="the shared clips are not here")
@pytest.mark.parametrize("spoil", [white, black, torn, displaced])
def test_damage_is_found_in_a_real_film(spoil: object) -> None:
    film = list(real_clip("chaplin.mp4")[:40])
    film[25] = spoil(film[25])  # type: ignore[operator]
    assert marks(film) == ([0], [25])
