"""The temporal blend on faces in known motion, with boiling that is fresh in every frame."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from gpen_video.geometry import invert, scaling
from gpen_video.restore import steady_faces, steady_frames
from gpen_video.restore.latent import LONGEST_STEP
from gpen_video.restore.registration import inside_face, register
from gpen_video.types import (
    ColourSpec,
    FaceCrop,
    Frame,
    FrameFaces,
    Picture,
    PixelFormat,
    RestoredFace,
    Timestamp,
    TrackedFace,
)

SIDE = 128
STRENGTH = 0.8
PICTURE = Picture((np.zeros((8, 8), np.uint8),), PixelFormat("gray", "gray", 8), ColourSpec())
INSIDE = inside_face(SIDE)

Images = Sequence[np.ndarray]
Film = list[FrameFaces[RestoredFace]]


@lru_cache
def portrait(side: int = SIDE, *, mirrored: bool = False) -> np.ndarray:
    """A face that fills the crop's ellipse as GPEN's crops are filled; a moved one is seen in full."""
    rgb = cv2.GaussianBlur(astronaut().astype(np.float32) / 255, (0, 0), 0.8)
    crop_from_photo = scaling(side / 150, side / 150, -148 * side / 150, -35 * side / 150)
    face = cv2.warpAffine(rgb, crop_from_photo, (side, side), flags=cv2.INTER_CUBIC)
    face = np.clip(face[:, ::-1] * 0.6 + 0.1 if mirrored else face, 0, 1)
    face.flags.writeable = False
    return face


def seen(crop_from_portrait: np.ndarray, side: int = SIDE) -> np.ndarray:
    how = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REFLECT_101}
    return np.clip(cv2.warpAffine(portrait(side), crop_from_portrait, (side, side), **how), 0, 1)


def boiling(true: np.ndarray, rng: np.random.Generator, *, source: float = 0.04, result: float = 0.03) -> tuple:
    """What a camera and a network make of it: white noise in the one, blotches in the other."""
    noise = rng.standard_normal((2, *true.shape)).astype(np.float32)
    blotches = cv2.GaussianBlur(noise[1], (0, 0), 1.5)
    return true + source * noise[0], true + result * blotches / blotches.std()


def film(truths: Images, matrices: Images | None = None, seed: int = 0, **noise: float) -> Film:
    """Frames of one face; `matrices` are `frame_from_crop`."""
    rng = np.random.default_rng(seed)
    items = []
    for t, true in enumerate(truths):
        source, result = boiling(true, rng, **noise)
        crop = FaceCrop(
            TrackedFace(0, np.zeros((5, 2)), None), source, np.eye(2, 3) if matrices is None else matrices[t]
        )
        for array in (source, result):
            array.flags.writeable = False
        items.append(
            FrameFaces(
                Frame(t, Timestamp(t, Fraction(1, 25)), PICTURE, starts_shot=t == 0), (RestoredFace(crop, result),)
            )
        )
    return items


def faces(items: Iterable[FrameFaces[RestoredFace]]) -> np.ndarray:
    return np.stack([face.rgb_hwc for item in items for face in item.faces])


def steadied(items: Film, strength: float = STRENGTH) -> np.ndarray:
    return faces(steady_faces(items, strength=strength))


def error(made: np.ndarray, truths: Images, where: np.ndarray = INSIDE) -> float:
    return float(np.sqrt(np.square(made - np.stack(truths))[:, where].mean()))


def flicker(made: np.ndarray) -> float:
    return float(np.abs(np.diff(made, axis=0))[:, INSIDE].mean())


def kept_detail(made: np.ndarray, truths: Images) -> float:
    """Projection of the gradients on the truth's: 1 is as sharp as the truth, whatever noise is on top."""
    one, true = (
        np.stack(np.gradient(np.stack(images).mean(axis=3), axis=(1, 2)))[:, :, INSIDE] for images in (made, truths)
    )
    return float((one * true).sum() / np.square(true).sum())


