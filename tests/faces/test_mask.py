from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
