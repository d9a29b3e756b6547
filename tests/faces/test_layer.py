"""Matte and layer: the composite is the result, and both say what was pasted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpen_video.colour import yuv_from_rgb
from gpen_video.config.schema import BlendSettings
from gpen_video.faces.align import Aligner
from gpen_video.faces.layer import LayerWish, layer_format, layer_of, matte_format, matte_of, paste_layers
from gpen_video.faces.mask import face_mask
from gpen_video.faces.paste import Pasted, paste, paste_change, paste_faces
from gpen_video.types import ColourSpec, Frame, FrameFaces, MaskedFace, Picture, PixelFormat
from tests.faces.scenes import FORMATS, carrier, frame_of, frozen, masked, noise_picture, picture_of, tracked_at

Place = tuple[float, float, float, float]
"""x, y, size and angle of a face (see `tracked_at`)."""

ALPHA = frozen(face_mask(Aligner(64)._template_5xy, 64, 0.12))
ALL = {
    **{name: fmt for name, fmt in FORMATS.items() if name != "yuvj420p"},
    **{
        fmt.name: fmt
        for fmt in (
            PixelFormat("yuv411p", "yuv", 8, 2, 0),
            PixelFormat("yuv410p", "yuv", 8, 2, 2),
            PixelFormat("yuv440p", "yuv", 8, 0, 1),
            PixelFormat("yuv444p", "yuv", 8),
            PixelFormat("yuv420p16le", "yuv", 16, 1, 1),
            PixelFormat("yuv420p12le", "yuv", 12, 1, 1),
            PixelFormat("gray16le", "gray", 16),
        )
    },
}

specs = st.builds(
    ColourSpec,
    matrix=st.sampled_from([None, "bt709", "bt2020nc"]),
    full_range=st.sampled_from([None, True, False]),
    chroma_location=st.sampled_from([None, "left", "center", "topleft"]),
)
places = st.tuples(st.floats(-30, 130), st.floats(-30, 110), st.floats(12, 200), st.floats(-3.2, 3.2))
sizes = st.tuples(st.integers(17, 97), st.integers(13, 75))


def changed(frame: Frame, place: Place, amount: float, track_id: int = 0, strength: float = 1.0) -> MaskedFace:
    """A face that the network turned into noise, so that blending leaves the range of codes too."""
    crop = Aligner(64).crop(frame, tracked_at(*place, track_id=track_id))
    noise = np.random.default_rng(track_id).normal(0, amount, crop.rgb_hwc.shape).astype(np.float32)
    return masked(crop, crop.rgb_hwc + noise, ALPHA * np.float32(strength))


def block(fmt: PixelFormat, index: int) -> tuple[int, int]:
    return (2**fmt.log2_chroma_h, 2**fmt.log2_chroma_w) if fmt.family == "yuv" and index in (1, 2) else (1, 1)


def on_luma_grid(picture: Picture, index: int) -> NDArray[Any]:
    """A plane with its samples repeated."""
    down, across = block(picture.format, index)
    return picture.planes[index].repeat(down, 0).repeat(across, 1)[: picture.height, : picture.width]


def mean_alpha(layer: Picture, index: int) -> NDArray[Any]:
    """Mean over the luma samples that there are, 0 to 1; blocks at the edge count their last ones repeatedly."""
    down, across = block(layer.format, index)
    alpha = layer.planes[-1] / (2**layer.format.bits - 1)
    height, width = alpha.shape
    rows = np.minimum(np.arange(-(-height // down) * down), height - 1)
    columns = np.minimum(np.arange(-(-width // across) * across), width - 1)
    whole = alpha[np.ix_(rows, columns)]
    parts = [whole[j::down, i::across] for j in range(down) for i in range(across)]
    return np.asarray(np.mean(parts, axis=0))


def composite(source: NDArray[Any], colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.rint(source * (1 - alpha) + colour * alpha))


def assert_composites(pasted: Pasted, *, full_chroma: bool) -> None:
    source, result, layer = pasted.source, pasted.frame.picture, layer_of(pasted, full_chroma=full_chroma)
    assert layer.format == layer_format(source.format, full_chroma=full_chroma)
    assert layer.planes[-1].shape == source.planes[0].shape
    for index in range(len(layer.planes) - 1):
        before, after = source.planes[index], result.planes[index]
        if full_chroma:
            before, after = on_luma_grid(source, index), on_luma_grid(result, index)
        assert layer.planes[index].dtype == before.dtype
        made = composite(before, layer.planes[index].astype(float), mean_alpha(layer, index))
        np.testing.assert_array_equal(made, after)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(ALL)), specs, sizes, places, st.sampled_from([0.02, 0.2, 1]), st.booleans(), st.booleans()
)
def test_source_and_layer_composite_to_the_result(
    name: str, spec: ColourSpec, size: tuple[int, int], place: Place, amount: float, two: bool, full_chroma: bool
) -> None:
    frame = frame_of(noise_picture(ALL[name], *size, colour=spec))
    faces = [changed(frame, place, amount)]
    if two:
        faces.append(changed(frame, (place[0] + 25, place[1] + 8, *place[2:]), amount, 1, strength=0.7))
    assert_composites(paste_change(carrier(frame, *faces), "restore"), full_chroma=full_chroma)


@pytest.mark.parametrize("chroma", ["keep", "restore"])
@pytest.mark.parametrize("name", ["yuv420p", "gbrp12le"])
def test_faces_apart_composite_too(name: str, chroma: Any) -> None:
    frame = frame_of(noise_picture(FORMATS[name], 320, 240))
    faces = [changed(frame, place, 0.3, i) for i, place in enumerate([(60, 60, 70, 0), (250, 60, 70, 0.4)])]
    pasted = paste_change(carrier(frame, *faces), chroma)
    assert_composites(pasted, full_chroma=False)
    layer = layer_of(pasted)
    assert (layer.planes[-1][:, 155:165] == 0).all()
    assert (layer.planes[0][:, 155:165] == yuv_from_rgb(ColourSpec(), FORMATS[name], 240).offset[0]).all()


@pytest.mark.parametrize("name", sorted(ALL))
def test_pasted_frames_are_those_of_paste(name: str) -> None:
    frame = frame_of(noise_picture(ALL[name]))
    item = carrier(frame, changed(frame, (80, 60, 70, 0.3), 0.3), changed(frame, (90, 65, 70, 0), 0.3, 1))
    want = paste(item, "restore").picture
    for have, plane in zip(paste_change(item, "restore").frame.picture.planes, want.planes, strict=True):
        np.testing.assert_array_equal(have, plane)


def flat(name: str, level: int, change: float | list[float], alpha: float) -> Pasted:
    """One face over a plain picture, on all of which the mask has one value but at its border."""
    fmt = FORMATS[name]
    frame = frame_of(picture_of(fmt, [np.full((120, 160), level)] * (1 if fmt.family == "gray" else 3)))
    crop = Aligner(64).crop(frame, tracked_at(80, 60, 64, 0))
    mask = np.zeros((64, 64), np.float32)
    mask[2:-2, 2:-2] = alpha
    return paste_change(carrier(frame, masked(crop, crop.rgb_hwc + np.array(change, np.float32), mask)), "restore")


@pytest.mark.parametrize(("name", "top"), [("gray", 255), ("gbrp", 255), ("gray10le", 1023), ("yuv444p16le", 65535)])
@pytest.mark.parametrize("alpha", [0.25, 0.6, 1.0])
def test_layer_holds_the_restored_face_and_the_masks_alpha(name: str, top: int, alpha: float) -> None:
    change = [0.2, -0.1, 0.15]
    layer = layer_of(flat(name, 4 * top // 10, change, alpha))
    assert layer.planes[-1][60, 80] == round(alpha * top)
    for plane, step in zip(layer.planes, yuv_from_rgb(ColourSpec(), FORMATS[name], 120).matrix @ change, strict=False):
        # The restored face itself, less what rounding of the result demands: half a code, seen through alpha.
        assert abs(plane[60, 80] - (4 * top // 10 + step)) <= 0.6 + 0.5 / alpha


@pytest.mark.parametrize("name", ["gray", "gbrp", "gray10le"])
def test_alpha_grows_where_the_face_is_brighter_than_white(name: str) -> None:
    top = 2 ** FORMATS[name].bits - 1
    level = round(0.8 * top)
    pasted = flat(name, level, 0.4, 0.4)  # 0.8 + 0.4 * 0.4 = 0.96, which 0.4 of white over 0.8 does not reach
    layer = layer_of(pasted)
    assert layer.planes[0][60, 80] == top
    assert layer.planes[-1][60, 80] == pytest.approx(0.8 * top, abs=4)
    assert_composites(pasted, full_chroma=False)


@pytest.mark.parametrize(("name", "top"), [("yuv420p", 255), ("gray10le", 65535), ("gbrp12le", 65535)])
def test_matte_is_the_sum_of_the_masks_and_no_more_than_white(name: str, top: int) -> None:
    frame = frame_of(noise_picture(FORMATS[name]))
    for strengths, expected in [((0.3,), 0.3), ((0.3, 0.45), 0.75), ((0.8, 0.7), 1.0)]:
        faces = [changed(frame, (80, 60, 64, 0), 0.2, i, strength) for i, strength in enumerate(strengths)]
        pasted = paste_change(carrier(frame, *faces))
        matte = matte_of(pasted)
        assert matte.format == matte_format(FORMATS[name]) and matte.colour == ColourSpec(full_range=True)
        assert matte.planes[0].shape == (120, 160)
        assert matte.planes[0][60, 80] == round(expected * top)
        want = np.zeros((120, 160))
        # The crop's pixels are the frame's: the face is 64 pixels wide, upright, with its centre between pixels.
        corner = np.rint(faces[0].restored.crop.frame_from_crop_2x3[:, 2]).astype(int)
        want[corner[1] : corner[1] + 64, corner[0] : corner[0] + 64] = np.minimum(1, sum(strengths) * ALPHA)
        steepest = np.abs(np.gradient(ALPHA)).max()
        np.testing.assert_allclose(matte.planes[0] / top, want, atol=2 * steepest)


@pytest.mark.parametrize("name", ["yuv420p", "gray10le", "gbrp"])
def test_untouched_frames_are_blank_and_cost_nothing(name: str) -> None:
    frame = frame_of(noise_picture(FORMATS[name]))
    crop = Aligner(64).crop(frame, tracked_at(80, 60, 64, 0))
    nothing = [carrier(frame), carrier(frame, masked(crop, crop.rgb_hwc, ALPHA))]
    for pasted in map(paste_change, nothing):
        assert pasted.frame is frame
        assert not matte_of(pasted).planes[0].any()
        layer = layer_of(pasted)
        assert not layer.planes[-1].any()
        black = yuv_from_rgb(ColourSpec(), FORMATS[name], 120).offset
        assert all((plane == level).all() for plane, level in zip(layer.planes[:-1], black, strict=True))
        assert layer_of(pasted).planes[0] is layer.planes[0]  # the same array for every such frame


def test_around_the_mask_the_layer_shows_the_source() -> None:
    frame = frame_of(noise_picture(FORMATS["yuv422p10le"], 160, 120))
    pasted = paste_change(carrier(frame, changed(frame, (80, 60, 40, 0), 0.3)))
    layer = layer_of(pasted)
    rows, columns = (np.flatnonzero(layer.planes[-1].any(axis=axis)) for axis in (1, 0))
    near = np.s_[rows[0] - 16 : rows[-1] + 17, columns[0] - 16 : columns[-1] + 17]
    outside = layer.planes[-1][near] == 0
    np.testing.assert_array_equal(layer.planes[0][near][outside], frame.picture.planes[0][near][outside])


def test_names_and_depths_of_the_pictures() -> None:
    assert layer_format(FORMATS["yuv420p"]).name == "yuva420p"
    assert layer_format(FORMATS["yuv422p10le"]).name == "yuva422p10le"
    assert layer_format(FORMATS["yuv422p10le"], full_chroma=True).name == "yuva444p10le"
    assert layer_format(FORMATS["yuva420p"]).name == "yuva420p"
    assert layer_format(FORMATS["gbrp12le"]).name == "gbrap12le"
    assert layer_format(FORMATS["gray10le"]) == PixelFormat("graya10le", "gray", 10, has_alpha=True)
    assert {matte_format(fmt).bits for fmt in ALL.values() if fmt.bits > 8} == {16}


def film() -> Iterator[FrameFaces[Any]]:
    for t in range(4):
        frame = replace(frame_of(noise_picture(FORMATS["yuv420p"], seed=t), t), duration=7 + t)
        yield carrier(frame, *([changed(frame, (80, 60, 60, 0), 0.3)] if t != 2 else []))


@pytest.mark.parametrize("wish", [LayerWish(), LayerWish(matte=True), LayerWish(matte=True, layer=True)])
def test_stage_gives_the_frames_of_paste_and_what_is_wished_for(wish: LayerWish) -> None:
    plain = list(paste_faces(film(), BlendSettings()))
    items = list(paste_layers(film(), BlendSettings(), wish))
    assert [item.frame.index for item in items] == list(range(4))
    for item, frame in zip(items, plain, strict=True):
        for have, plane in zip(item.frame.picture.planes, frame.picture.planes, strict=True):
            np.testing.assert_array_equal(have, plane)
        assert ((item.matte is not None), (item.layer is not None)) == (wish.matte, wish.layer)
        for side in filter(None, (item.matte, item.layer)):
            assert (side.index, side.time, side.duration) == (frame.index, frame.time, frame.duration)
            assert side.picture.planes[-1].any() == (frame.index != 2)
            assert not any(plane.flags.writeable for plane in side.picture.planes)


def test_stage_passes_errors_and_closes_upstream() -> None:
    closed = []

    def broken() -> Iterator[FrameFaces[Any]]:
        try:
            yield from film()
            raise OSError("the disk went away")
        finally:
            closed.append(True)

    with pytest.raises(OSError, match="went away"):
        list(paste_layers(broken(), BlendSettings(), LayerWish(matte=True)))
    upstream = broken()
    stage = paste_layers(upstream, BlendSettings(), LayerWish(layer=True))
    next(stage)
    stage.close()
    assert closed == [True, True]