def test_a_still_face_stops_boiling_and_gets_nearer_to_the_truth() -> None:
    truths = [portrait()] * 12
    items = film(truths)
    raw, made = faces(items), steadied(items)
    assert flicker(made[4:]) < 0.3 * flicker(raw[4:])
    assert error(made[4:], truths[4:]) < 0.6 * error(raw[4:], truths[4:])
    assert kept_detail(made[4:], truths[4:]) > 0.97


@pytest.mark.parametrize("speed", [0.3, 1.3])
def test_a_moving_face_is_followed_and_stays_sharp(speed: float) -> None:
    """Through a crop that stands; 0.3 pixels a frame is where fetching again and again would blur most."""
    truths = [seen(np.array([[1, 0, speed * t], [0, 1, -0.5 * speed * t]])) for t in range(14)]
    items = film(truths)
    raw, made = faces(items), steadied(items)
    assert error(made[4:], truths[4:]) < 0.7 * error(raw[4:], truths[4:])
    assert kept_detail(made[4:], truths[4:]) > 0.95 * kept_detail(raw[4:], truths[4:])


def test_a_crop_that_shakes_over_a_still_face_is_known_motion() -> None:
    rng = np.random.default_rng(5)
    matrices = [np.array([[1, 0, x], [0, 1, y]]) for x, y in rng.uniform(-1.5, 1.5, (12, 2))]
    truths = [seen(invert(frame_from_crop)) for frame_from_crop in matrices]
    items = film(truths, matrices)
    assert error(steadied(items)[4:], truths[4:]) < 0.7 * error(faces(items)[4:], truths[4:])


def test_a_blink_is_seen_in_the_frame_in_which_it_happens() -> None:
    eyes = np.zeros((SIDE, SIDE), bool)
    eyes[50:60, 38:90] = True
    closed = portrait().copy()
    closed[eyes] = np.clip(closed[eyes] + 0.35, 0, 1)
    truths = [closed if t in (8, 9) else portrait() for t in range(14)]
    items = film(truths)
    raw, made = faces(items), steadied(items)
    for t in (8, 9, 10):
        assert error(made[t : t + 1], truths[t : t + 1], eyes) < 1.1 * error(raw[t : t + 1], truths[t : t + 1], eyes)


@pytest.mark.parametrize("other", [0.8, 0.96])
def test_light_that_changes_is_followed_at_once(other: float) -> None:
    """A jump that is seen as one, and a flicker that could pass for noise."""
    gains = [other if t in (7, 8, 10) else 1.0 for t in range(12)]
    truths = [portrait() * np.float32(gain) for gain in gains]
    made = steadied(film(truths))
    for t in range(7, 12):
        assert abs(float((made[t] - truths[t])[INSIDE].mean())) < 0.004


def test_a_hand_before_most_of_the_face_leaves_no_ghost() -> None:
    hidden = np.arange(SIDE)[:, None] * np.ones(SIDE) > 0.35 * SIDE
    behind = portrait().copy()
    behind[hidden] = 0.55 + 0.1 * np.sin(np.arange(SIDE) / 3)[:, None].repeat(SIDE, 1)[hidden][:, None]
    truths = [behind if t == 9 else portrait() for t in range(12)]
    items = film(truths)
    raw, made = faces(items), steadied(items)
    where = INSIDE & hidden
    for t in (9, 10):
        assert error(made[t : t + 1], truths[t : t + 1], where) < 1.15 * error(raw[t : t + 1], truths[t : t + 1], where)


def test_strength_0_gives_back_what_came() -> None:
    items = film([portrait()] * 3)
    assert all(a is b for a, b in zip(steady_faces(items, strength=0), items, strict=True))


def with_last(item: FrameFaces[RestoredFace], **changes: Any) -> FrameFaces[RestoredFace]:
    return FrameFaces(replace(item.frame, **changes), item.faces)


