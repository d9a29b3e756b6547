from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.colour import chroma_offset, is_full_range, luma_weights, matrix_name, rgb_from_yuv, yuv_from_rgb
from gpen_video.errors import InputError
from gpen_video.types import ColourSpec, PixelFormat
from tests.faces.scenes import FORMATS

MATRICES = ["smpte170m", "bt470bg", "bt709", "fcc", "smpte240m", "bt2020nc", "gbr"]
YUV420 = FORMATS["yuv420p"]


def code_values(
    spec: ColourSpec, fmt: PixelFormat, rgb: tuple[float, float, float], height: int = 1080
) -> NDArray[Any]:
    transform = yuv_from_rgb(spec, fmt, height)
    return transform.matrix @ np.array(rgb, np.float32) + transform.offset


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p16le", "gbrp", "gbrp12le"])
def test_there_and_back(name: str, matrix: str | None, full: bool | None) -> None:
    spec, fmt = ColourSpec(matrix=matrix, full_range=full), FORMATS[name]
    back, there = rgb_from_yuv(spec, fmt, 1080), yuv_from_rgb(spec, fmt, 1080)
    rgb = np.random.default_rng(0).random((3, 100), np.float32)
    samples = there.matrix @ rgb + there.offset[:, None]
    np.testing.assert_allclose(back.matrix @ samples + back.offset[:, None], rgb, atol=1e-5)


# Digital 75 % colour bars: SMPTE EG 1-1990 / RP 219, 8 bit, as printed in every table of them.
@pytest.mark.parametrize(
    ("matrix", "rgb", "expected"),
    [
        ("smpte170m", (0.75, 0.75, 0.75), (180, 128, 128)),
        ("smpte170m", (0.75, 0.75, 0), (162, 44, 142)),
        ("smpte170m", (0, 0.75, 0.75), (131, 156, 44)),
        ("smpte170m", (0.75, 0, 0), (65, 100, 212)),
        ("smpte170m", (0, 0, 0.75), (35, 212, 114)),
        ("bt709", (0.75, 0.75, 0), (168, 44, 136)),
        ("bt709", (0, 0.75, 0), (133, 63, 52)),
        ("bt709", (0.75, 0, 0), (51, 109, 212)),
    ],
)
def test_colour_bars(matrix: str | None, rgb: tuple[float, float, float], expected: tuple[int, ...]) -> None:
    found = code_values(ColourSpec(matrix=matrix), YUV420, rgb)
    np.testing.assert_array_equal(np.rint(found), expected)


# White and black: BT.709-6 section 4 and BT.2020-2 table 5 give 16 and 235 times 2**(bits - 8).
@pytest.mark.parametrize(
    ("name", "full", "black", "white"),
    [
        ("yuv420p", False, (16, 128, 128), (235, 128, 128)),
        ("yuv420p", True, (0, 128, 128), (255, 128, 128)),
        ("yuvj420p", None, (0, 128, 128), (255, 128, 128)),
        ("yuv422p10le", None, (64, 512, 512), (940, 512, 512)),
        ("yuv444p16le", True, (0, 32768, 32768), (65535, 32768, 32768)),
        ("gbrp12le", None, (0, 0, 0), (4095, 4095, 4095)),
        ("gbrp", False, (16, 16, 16), (235, 235, 235)),
        ("gray10le", None, (0,), (1023,)),
        ("gray", False, (16,), (235,)),
    ],
)
def test_black_and_white(name: str, full: bool | None, black: tuple[int, ...], white: tuple[int, ...]) -> None:
    spec = ColourSpec(full_range=full)
    np.testing.assert_allclose(code_values(spec, FORMATS[name], (0, 0, 0)), black, atol=0.01)
    np.testing.assert_allclose(code_values(spec, FORMATS[name], (1, 1, 1)), white, atol=0.01)


def test_planes_of_rgb_are_green_blue_red() -> None:
    np.testing.assert_allclose(code_values(ColourSpec(), FORMATS["gbrp"], (1, 0.2, 0)), (51, 0, 255), atol=1e-4)


def test_gray_becomes_gray() -> None:
    transform = rgb_from_yuv(ColourSpec(full_range=True), FORMATS["gray"], 480)
    np.testing.assert_allclose(transform.matrix @ [51] + transform.offset, [0.2] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("matrix", "height", "expected"),
    [(None, 576, "smpte170m"), ("unknown", 577, "bt709"), ("bt709", 480, "bt709"), ("bt470bg", 2160, "bt470bg")],
)
def test_matrix_that_applies(matrix: str | None, height: int, expected: str) -> None:
    assert matrix_name(ColourSpec(matrix=matrix), YUV420, height) == expected


def test_luma_weights_of_rgb_go_by_height() -> None:
    np.testing.assert_allclose(luma_weights(ColourSpec(matrix="gbr"), FORMATS["gbrp"], 480), (0.299, 0.587, 0.114))


def test_unknown_matrix_is_named() -> None:
    with pytest.raises(InputError, match="'ictcp' is not supported"):
        rgb_from_yuv(ColourSpec(matrix="ictcp"), YUV420, 1080)


def test_range_that_applies() -> None:
    assert not is_full_range(ColourSpec(), YUV420)
    assert is_full_range(ColourSpec(), FORMATS["gbrp"])
    assert not is_full_range(ColourSpec(full_range=False), FORMATS["yuvj420p"])


@pytest.mark.parametrize(
    ("spec", "fmt", "expected"),
    [
        (ColourSpec(), YUV420, (0, 0.5)),
        (ColourSpec(chroma_location="center"), YUV420, (0.5, 0.5)),
        (ColourSpec(chroma_location="unspecified"), YUV420, (0, 0.5)),
        (ColourSpec(matrix="bt2020nc"), YUV420, (0, 0)),
        (ColourSpec(matrix="bt2020nc", chroma_location="left"), YUV420, (0, 0.5)),
        (ColourSpec(), FORMATS["yuvj420p"], (0.5, 0.5)),
        (ColourSpec(), FORMATS["yuv422p10le"], (0, 0)),
        (ColourSpec(chroma_location="bottomleft"), YUV420, (0, 1)),
        (ColourSpec(chroma_location="center"), PixelFormat("yuv411p", "yuv", 8, 2, 0), (1.5, 0)),
    ],
)
def test_where_chroma_lies(spec: ColourSpec, fmt: PixelFormat, expected: tuple[float, float]) -> None:
    assert chroma_offset(spec, fmt) == expected


def test_shared_transforms_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        rgb_from_yuv(ColourSpec(), YUV420, 1080).matrix[0, 0] = 0
