"""Every layout of planes that a picture may have: random sizes, odd ones too, and faces at and across the edge."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from gpen_video.colour import yuv_from_rgb
from gpen_video.config.schema import BlendSettings
from gpen_video.faces.align import Aligner
from gpen_video.faces.mask import Masker
from gpen_video.faces.paste import paste
from gpen_video.faces.planes import PlaneGroup, plane_groups
from gpen_video.geometry import apply, compose, invert
from gpen_video.types import ColourSpec, Frame, FrameFaces, MaskedFace, PixelFormat, RestoredFace
from tests.faces.scenes import carrier, frame_of, frozen, noise_picture, painted, tracked_at
from tests.faces.test_paste import reachable

SIZE = 64
DEPTHS = [8, 9, 10, 12, 14, 16]
CHROMA = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
FAMILIES = [
    *(PixelFormat(f"yuv{name}p", "yuv", 8, *log2) for name, log2 in CHROMA.items()),
    PixelFormat("gray", "gray", 8),
    PixelFormat("gbrp", "rgb", 8),
]
FORMATS = [
    PixelFormat(f.name + (f"{bits}le" if bits > 8 else ""), f.family, bits, f.log2_chroma_w, f.log2_chroma_h)
    for f, bits in product(FAMILIES, DEPTHS)
]
LOCATIONS = [None, "left", "center", "topleft", "top", "bottomleft", "bottom"]
Place = tuple[float, float, float, float]

specs = st.builds(
    ColourSpec,
    matrix=st.sampled_from([None, "smpte170m", "bt709", "smpte240m", "bt2020nc"]),
    full_range=st.sampled_from([None, True, False]),
    chroma_location=st.sampled_from(LOCATIONS),
)
sizes = st.tuples(st.integers(1, 130), st.integers(1, 110))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Frame, Place]:
    """A picture of noise, and a face of which the edge of the picture may cut off any part."""
    width, height = draw(sizes)
    frame = frame_of(noise_picture(draw(st.sampled_from(FORMATS)), width, height, draw(specs), draw(st.integers(0, 9))))
    across, down = draw(st.floats(-0.3, 1.3)), draw(st.floats(-0.3, 1.3))
    return frame, (across * width, down * height, draw(st.floats(8, 200)), draw(st.floats(-3.2, 3.2)))


def masked_face(frame: Frame, place: Place, noise: float) -> MaskedFace:
    """Cut out and masked by the stages themselves; the network's part is noise."""
    crop = Aligner(SIZE).crop(frame, tracked_at(*place))
    random = np.random.default_rng(1).normal(0, 1, crop.rgb_hwc.shape) * noise
    restored = RestoredFace(crop, frozen((crop.rgb_hwc + random).astype(np.float32)))
    (face,) = Masker(BlendSettings()).mask(FrameFaces(frame, (restored,)))
    return face


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_outside_the_mask_not_a_bit_changes(scene: tuple[Frame, Place]) -> None:
    frame, place = scene
    face = masked_face(frame, place, 0.4)
    after = paste(carrier(frame, face), "restore").picture
    assert [plane.shape for plane in after.planes] == [plane.shape for plane in frame.picture.planes]
    for group in plane_groups(frame.picture):
        for index in group.indices:
            before = frame.picture.planes[index]
            outside = ~reachable(frame.picture, face, group, before)
            np.testing.assert_array_equal(after.planes[index][outside], before[outside])


@settings(max_examples=120, deadline=None)
@given(scenes())
def test_an_even_change_is_the_closed_form_everywhere(scene: tuple[Frame, Place]) -> None:
    """Source + mask * matrix * change, rounded and clipped, at every sample, those on the picture's edge too."""
    frame, place = scene
    picture = frame.picture
    blank = masked_face(frame, place, 0)
    crop, change = blank.restored.crop, np.array([0.12, -0.07, 0.2])
    face = MaskedFace(RestoredFace(crop, frozen((crop.rgb_hwc + change).astype(np.float32))), blank.alpha_hw)
    after = paste(carrier(frame, face), "restore").picture
    to_samples = yuv_from_rgb(picture.colour, picture.format, picture.height).matrix.astype(float)
    for group in plane_groups(picture):
        for index in group.indices:
            before, found = picture.planes[index].astype(float), after.planes[index].astype(float)
            expected = before + bilinear(face, group, before.shape) * (to_samples[index] @ change)
            np.testing.assert_array_less(np.abs(found - expected.clip(0, 2**picture.format.bits - 1)), 0.53)


def bilinear(face: MaskedFace, group: PlaneGroup, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The mask at the samples of a plane, in float64; 0 beyond its edge."""
    y, x = np.mgrid[: shape[0], : shape[1]].reshape(2, -1).astype(np.float64)
    in_crop = invert(compose(invert(group.frame_from_plane), face.restored.crop.frame_from_crop_2x3))
    u, v = apply(in_crop, np.column_stack([x, y])).T
    return map_coordinates(face.alpha_hw.astype(np.float64), [v, u], order=1, mode="grid-constant").reshape(shape)


@settings(max_examples=100, deadline=None)
@given(scenes())
def test_identity_is_exact(scene: tuple[Frame, Place]) -> None:
    frame, place = scene
    assert paste(carrier(frame, masked_face(frame, place, 0)), "restore") is frame


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_identity_is_exact_through_a_networks_arithmetic(scene: tuple[Frame, Place]) -> None:
    """-1 to 1 and back, as networks want it, costs some bits of a float32 but no code value, of 16 bits either."""
    frame, place = scene
    face = masked_face(frame, place, 0)
    there_and_back = (face.restored.crop.rgb_hwc * np.float32(2) - 1) * np.float32(0.5) + np.float32(0.5)
    after = paste(
        carrier(frame, MaskedFace(RestoredFace(face.restored.crop, frozen(there_and_back)), face.alpha_hw)), "restore"
    ).picture
    for before, plane in zip(frame.picture.planes, after.planes, strict=True):
        np.testing.assert_array_equal(plane, before)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_neutral_stays_neutral_to_the_bit(fmt: PixelFormat) -> None:
    """A black-and-white picture, of which the restorer makes a coloured one."""
    frame = frame_of(painted(fmt, ColourSpec(), lambda x, y: np.broadcast_to(0.3 + x / 700, (3, *x.shape)), 131, 99))
    crop = Aligner(SIZE).crop(frame, tracked_at(65, 50, 80, 0.1))
    face = masked_face(frame, (65, 50, 80, 0.1), 0)
    tinted = frozen((crop.rgb_hwc + np.array([0.2, 0.05, -0.1])).astype(np.float32))
    after = paste(carrier(frame, MaskedFace(RestoredFace(crop, tinted), face.alpha_hw)), "auto").picture
    assert (after.planes[0] != frame.picture.planes[0]).any()
    for index, plane in enumerate(after.planes[1:], start=1):
        expected = after.planes[0] if fmt.family == "rgb" else frame.picture.planes[index]
        np.testing.assert_array_equal(plane, expected)
