from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpen_video.colour import luma_weights, yuv_from_rgb
from gpen_video.config.schema import BlendSettings
from gpen_video.faces.align import Aligner
from gpen_video.faces.mask import face_mask
from gpen_video.faces.paste import paste, paste_faces
from gpen_video.faces.planes import PlaneGroup, plane_groups
from gpen_video.faces.tone import chroma_spread
from gpen_video.geometry import apply, compose, invert
from gpen_video.types import ColourSpec, Frame, FrameFaces, MaskedFace, Picture, Plane
from tests.faces.scenes import (
    FORMATS,
    Scene,
    carrier,
    frame_of,
    frozen,
    grid,
    masked,
    noise_picture,
    painted,
    picture_of,
    ramps,
    seen_in,
    tracked_at,
)

Place = tuple[float, float, float, float]
"""x, y, size and angle of a face (see `tracked_at`)."""

ALPHA = frozen(face_mask(Aligner(64)._template_5xy, 64, 0.12))
NAMES = ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p16le", "yuva420p", "gray", "gray10le", "gbrp", "gbrp12le"]
MATRICES = [None, "smpte170m", "bt709", "smpte240m", "bt2020nc"]

specs = st.builds(
    ColourSpec,
    matrix=st.sampled_from(MATRICES),
    full_range=st.sampled_from([None, True, False]),
    chroma_location=st.sampled_from([None, "left", "center", "topleft"]),
)
places = st.tuples(st.floats(-40, 200), st.floats(-40, 160), st.floats(12, 260), st.floats(-3.2, 3.2))


def noisy_face(
    frame: Frame, place: Place, track_id: int = 0, alpha: NDArray[Any] = ALPHA, size: int = 64
) -> MaskedFace:
    """A face that the network turned into noise: no sample under the mask is likely to stay what it was."""
    crop = Aligner(size).crop(frame, tracked_at(*place, track_id=track_id))
    rng = np.random.default_rng(track_id)
    return masked(crop, crop.rgb_hwc + rng.normal(0, 0.5, crop.rgb_hwc.shape).astype(np.float32), alpha)


def changed_face(
    frame: Frame, place: Place, change: float | list[float] | NDArray[Any], track_id: int = 0
) -> MaskedFace:
    crop = Aligner(64).crop(frame, tracked_at(*place, track_id=track_id))
    return masked(crop, crop.rgb_hwc + np.asarray(change, np.float32), ALPHA)


def reachable(picture: Picture, face: MaskedFace, group: PlaneGroup, plane: Plane) -> NDArray[Any]:
    """Samples of a plane within one crop pixel of a crop pixel with alpha > 0: outside, nothing may change."""
    plane_from_crop = compose(invert(group.frame_from_plane), face.restored.crop.frame_from_crop_2x3)
    x, y = grid(plane.shape[1], plane.shape[0])
    u, v = apply(invert(plane_from_crop), np.column_stack([x.ravel(), y.ravel()])).T
    padded = np.pad(face.alpha_hw, 2) > 0
    u, v = (np.clip(np.floor(c).astype(int), -2, 64) + 2 for c in (u, v))
    corner = [padded[v + j, u + i] for i in (0, 1) for j in (0, 1)]
    return np.any(corner, axis=0).reshape(plane.shape)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(NAMES), specs, places, st.booleans())
def test_outside_the_mask_every_sample_keeps_its_bits(name: str, spec: ColourSpec, place: Place, two: bool) -> None:
    frame = frame_of(noise_picture(FORMATS[name], colour=spec))
    faces = [noisy_face(frame, place)]
    if two:
        faces.append(noisy_face(frame, (place[0] + 15, place[1] + 5, *place[2:]), 1))
    result = paste(carrier(frame, *faces), "restore").picture
    assert result.format == frame.picture.format and result.colour == spec
    for group in plane_groups(frame.picture):
        for index in group.indices:
            before, after = frame.picture.planes[index], result.planes[index]
            assert after.dtype == before.dtype
            inside = np.any([reachable(frame.picture, face, group, before) for face in faces], axis=0)
            np.testing.assert_array_equal(after[~inside], before[~inside])
    if frame.picture.format.has_alpha:
        assert result.planes[3] is frame.picture.planes[3]


@pytest.mark.parametrize("name", NAMES)
def test_inside_the_mask_samples_do_change(name: str) -> None:
    frame = frame_of(noise_picture(FORMATS[name]))
    face = noisy_face(frame, (80, 60, 70, 0.3))
    result = paste(carrier(frame, face), "restore").picture
    for group in plane_groups(frame.picture):
        for index in group.indices:
            before, after = frame.picture.planes[index], result.planes[index]
            assert (after != before).sum() > 0.3 * reachable(frame.picture, face, group, before).sum()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NAMES), specs, places)
