"""Memory layouts: against FFmpeg's scaler where that is exact, against the layout's definition elsewhere."""

import av
import numpy as np
import pytest
from av.video.format import names

from gpen_video.media import formats
from gpen_video.media.unpack import unpack

SIZES = [(32, 16), (33, 17), (1, 1), (5, 3)]


def supported() -> list[str]:
    def accepts(name: str) -> bool:
        try:
            formats.planar_equivalent(name)
        except ValueError:
            return False
        return True

    return sorted(filter(accepts, names))


def noise(name: str, size: tuple[int, int], seed: int = 1) -> av.VideoFrame:
    random = np.random.default_rng(seed)
    frame = av.VideoFrame(*size, name)
    for plane in frame.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    return frame


def bytes_of(frame: av.VideoFrame, plane: int = 0) -> np.ndarray:
    part = frame.planes[plane]
    return np.frombuffer(part, np.uint8)[: part.height * part.line_size].reshape(part.height, part.line_size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", supported())
def test_every_format_gives_planes_of_its_size(name: str, size: tuple[int, int]) -> None:
    planes = unpack(noise(name, size))
    have = formats.pixel_format(formats.planar_equivalent(name))
    width, height = size
    chroma = (-(-height // 2**have.log2_chroma_h), -(-width // 2**have.log2_chroma_w))
    want = [(height, width)] + ([] if have.family == "gray" else [chroma] * 2) + [(height, width)] * have.has_alpha
    assert [plane.shape for plane in planes] == want
    assert not any(plane.flags.writeable for plane in planes)


# Formats that FFmpeg's scaler unpacks exactly at this size (at odd widths it does not for all of them).
EXACT = """
nv12 nv21 nv16 nv24 nv42 p010le p010be p016le p210le p416be yuyv422 uyvy422 yvyu422 y210le y216le ayuv64le ayuv64be vuya
uyva vyu444 xv30le v30xle xv36be rgb24 bgr24 rgb0 0bgr argb abgr rgba bgra rgb48be bgr48le rgba64be bgra64le x2rgb10le
x2bgr10le monow monob yuv420p16be gbrap16be gray16be
"""


@pytest.mark.parametrize("name", EXACT.split())
def test_agrees_with_ffmpegs_scaler(name: str) -> None:
    frame = noise(name, (32, 16))
    scaled = frame.reformat(format=formats.planar_equivalent(name))
    for ours, theirs in zip(unpack(frame), unpack(scaled), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_odd_width_of_shared_chroma_keeps_the_last_sample() -> None:
    frame = noise("uyvy422", (5, 3))
    data = bytes_of(frame)
    luma, blue, red = unpack(frame)
    np.testing.assert_array_equal(luma, data[:, 1:10:2])
    np.testing.assert_array_equal(blue, data[:, 0:12:4])
    np.testing.assert_array_equal(red[:, :2], data[:, 2:8:4])


def test_palette() -> None:
    frame = noise("pal8", (7, 5))
    colours = np.frombuffer(frame.planes[1], np.uint32)[bytes_of(frame)[:, :7]]
    green, blue, red, alpha = (plane.astype(np.uint32) for plane in unpack(frame))
    np.testing.assert_array_equal(alpha << 24 | red << 16 | green << 8 | blue, colours)


@pytest.mark.parametrize(("name", "shifts"), [("rgb555le", (5, 0, 10)), ("bgr555le", (5, 10, 0))])
def test_short_words_can_be_undone(name: str, shifts: tuple[int, int, int]) -> None:
    frame = noise(name, (9, 4))
    words = bytes_of(frame).view("<u2")[:, :9]
    for plane, shift in zip(unpack(frame), shifts, strict=True):
        np.testing.assert_array_equal(np.rint(plane.astype(float) * 31 / 255), words >> shift & 31)


@pytest.mark.parametrize("name", ["gbrpf32le", "bayer_rggb8", "xyz12le", "ya8", "cuda", "gray32le", "rgb4", "nonsense"])
def test_what_cannot_be_held_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        formats.planar_equivalent(name)
