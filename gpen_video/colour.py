"""What samples mean: between a format's own samples and nonlinear R'G'B' of nominal range 0 to 1; numpy only.

Sources: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance), SMPTE 240M-1999; ITU-T H.273 (2021), equations
for `MatrixCoefficients` and `VideoFullRangeFlag` and their table of chroma sample positions, for everything between.
Where a source does not say what it is:

- matrix: BT.601 up to 576 lines, as in standard definition, else BT.709;
- range: limited for YUV, full for ``yuvj*`` names, RGB and gray (FFmpeg's scaler takes them so, too);
- chroma position: top left for BT.2020, centre for ``yuvj*`` (JFIF), else left (MPEG-2, H.264, H.265).

Samples are taken as they are: primaries play no part, nor do transfer curves (for HDR see `gpen_video.faces.curve`).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpen_video.errors import InputError
from gpen_video.types import ColourSpec, PixelFormat

Float32 = NDArray[np.float32]

LUMA_BT601: Final = (0.299, 0.587, 0.114)
LUMA_BT709: Final = (0.2126, 0.7152, 0.0722)
"""Weights of R', G', B' in luma, for what measures brightness and knows of no matrix; a film's own: `luma_weights`."""

# Kr and Kb: the weights of red and blue in luma; green has the rest.
_LUMA_WEIGHTS = {
    "smpte170m": LUMA_BT601[::2],
    "bt470bg": LUMA_BT601[::2],
    "bt709": LUMA_BT709[::2],
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}
_UNSTATED = (None, "unknown", "unspecified", "reserved")
_STANDARD_DEFINITION_LINES = 576

# By name: where in a cell of luma samples the chroma sample lies, 0 for its left or top, 1 for its right or bottom.
_CHROMA_POSITIONS = {
    "left": (0.0, 0.5),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.5, 0.0),
    "bottomleft": (0.0, 1.0),
    "bottom": (0.5, 1.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class ColourTransform:
    """``out = matrix @ in + offset``, for one sample."""

    matrix: Float32
    """(outputs, inputs); for differences of samples this alone is the transform."""
    offset: Float32
    """(outputs,)."""


def matrix_name(spec: ColourSpec, fmt: PixelFormat, height: int) -> str:
    """The YUV matrix that applies: a key of the table, or ``gbr``.

    For RGB and gray it says how luma is weighted, since they have no matrix of their own.

    Raises:
        InputError: A matrix that is not a weighting of R'G'B' (ICtCp, constant luminance …).
    """
    by_height = "smpte170m" if height <= _STANDARD_DEFINITION_LINES else "bt709"
    if spec.matrix in _UNSTATED or (spec.matrix == "gbr" and fmt.family != "yuv"):
        return by_height
    if spec.matrix not in _LUMA_WEIGHTS and spec.matrix != "gbr":
        known = ", ".join((*_LUMA_WEIGHTS, "gbr"))
        raise InputError(
            f"colour matrix {spec.matrix!r} is not supported (known: {known}); convert or re-tag the source"
        )
    return spec.matrix


def is_full_range(spec: ColourSpec, fmt: PixelFormat) -> bool:
    """Whether black to white takes all code values, and not 16 to 235 (times 2**(bits - 8))."""
    if spec.full_range is not None:
        return spec.full_range
    return fmt.family != "yuv" or fmt.name.startswith("yuvj")


def luma_weights(spec: ColourSpec, fmt: PixelFormat, height: int) -> Float32:
    """(3,) weights of R', G', B' in luma; they sum to 1."""
    name = matrix_name(spec, fmt, height)
    red, blue = _LUMA_WEIGHTS["bt709" if name == "gbr" else name]
    return np.array([red, 1 - red - blue, blue], np.float32)


@lru_cache(maxsize=64)
def yuv_from_rgb(spec: ColourSpec, fmt: PixelFormat, height: int) -> ColourTransform:
    """From R'G'B' (0 to 1) to the format's sample values, in the order of its planes and without alpha.

    Args:
        spec: What the source says.
        fmt: The format; ``rgb`` gives (3, 3) to G, B, R and ``gray`` gives (1, 3) to Y.
        height: Luma lines of the picture, for a matrix that is not stated.

    Raises:
        InputError: See `matrix_name`.
    """
    scale, offset = _ranges(spec, fmt, height)
    return _transform(scale[:, None] * _nominal_from_rgb(spec, fmt, height), offset)


@lru_cache(maxsize=64)
def rgb_from_yuv(spec: ColourSpec, fmt: PixelFormat, height: int) -> ColourTransform:
    """From the format's sample values to R'G'B'; the inverse of `yuv_from_rgb`. (3, 1) for gray.

    Raises:
        InputError: See `matrix_name`.
    """
    scale, offset = _ranges(spec, fmt, height)
    nominal = np.ones((3, 1)) if fmt.family == "gray" else np.linalg.inv(_nominal_from_rgb(spec, fmt, height))
    matrix = nominal / scale
    return _transform(matrix, -matrix @ offset)


def chroma_offset(spec: ColourSpec, fmt: PixelFormat) -> tuple[float, float]:
    """Where the first chroma sample lies, in luma samples right of and below the first luma sample.

    (0, 0.5) for 4:2:0 as in MPEG-2 and H.264; an axis that is not subsampled has no offset.
    """
    name = spec.chroma_location
    if name not in _CHROMA_POSITIONS:
        bt2020 = spec.matrix == "bt2020nc"
        name = "topleft" if bt2020 else "center" if fmt.name.startswith("yuvj") else "left"
    part_x, part_y = _CHROMA_POSITIONS[name]
    return part_x * (2**fmt.log2_chroma_w - 1), part_y * (2**fmt.log2_chroma_h - 1)


def _transform(matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> ColourTransform:
    parts = ColourTransform(matrix.astype(np.float32), offset.astype(np.float32))
    parts.matrix.flags.writeable = parts.offset.flags.writeable = False  # shared by the cache
    return parts


def _nominal_from_rgb(spec: ColourSpec, fmt: PixelFormat, height: int) -> NDArray[np.float64]:
    """To nominal samples: luma and RGB 0 to 1, chroma -0.5 to 0.5."""
    name = matrix_name(spec, fmt, height)
    if fmt.family == "rgb" or name == "gbr":
        return np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    red, blue = _LUMA_WEIGHTS[name]
    luma = np.array([red, 1 - red - blue, blue])
    if fmt.family == "gray":
        return luma[None]
    r, _, b = np.eye(3)
    return np.stack([luma, (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))])


def _ranges(spec: ColourSpec, fmt: PixelFormat, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Code values for one nominal unit, and for nominal zero, of each plane."""
    step = 2 ** (fmt.bits - 8)
    full = is_full_range(spec, fmt)
    luma = (2**fmt.bits - 1, 0) if full else (219 * step, 16 * step)
    chroma = (2**fmt.bits - 1 if full else 224 * step, 128 * step)
    if fmt.family == "gray":
        planes = [luma]
    elif fmt.family == "rgb" or matrix_name(spec, fmt, height) == "gbr":
        planes = [luma] * 3
    else:
        planes = [luma, chroma, chroma]
    scale, offset = np.array(planes, np.float64).T
    return scale, offset