def test_no_change_or_no_mask_returns_the_very_frame(name: str, spec: ColourSpec, place: Place) -> None:
    frame = frame_of(noise_picture(FORMATS[name], colour=spec))
    crop = Aligner(64).crop(frame, tracked_at(*place))
    assert paste(carrier(frame, masked(crop, crop.rgb_hwc, ALPHA))) is frame
    assert paste(carrier(frame, noisy_face(frame, place, alpha=frozen(np.zeros_like(ALPHA))))) is frame
    assert paste(carrier(frame)) is frame


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", ["smpte170m", "bt709", "bt2020nc"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [30, 64, 150])
def test_constant_change_is_the_closed_form(name: str, matrix: str, full: bool | None, size: int) -> None:
    spec, fmt = ColourSpec(matrix=matrix, full_range=full), FORMATS[name]
    frame = frame_of(painted(fmt, spec, lambda x, y: np.full((3, *x.shape), 0.5)))
    change = np.array([0.1, -0.05, 0.2])
    result = paste(carrier(frame, changed_face(frame, (160, 120, size, 0.2), change)), "restore").picture
    expected = yuv_from_rgb(spec, fmt, 240).matrix @ change
    for group in plane_groups(frame.picture):
        x, y = np.rint(apply(invert(group.frame_from_plane), np.array([[160, 120]]))[0]).astype(int)
        for index in group.indices:
            before, after = (int(p.planes[index][y, x]) for p in (frame.picture, result))
            assert abs(after - before - expected[index]) <= 0.51 + 1e-4 * abs(expected[index])


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrp"])
@pytest.mark.parametrize("size", [30, 64, 150])
def test_change_reaches_the_whole_mask(name: str, size: int) -> None:
    hard = np.zeros((64, 64), np.float32)
    hard[2:-2, 2:-2] = 1
    frame = frame_of(noise_picture(FORMATS[name], 240, 200))
    crop = Aligner(64).crop(frame, tracked_at(120, 100, size, 0.0))
    face = masked(crop, crop.rgb_hwc + np.array([0.2, -0.1, 0.1], np.float32), frozen(hard))
    result = paste(carrier(frame, face), "restore").picture
    for group in plane_groups(frame.picture):
        for index in group.indices:
            before, after = frame.picture.planes[index], result.planes[index]
            far_from_limits = np.abs(before / 2 ** FORMATS[name].bits - 0.5) < 0.2
            must = reachable(frame.picture, replace(face, alpha_hw=shrunk(hard)), group, before) & far_from_limits
            assert must.any() and (after != before)[must].all()


