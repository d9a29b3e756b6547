"""Between PyAV's frames and `types.Picture`, sample for sample wherever the formats allow."""

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from gpen_video.media import formats
from gpen_video.media.colour_tags import write_tags
from gpen_video.media.unpack import unpack
from gpen_video.types import ColourSpec, Picture, PixelFormat


def picture_of(frame: av.VideoFrame, colour: ColourSpec) -> Picture:
    """A decoded frame's own samples, read-only.

    Args:
        frame: In any format that `formats.planar_equivalent` accepts.
        colour: What the film says of its colours.

    Raises:
        ValueError: The format is not supported.
    """
    return Picture(unpack(frame), formats.pixel_format(formats.planar_equivalent(frame.format.name)), colour)


def frame_of(picture: Picture, format_name: str, colour: ColourSpec) -> av.VideoFrame:
    """A frame for the encoder.

    Finer chroma and depth of the same family are reached by repeating chroma samples and by widening, which lose
    nothing; what remains (fewer bits, coarser chroma, packed layouts, RGB to YUV) is FFmpeg's scaler's.

    Args:
        picture: The samples.
        format_name: The encoder's pixel format.
        colour: What the encoder is told of its colours; range and, from RGB, matrix of the conversion.
    """
    planar = formats.planar_equivalent(format_name)
    widened = widen(picture, formats.pixel_format(planar))
    frame = _filled(widened)
    if widened.format.name == format_name:
        write_tags(frame, colour)
        return frame
    to_yuv = widened.format.family == "rgb" and formats.family_of(format_name) == "yuv"
    coded_range = 2 if colour.full_range else 1
    converted = frame.reformat(
        format=format_name,
        interpolation="AREA",
        dst_colorspace="itu709" if to_yuv else None,
        src_color_range=2 if to_yuv else coded_range,
        dst_color_range=coded_range,
    )
    write_tags(converted, colour)  # some encoders, prores_ks among them, read each frame's own
    return converted


def widen(picture: Picture, target: PixelFormat) -> Picture:
    """The picture with `target`'s depth and chroma where these are at least as fine; else as it is.

    8-bit gray becomes yuv444p10le by shifting and neutral chroma, yuv420p becomes yuv444p by repeating chroma samples:
    both can be undone exactly.
    """
    have = picture.format
    finer = (
        target.bits >= have.bits
        and target.has_alpha >= have.has_alpha
        and target.log2_chroma_w <= have.log2_chroma_w
        and target.log2_chroma_h <= have.log2_chroma_h
    )
    same_family = target.family == have.family or (have.family, target.family) == ("gray", "yuv")
    if target == have or not same_family or (have.family != "gray" and not finer) or target.bits < have.bits:
        return picture
    colour_planes = list(picture.planes[: len(picture.planes) - have.has_alpha])
    full = bool(picture.colour.full_range) or have.family != "yuv"
    planes = [_deeper(plane, have.bits, target.bits, full=full, chroma=i > 0) for i, plane in enumerate(colour_planes)]
    height, width = planes[0].shape
    if target.family == "yuv":
        chroma_h = -(-height // 2**target.log2_chroma_h)
        chroma_w = -(-width // 2**target.log2_chroma_w)
        if have.family == "gray":
            neutral = np.full((chroma_h, chroma_w), 2 ** (target.bits - 1), planes[0].dtype)
            planes += [neutral, neutral]
        else:
            down, across = (
                2 ** (have.log2_chroma_h - target.log2_chroma_h),
                2 ** (have.log2_chroma_w - target.log2_chroma_w),
            )
            planes[1:] = [p.repeat(down, 0).repeat(across, 1)[:chroma_h, :chroma_w] for p in planes[1:]]
    if target.has_alpha:
        opaque = np.full((height, width), 2**target.bits - 1, planes[0].dtype)
        alpha = (
            _deeper(picture.planes[-1], have.bits, target.bits, full=True, chroma=False) if have.has_alpha else opaque
        )
        planes.append(alpha)
    return Picture(tuple(planes), target, picture.colour)


def _deeper(plane: NDArray[Any], have: int, want: int, *, full: bool, chroma: bool) -> NDArray[Any]:
    """Samples with more bits by ITU-T H.273: a shift in limited range, a stretch about zero in full range."""
    if have == want:
        return plane
    if not full:
        return plane.astype(np.uint16) << (want - have)
    zero_have, zero_want = (2 ** (have - 1), 2 ** (want - 1)) if chroma else (0, 0)
    stretch = (2**want - 1) / (2**have - 1)
    values: NDArray[np.float32] = np.rint((plane.astype(np.float32) - zero_have) * stretch) + zero_want
    return values.clip(0, 2**want - 1).astype(np.uint16)


def _filled(picture: Picture) -> av.VideoFrame:
    frame = av.VideoFrame(picture.width, picture.height, picture.format.name)
    for plane, samples in zip(frame.planes, picture.planes, strict=True):
        rows = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
        lines = rows[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
        lines.view(samples.dtype)[:, : plane.width] = samples
    return frame
