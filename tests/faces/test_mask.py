from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpen_video.config.schema import BlendSettings
from gpen_video.faces.align import Aligner
from gpen_video.faces.mask import face_mask, mask_faces
from gpen_video.geometry import TEMPLATES
from gpen_video.types import FrameFaces, RestoredFace
from tests.faces.scenes import carrier, gray_frame, tracked_at

ALIGNER = Aligner(64)
DEFAULTS = BlendSettings()


def film(seen: Sequence[bool | None], shots: tuple[int, ...] = ()) -> Iterator[FrameFaces[Any]]:
    """One face; `seen[t]` is whether it was detected, predicted (False) or not there (None)."""
    for t, known in enumerate(seen):
        frame = gray_frame(t, t == 0 or t in shots)
        if known is None:
            yield carrier(frame)
            continue
        crop = ALIGNER.crop(frame, tracked_at(160, 120, 100, seen=known))
        yield carrier(frame, RestoredFace(crop, crop.rgb_hwc))


def peaks(
    seen: Sequence[bool | None], blend: BlendSettings = DEFAULTS, shots: tuple[int, ...] = (), strength: float = 1.0
) -> list[float | None]:
    items = list(mask_faces(film(seen, shots), blend, strength))
    return [float(item.faces[0].alpha_hw.max()) if item.faces else None for item in items]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("size", [64, 256, 512])
@pytest.mark.parametrize("feather", [0.01, 0.12, 0.5])
def test_border_is_zero_and_face_is_covered(name: str, size: int, feather: float) -> None:
    points = TEMPLATES[name] * size
    alpha = face_mask(points, size, feather)
    assert alpha.dtype == np.float32 and alpha.shape == (size, size)
    for edge in (alpha[:2], alpha[-2:], alpha[:, :2], alpha[:, -2:]):
        assert not edge.any()
    x, y = np.rint(points).astype(int).T
    assert (alpha[y, x] > 0.6).all()
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    for along in (-0.4, 1.5):  # brow and chin
        row, column = np.rint(eyes + along * (mouth - eyes)).astype(int)[::-1]
        assert alpha[row, column] > 0.5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-20, 84), min_size=10, max_size=10), st.floats(0.01, 0.5))
def test_any_landmarks_give_a_mask(values: list[float], feather: float) -> None:
    alpha = face_mask(np.array(values).reshape(5, 2), 64, feather)
    assert np.isfinite(alpha).all() and alpha.min() >= 0 and alpha.max() <= 1
    assert not (alpha[[0, -1]].any() or alpha[:, [0, -1]].any())


def test_mask_fades_without_steps() -> None:
    alpha = face_mask(TEMPLATES["gpen"] * 256, 256, 0.12)
    assert np.abs(np.diff(alpha, axis=0)).max() < 1.6 / (0.12 * 256)  # a smoothstep is 1.5 times as steep as a ramp
    row = alpha[128]
    assert row.max() == 1
    assert (np.diff(row[:128]) >= -1e-6).all()


def test_wider_feather_is_softer() -> None:
    def edge(feather: float) -> int:
        alpha = face_mask(TEMPLATES["gpen"] * 256, 256, feather)
        return ((alpha > 0.01) & (alpha < 0.99)).sum()

    assert edge(0.03) < edge(0.06) < edge(0.12)


def test_face_of_a_shots_first_frame_is_there_at_once() -> None:
    assert peaks([True] * 4) == [1.0] * 4
    assert peaks([True] * 4, shots=(2,)) == [1.0] * 4


def test_face_that_appears_fades_in() -> None:
    assert peaks([None, None] + [True] * 6)[2:] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert peaks([None, True, True], BlendSettings(fade=0))[1:] == [1.0, 1.0]


def test_face_that_is_lost_fades_out_after_a_single_miss() -> None:
    assert peaks([True] * 3 + [False] * 7)[2:] == pytest.approx([1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0])
    assert peaks([True, False, True, True]) == [1.0] * 4


def test_face_that_comes_back_fades_in_again() -> None:
    levels = peaks([True] + [False] * 3 + [True] * 3)
    assert levels == pytest.approx([1, 1, 0.8, 0.6, 0.8, 1, 1])


def test_strength_multiplies() -> None:
    assert peaks([True, True], strength=0.25) == [0.25, 0.25]
    assert peaks([True], strength=0.0) == [0.0]


def test_strengths_of_crop_and_restoration_multiply() -> None:
    (item,) = film([True])
    face = item.faces[0]
    weaker = replace(face, crop=replace(face.crop, strength=0.5), strength=0.4)
    (made,) = mask_faces([item.with_faces((weaker,))], DEFAULTS, 0.5)
    assert made.faces[0].alpha_hw.max() == pytest.approx(0.1)


def damaged_at(frame: int, stream: Iterator[FrameFaces[Any]]) -> Iterator[FrameFaces[Any]]:
    for item in stream:
        yield FrameFaces(replace(item.frame, damaged=item.frame.index == frame), item.faces)


@pytest.mark.parametrize("known", [False, None])
def test_a_damaged_frame_changes_nothing(known: bool | None) -> None:
    """Neither a face that is missed in it fades, nor is one that it does not have forgotten."""
    levels = [
        item.faces[0].alpha_hw.max() if item.faces else None
        for item in mask_faces(damaged_at(4, film([None, True, True, True, known, True, True])), DEFAULTS)
    ]
    assert levels[1:4] == pytest.approx([0.2, 0.4, 0.6])
    assert levels[4] == (None if known is None else pytest.approx(0.6))
    assert levels[5:] == pytest.approx([0.8, 1.0])