def test_nothing_goes_over_a_cut_a_gap_or_to_another_face() -> None:
    items = film([portrait()] * 6)
    last = items[-1]
    assert not np.array_equal(steadied(items)[-1], last.faces[0].rgb_hwc)
    stranger = film([portrait(mirrored=True)] * 6)[-1]
    crop = replace(last.faces[0].crop, face=replace(last.faces[0].crop.face, track_id=1))
    other_track = last.with_faces((replace(last.faces[0], crop=crop),))
    cut, gap = with_last(last, starts_shot=True), with_last(last, index=4 + LONGEST_STEP + 1)
    for following in (cut, gap, other_track, stranger):
        assert np.array_equal(steadied([*items[:-1], following])[-1], following.faces[0].rgb_hwc)


def test_a_damaged_frame_is_neither_blended_nor_remembered() -> None:
    items = film([portrait()] * 10)
    white = replace(items[8].faces[0], rgb_hwc=np.ones((SIDE, SIDE, 3), np.float32))
    damaged = FrameFaces(replace(items[8].frame, damaged=True), (white,))
    made = steadied([*items[:8], damaged, *items[9:]])
    assert np.array_equal(made[8], white.rgb_hwc)
    np.testing.assert_array_equal(made[9:], steadied([*items[:8], *items[9:]])[8:])


def test_the_first_face_of_a_track_is_as_calm_as_the_rest() -> None:
    items = film([portrait()] * 12)
    truths = [portrait()] * 12
    made = steadied(items)
    alone = faces(items)
    first, later = (error(made[at], truths[at]) / error(alone[at], truths[at]) for at in (slice(0, 1), slice(8, 12)))
    assert first < 0.7
    assert first < 1.3 * later


def test_what_is_damaged_or_behind_a_cut_is_no_future() -> None:
    items = film([portrait()] * 3)
    stranger = film([portrait(mirrored=True)] * 3, seed=9)
    first = items[0].faces[0].rgb_hwc
    for change in ({"starts_shot": True}, {"damaged": True}):
        others = [FrameFaces(replace(b.frame, **change), b.faces) for b in items[1:]]
        assert np.array_equal(steadied([items[0], *others])[0], first)
    assert np.array_equal(steadied([items[0], *stranger[1:]])[0], first), "another face under its number"


def test_a_face_that_needs_no_restoring_is_left_alone() -> None:
    items = film([portrait()] * 4)
    face = items[2].faces[0]
    unwanted = replace(face, crop=replace(face.crop, strength=0.0))
    assert (
        next(iter(list(steady_faces([*items[:2], items[2].with_faces((unwanted,))], strength=0.8))[2].faces))
        is unwanted
    )


def test_the_influence_of_a_frame_fades_within_the_stated_frames() -> None:
    frames = steady_frames(0.6)
    assert frames == 12 + 13  # of noise; log(1 / 510) / log(0.6) = 12.2
    items = film([portrait()] * (frames + 1), result=0.01)
    first = items[0].faces[0]
    other = [items[0].with_faces((replace(first, rgb_hwc=first.rgb_hwc + np.float32(0.02)),)), *items[1:]]
    apart = np.abs(steadied(items, 0.6) - steadied(other, 0.6)).max(axis=(1, 2, 3))
    assert apart[0] > 0.019
    assert apart[1] > 1 / 510
    assert apart[-1] < 1 / 510


def test_a_large_face_is_steadied_with_motion_found_at_a_smaller_side() -> None:
    side = 640
    truths = [seen(np.array([[1, 0, 4.0 * t], [0, 1, 0]]), side) for t in range(5)]
    items = film(truths)
    raw, made = faces(items), steadied(items)
    where = inside_face(side)
    assert error(made[-1:], truths[-1:], where) < 0.7 * error(raw[-1:], truths[-1:], where)


@pytest.mark.parametrize("side", [8, 16, 32, 50])
def test_any_size_of_crop_goes(side: int) -> None:
    truths = [cv2.resize(portrait(), (side, side), interpolation=cv2.INTER_AREA)] * 3
    assert np.isfinite(steadied(film(truths))).all()