def shrunk(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mask without its outermost ring, which interpolation halves."""
    return frozen(mask * np.roll(mask, 1, 0) * np.roll(mask, -1, 0) * np.roll(mask, 1, 1) * np.roll(mask, -1, 1))


@pytest.mark.parametrize("name", ["yuv444p16le", "gbrp12le"])
@pytest.mark.parametrize(("size", "tolerance"), [(120, 0.002), (64, 0.002), (30, 0.004)])
def test_change_lands_where_the_crop_says(name: str, size: int, tolerance: float) -> None:
    """The residual is a scene of the frame, seen in the crop; pasted, it must lie on the scene again."""
    frame = frame_of(painted(FORMATS[name], ColourSpec(full_range=True), lambda x, y: np.full((3, *x.shape), 0.3)))
    crop = Aligner(64).crop(frame, tracked_at(160, 120, size, 0.5))
    face = masked(crop, (crop.rgb_hwc + 0.3 * seen_in(crop, ramps)).astype(np.float32), ALPHA)
    result = paste(carrier(frame, face), "restore")
    after = Aligner(64).crop(result, tracked_at(160, 120, size, 0.5)).rgb_hwc
    inside = np.s_[24:46, 26:38]  # alpha is 1, and a neighbourhood
    assert (ALPHA[inside] > 0.999).all()
    np.testing.assert_allclose(after[inside], face.restored.rgb_hwc[inside], atol=tolerance)


@pytest.mark.parametrize("location", ["left", "center", "topleft"])
def test_chroma_lands_on_its_own_grid(location: str | None) -> None:
    spec = ColourSpec(matrix="bt709", full_range=True, chroma_location=location)
    fmt = replace(FORMATS["yuv420p"], name="yuv420p16le", bits=16)
    frame = frame_of(painted(fmt, spec, lambda x, y: np.full((3, *x.shape), 0.3)))
    crop = Aligner(64).crop(frame, tracked_at(160, 120, 100, 0.5))
    face = masked(crop, (crop.rgb_hwc + 0.3 * seen_in(crop, ramps)).astype(np.float32), ALPHA)
    after = Aligner(64).crop(paste(carrier(frame, face), "restore"), crop.face).rgb_hwc
    inside = np.s_[24:46, 26:38]
    np.testing.assert_allclose(after[inside], face.restored.rgb_hwc[inside], atol=3e-4)


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p16le", "gray10le", "gbrp"])
def test_samples_are_clipped_to_their_depth(name: str) -> None:
    fmt = FORMATS[name]
    frame = frame_of(noise_picture(fmt))
    for change in (5.0, -5.0):
        face = changed_face(frame, (80, 60, 60, 0), change)
        planes = paste(carrier(frame, face), "restore").picture.planes
        assert planes[0][60, 80] == (2**fmt.bits - 1 if change > 0 else 0)


def test_fine_change_does_not_alias_in_a_small_face() -> None:
    frame = frame_of(picture_of(FORMATS["gray"], [np.full((120, 160), 128)]))
    u, v = grid(64, 64)
    stripes = np.repeat(np.where((u + v) % 2, 0.4, -0.4)[..., None], 3, axis=2)
    result = paste(carrier(frame, changed_face(frame, (80, 60, 16, 0.1), stripes)), "restore")
    assert np.abs(result.picture.planes[0].astype(int) - 128).max() <= 2


def test_a_face_larger_than_the_network_keeps_its_own_fine_detail() -> None:
    """Skin of the finest checks, that the crop cannot hold, stays on a face whose coarse brightness is changed."""

    def checks(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(0.5 + 0.1 * (-1.0) ** (x + y)[None], 3, axis=0)

    frame = frame_of(painted(FORMATS["gray10le"], ColourSpec(), checks, 480, 480))
    face = changed_face(frame, (240, 240, 400, 0), 0.0)  # 6 pixels of the frame in one of the crop
    brighter = np.asarray(face.restored.crop.rgb_hwc + 0.15, np.float32)
    result = paste(carrier(frame, masked(face.restored.crop, brighter, ALPHA)))
    before, after = (item.picture.planes[0].astype(float)[215:265, 215:265] for item in (frame, result))

    def fine(plane: NDArray[Any]) -> NDArray[Any]:
        return plane[:-1, :-1] - plane[1:, :-1] - plane[:-1, 1:] + plane[1:, 1:]

    assert (after - before).mean() > 0.1 * 1023
    assert np.abs(fine(before)).min() > 0.3 * 876
    np.testing.assert_allclose(fine(after), fine(before), atol=4)  # roundings of four samples


def test_overlapping_faces_do_not_add_up() -> None:
    frame = frame_of(picture_of(FORMATS["gray"], [np.full((120, 160), 100)]))
    one, other = (changed_face(frame, (80, 60, 64, 0), change, i) for i, change in enumerate((0.2, 0.2)))
    single, both = (paste(carrier(frame, *faces)).picture.planes[0] for faces in ((one,), (one, other)))
    assert both[60, 80] == single[60, 80] == 100 + 51
    lighter = changed_face(frame, (80, 60, 64, 0), 0.4, 2)
    assert paste(carrier(frame, one, lighter)).picture.planes[0][60, 80] == round(100 + 255 * 0.3)


def test_faces_apart_do_not_touch_each_other() -> None:
    frame = frame_of(noise_picture(FORMATS["yuv420p"], 320, 240))
    faces = [noisy_face(frame, place, i) for i, place in enumerate([(60, 60, 70, 0), (250, 60, 70, 0.4)])]
    both = paste(carrier(frame, *faces), "restore").picture
    alone = [paste(carrier(frame, face), "restore").picture for face in faces]
    for index, plane in enumerate(both.planes):
        half = plane.shape[1] // 2
        np.testing.assert_array_equal(plane[:, :half], alone[0].planes[index][:, :half])
        np.testing.assert_array_equal(plane[:, half:], alone[1].planes[index][:, half:])


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrp12le"])
def test_kept_chroma_stays_and_brightness_changes(name: str) -> None:
    fmt = FORMATS[name]
    frame = frame_of(painted(fmt, ColourSpec(), ramps))
    change = np.array([0.2, -0.1, 0.3])
    kept = paste(carrier(frame, changed_face(frame, (150, 110, 80, 0), change)), "keep").picture
    brightness = float(luma_weights(ColourSpec(), fmt, 240) @ change)
    if fmt.family == "yuv":
        assert kept.planes[1] is frame.picture.planes[1]
        assert kept.planes[2] is frame.picture.planes[2]
        expected = [219 * 2 ** (fmt.bits - 8) * brightness]
    else:
        expected = [4095 * brightness] * 3
    for index, step in enumerate(expected):
        difference = int(kept.planes[index][110, 150]) - int(frame.picture.planes[index][110, 150])
        assert difference == pytest.approx(step, abs=1)


def toned(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    brightness = 0.5 + 0.4 * np.cos(x / 11) * np.cos(y / 7)
    return np.clip(np.stack([brightness * 1.35, brightness * 1.2, brightness * 0.94]), 0, 1)


def coloured(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    return np.clip(np.stack([0.6 + 0.1 * np.cos(x / 9), 0.45 + 0.1 * np.sin(y / 7), 0.4 + 0.1 * np.cos(y / 8)]), 0, 1)


@pytest.mark.parametrize(("scene", "in_colour"), [(toned, False), (coloured, True)])
@pytest.mark.parametrize("name", ["yuv420p", "gbrp"])
def test_auto_writes_chroma_where_there_is_colour(name: str, scene: Scene, in_colour: bool) -> None:
    frame = frame_of(painted(FORMATS[name], ColourSpec(), scene))
    item = carrier(frame, changed_face(frame, (150, 110, 80, 0), [0.3, 0, 0]))
    expected = paste(item, "restore" if in_colour else "keep").picture
    for index, plane in enumerate(paste(item).picture.planes):
        np.testing.assert_array_equal(plane, expected.planes[index])


def film_of_spreads(spreads: list[float], shots: tuple[int, ...] = ()) -> Iterator[FrameFaces[Any]]:
    """One face whose source has given chroma spreads, and on which the network turns everything red."""

    def item(amount: float, t: int) -> FrameFaces[Any]:
        scene = partial(rings, amount)
        frame = frame_of(painted(FORMATS["yuv444p16le"], ColourSpec(), scene), t, t == 0 or t in shots)
        return carrier(frame, changed_face(frame, (150, 110, 80, 0), [0.3, 0, 0]))

    unit = chroma_spread(item(0.1, 0).faces[0]) / 0.1  # spread is linear in the amount
    for t, spread in enumerate(spreads):
        yield item(spread / unit, t)


def rings(amount: float, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    return np.stack([0.5 + amount * np.cos(x / 9), 0.5 + 0 * x, 0.5 + amount * np.sin(y / 7)])


@pytest.mark.parametrize(
    ("spreads", "shots", "writes"),
    [
        ([0.020] + [0.0, 0.020] * 3, (), [True] * 7),
        ([0.012] + [0.010] * 12, (), [True] * 13),  # the same spread keeps either mind
        ([0.008] + [0.010] * 12, (), [False] * 13),
        ([0.0] * 3 + [0.020] * 3, (3,), [False] * 3 + [True] * 3),
    ],
)
def test_choice_of_chroma_does_not_flicker(spreads: list[float], shots: tuple[int, ...], writes: list[bool]) -> None:
    assert chroma_gains(spreads, shots) == [float(on) for on in writes]


def test_change_of_mind_is_gradual() -> None:
    gains = chroma_gains([0.020] + [0.0] * 20)
    assert gains[0] == 1 and gains[-1] == 0
    assert max(abs(np.diff(gains))) == pytest.approx(1 / 8, abs=0.01)


def chroma_gains(spreads: list[float], shots: tuple[int, ...] = ()) -> list[float]:
    """What part of the change of Cr at the face's middle was written."""
    items = list(film_of_spreads(spreads, shots))
    frames = paste_faces(iter(items), BlendSettings())
    to_yuv = yuv_from_rgb(ColourSpec(), FORMATS["yuv444p16le"], 240)
    steps = [
        int(frame.picture.planes[2][110, 150]) - int(item.frame.picture.planes[2][110, 150])
        for frame, item in zip(frames, items, strict=True)
    ]
    return [round(float(step / (to_yuv.matrix[2, 0] * 0.3)), 3) for step in steps]


def test_stage_keeps_order_and_closes_upstream() -> None:
    closed = []

    def source() -> Iterator[FrameFaces[Any]]:
        try:
            for t in range(5):
                frame = frame_of(noise_picture(FORMATS["yuv420p"], seed=t), t)
                yield carrier(frame, noisy_face(frame, (80, 60, 60, 0)))
        finally:
            closed.append(True)

    frames = list(paste_faces(source(), BlendSettings()))
    assert [frame.index for frame in frames] == list(range(5))
    upstream = source()  # held, or it would be closed by its own deletion
    stage = paste_faces(upstream, BlendSettings())
    next(stage)
    stage.close()
    assert closed == [True, True]