def test_a_damaged_frames_landmarks_are_not_remembered() -> None:
    plain = [item.faces[0].alpha_hw for item in mask_faces(turned_film(), DEFAULTS)]
    # the turned head is seen in a damaged frame first: as if there had been no such frame
    shifted = [item.faces[0].alpha_hw for item in mask_faces(damaged_at(1, turned_film()), DEFAULTS)]
    np.testing.assert_array_equal(shifted[1], plain[0])
    np.testing.assert_array_equal(shifted[2], plain[1])


def at(x: float, y: float, seen: Sequence[bool]) -> list[float]:
    def stream() -> Iterator[FrameFaces[Any]]:
        for t, known in enumerate(seen):
            frame = gray_frame(t, t == 0)
            crop = ALIGNER.crop(frame, tracked_at(x, y, 100, seen=known))
            yield carrier(frame, RestoredFace(crop, crop.rgb_hwc))

    return [float(item.faces[0].alpha_hw.max()) for item in mask_faces(stream(), DEFAULTS)]


def test_a_face_that_is_missed_at_the_border_fades_at_once() -> None:
    assert at(160, 120, [True, False, True]) == [1, 1, 1]
    for x, y in ((318, 120), (2, 120), (160, 238), (160, 2)):
        assert at(x, y, [True, False, False]) == pytest.approx([1, 0.8, 0.6])
        assert at(x, y, [True, True, True]) == [1, 1, 1]


class RightHalf:
    """Sees face in the right half of every crop; something stands before the left."""

    def __init__(self) -> None:
        self.given: list[NDArray[Any]] = []

    def parse(self, rgb_nhwc: NDArray[Any]) -> NDArray[Any]:
        self.given.append(rgb_nhwc)
        seen = np.zeros(rgb_nhwc.shape[:3], np.float32)
        seen[:, :, seen.shape[2] // 2 :] = 1
        return seen


def test_what_a_parser_sees_before_the_face_is_kept_out() -> None:
    parser = RightHalf()
    (item,) = film([True])
    noise = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    item = item.with_faces((replace(item.faces[0], rgb_hwc=noise),))
    (plain,), (parsed,) = (
        [made.faces[0] for made in mask_faces([item], DEFAULTS, parser=given)] for given in (None, parser)
    )
    whole, part = plain.alpha_hw, parsed.alpha_hw
    assert np.array_equal(parser.given[0][0], plain.restored.rgb_hwc)
    assert part[:, :24].max() < 0.01 and (part <= whole + 1e-6).all()
    np.testing.assert_allclose(part[:, 40:], whole[:, 40:], atol=0.01)
    assert np.abs(np.diff(part, axis=1)).max() < 0.3  # soft where the parser is hard
    assert not (part[[0, -1]].any() or part[:, [0, -1]].any())


def test_a_face_that_is_not_wanted_is_not_parsed() -> None:
    parser = RightHalf()
    (item,) = film([True])
    face = item.faces[0]
    list(mask_faces([item.with_faces((replace(face, strength=0.0),))], DEFAULTS, parser=parser))
    assert not parser.given


def turned_film(shots: tuple[int, ...] = ()) -> Iterator[FrameFaces[RestoredFace]]:
    """The landmarks leave the crop's template from frame 1 on, as in a turned head."""
    for t in range(12):
        frame = gray_frame(t, t == 0 or t in shots)
        crop = ALIGNER.crop(frame, tracked_at(160, 120, 100))
        if t:
            moved = tracked_at(165, 120, 90)
            crop = type(crop)(moved, crop.rgb_hwc, crop.frame_from_crop_2x3)
        yield carrier(frame, RestoredFace(crop, crop.rgb_hwc))


def test_mask_follows_with_the_stated_weight() -> None:
    alphas = [item.faces[0].alpha_hw for item in mask_faces(turned_film(), BlendSettings(steadiness=0.6))]
    target = list(mask_faces(turned_film(), BlendSettings(steadiness=0)))[1].faces[0].alpha_hw
    away = [np.abs(alpha - target).max() for alpha in alphas]
    np.testing.assert_allclose(away[1:], away[0] * 0.6 ** np.arange(1, 12), rtol=1e-3, atol=1e-5)


def test_nothing_is_remembered_over_a_cut() -> None:
    alphas = [item.faces[0].alpha_hw for item in mask_faces(turned_film(shots=(3,)), DEFAULTS)]
    steady = [item.faces[0].alpha_hw for item in mask_faces(turned_film(), BlendSettings(steadiness=0))]
    np.testing.assert_array_equal(alphas[3], steady[3])
    assert np.abs(alphas[2] - steady[2]).max() > 0.01


def test_upstream_is_closed() -> None:
    closed = []

    def source() -> Iterator[FrameFaces[Any]]:
        try:
            yield from film([True] * 5)
        finally:
            closed.append(True)

    upstream = source()  # held, or it would be closed by its own deletion
    stage = mask_faces(upstream, DEFAULTS)
    next(stage)
    stage.close()
    assert closed == [True]