def moved_pair(seed: int, *, coarse: float = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A face now, before it shifted, turned and grew, and the `past_from_now` of that."""
    turn, grow = np.radians(0.8), 1.01
    linear = grow * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.full(2, (SIDE - 1) / 2)
    true = np.column_stack([linear, np.add(middle, (1.2, -0.7)) - linear @ middle])
    noise = np.random.default_rng(seed).standard_normal((2, SIDE, SIDE)).astype(np.float32)
    if coarse:
        noise = np.stack([cv2.GaussianBlur(one, (0, 0), coarse) for one in noise])
    noise *= 0.03 / noise.std()
    return portrait().mean(axis=2) + noise[0], seen(true).mean(axis=2) + noise[1], true


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Pixels by which two maps differ at the corners of the face."""
    corners = np.array([[0.25, 0.2, 1], [0.75, 0.2, 1], [0.25, 0.85, 1], [0.75, 0.85, 1]]) * (SIDE, SIDE, 1)
    return float(np.abs(corners @ (one - other).T).max())


@pytest.mark.parametrize("guess", [np.eye(2, 3), np.array([[1, 0, 2.0], [0, 1, 1.5]])])
def test_the_motion_of_a_face_is_found_to_a_fraction_of_a_pixel(guess: np.ndarray) -> None:
    missed = []
    for seed in range(9):
        now, past, true = moved_pair(seed)
        found = register(now, past, guess)
        assert found is not None
        missed.append(apart(found, true))
    assert np.median(missed) < 0.12
    assert max(missed) < 0.2


@pytest.mark.parametrize("coarse", [0, 2.5])
def test_where_noise_alone_speaks_against_it_the_place_in_the_frame_is_believed(coarse: float) -> None:
    """Refined, it would be 0.07 pixels off, and more where noise is coarse."""
    for seed in range(9):
        now, past, true = moved_pair(seed, coarse=coarse)
        found = register(now, past, true)
        assert found is not None
        assert apart(found, true) < 1e-9


def test_a_motion_that_is_hardly_more_than_chance_sets_in_without_a_jump() -> None:
    now, past, true = moved_pair(3)
    misses = 0.005 * np.arange(60)
    off = []
    for miss in misses:
        found = register(now, past, true + np.array([[0, 0, miss], [0, 0, 0]]))
        assert found is not None
        off.append(apart(found, true))
    assert off[5] == pytest.approx(misses[5], abs=1e-9), "within chance"
    assert max(off) < 0.12
    assert np.abs(np.diff(off)).max() < 0.02


def test_a_face_that_stands_has_no_motion() -> None:
    rng = np.random.default_rng(2)
    grey = portrait().mean(axis=2)
    now, past = (grey + 0.02 * rng.standard_normal(grey.shape).astype(np.float32) for _ in range(2))
    assert register(now, past, np.eye(2, 3)) is None


def places(made: np.ndarray, truths: Images) -> np.ndarray:
    """(T, 2) pixels, in x and y, by which each picture is off its truth, by least squares."""
    off = []
    for image, true in zip(made, truths, strict=True):
        down, across = np.gradient(true.mean(axis=2))
        slopes = np.stack([across[INSIDE], down[INSIDE]], axis=1)
        off.append(np.linalg.lstsq(slopes, (true - image).mean(axis=2)[INSIDE], rcond=None)[0])
    return np.array(off)


def test_a_still_face_in_heavy_noise_keeps_its_place() -> None:
    rng = np.random.default_rng(6)
    matrices = [np.array([[1, 0, x], [0, 1, y]]) for x, y in rng.uniform(-0.2, 0.2, (24, 2))]
    truths = [seen(invert(frame_from_crop)) for frame_from_crop in matrices]
    items = film(truths, matrices, source=0.12)
    trembling = np.linalg.norm(np.diff(places(steadied(items, 0.9)[6:], truths[6:]), 2, axis=0), axis=1).mean()
    assert trembling < 0.08, "what follows the noise of its registration trembles by 0.15"
