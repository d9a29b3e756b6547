"""Pixel formats: FFmpeg's names and parts, and the planar format that holds the samples of a packed one."""

import re
from functools import lru_cache
from typing import Literal

from av.video.format import VideoFormat, names  # type: ignore[attr-defined]  # missing in PyAV's stubs

from gpen_video.types import PixelFormat

_FLOAT = re.compile(r"f(16|32)(le|be)?$")
_CHROMA = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
_PROBE_SIDE = 64  # a width and height from which the subsampling of chroma can be read


@lru_cache(maxsize=256)
def describe(name: str) -> VideoFormat:
    """FFmpeg's description of a format.

    Raises:
        ValueError: FFmpeg knows no such format.
    """
    if name not in names:
        raise ValueError(f"FFmpeg knows no pixel format {name!r}")
    return VideoFormat(name, _PROBE_SIDE, _PROBE_SIDE)


@lru_cache(maxsize=256)
def planar_equivalent(name: str) -> str:
    """The planar, little-endian format that holds the same samples; the name itself where it is one.

    Full range that FFmpeg puts into a name (``yuvj420p``) is dropped from it: `ColourSpec.full_range` says it. Packed
    RGB of fewer than 8 bits goes to 8 bits by a mapping that can be undone; palettes become RGB with alpha.

    Raises:
        ValueError: No such format, or one without an equivalent of 8 to 16 integer bits a sample (floating point,
            Bayer, XYZ, gray with alpha, frames in the memory of a graphics card).
    """
    described = describe(name)
    bits = max((part.bits for part in described.components), default=0)
    samples_are_plain = not (described.is_bayer or _FLOAT.search(name) or name.startswith("xyz"))
    if name in ("rgb4", "bgr4"):
        raise ValueError(f"pixel format {name} is not supported: two pixels share a byte")
    if not samples_are_plain or not 1 <= bits <= 16:
        raise ValueError(f"pixel format {name} is not supported: its samples are not integers of up to 16 bits")
    suffix = "" if bits <= 8 else f"{bits}le"
    alpha = "a" if has_alpha(name) else ""
    family = family_of(name)
    if family == "rgb":
        equivalent = f"gbr{alpha}p{suffix}"
    elif family == "gray":
        equivalent = f"gray{alpha}{suffix}"
    else:
        equivalent = f"yuv{alpha}{_CHROMA[subsampling(name)]}p{suffix}"
    if equivalent not in names:
        raise ValueError(f"pixel format {name} is not supported: FFmpeg has no planar format for its samples")
    return equivalent


@lru_cache(maxsize=256)
def pixel_format(name: str) -> PixelFormat:
    """The parts of a planar format.

    Raises:
        ValueError: The format is not planar, or see `planar_equivalent`.
    """
    if planar_equivalent(name) != name:
        raise ValueError(f"{name} is not a planar little-endian format; {planar_equivalent(name)} is")
    log2_w, log2_h = subsampling(name)
    bits = describe(name).components[0].bits
    return PixelFormat(name, family_of(name), bits, log2_w, log2_h, has_alpha(name))


def family_of(name: str) -> Literal["yuv", "rgb", "gray"]:
    """Which kind of samples a format holds; a palette counts as RGB."""
    described = describe(name)
    if described.is_rgb or described.has_palette:
        return "rgb"
    return "gray" if sum(not part.is_alpha for part in described.components) == 1 else "yuv"


def has_alpha(name: str) -> bool:
    """Whether a format holds opacity; palettes may, so they count as if they did."""
    described = describe(name)
    return described.has_palette or any(part.is_alpha for part in described.components)


def subsampling(name: str) -> tuple[int, int]:
    """Binary logarithms of the horizontal and vertical chroma subsampling."""
    described = describe(name)
    wide, high = described.chroma_width(_PROBE_SIDE), described.chroma_height(_PROBE_SIDE)
    return (_PROBE_SIDE // wide).bit_length() - 1, (_PROBE_SIDE // high).bit_length() - 1
