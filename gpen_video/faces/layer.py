"""What was pasted, as pictures of their own for an editing suite: the matte says where, the layer holds what.

A layer has straight (not premultiplied) alpha. With S the source, C the layer's colours and A its alpha, 0 to 1, the
composite ``S * (1 - A) + C * A`` rounds to the result, sample for sample, in the source's own samples; at an opacity of
k it is ``S + k * (result - S)``. Chroma that is subsampled is composited with the mean alpha of the luma samples that
it stands for, as FFmpeg's ``overlay`` does for 4:2:0. In a layer of full chroma every sample is composited with its
own, over the source with its chroma samples repeated.

- C is the restored face as far as rounding allows: for each sample that of the codes that composite to the result
  which comes nearest.
- A is the blended mask, but where the restored face is brighter than white or darker than black: the result was clipped
  after blending, a layer's colours are clipped before it, so A is as much greater there as it has to be.
- Beyond the masks A is 0. Around them C is the source's own, so that scaling and lossy coding bring no dark fringe in;
  elsewhere C is black, which costs a file next to nothing.

The matte is the blended masks as they are, gray, black where nothing was pasted.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import is_full_range, yuv_from_rgb
from gpen_video.config.schema import BlendSettings
from gpen_video.faces.paste import Change, Pasted, paste_changes
from gpen_video.faces.resample import Roi
from gpen_video.streams import closing_upstream
from gpen_video.types import ColourSpec, Frame, FrameFaces, MaskedFace, Picture, PixelFormat, Plane

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

_FRINGE = 16
"""Luma samples around a mask in which the layer shows the source: more than filters reach, and blocks of ProRes."""
_CHROMA_NAMES = {(1, 1): "420", (1, 0): "422", (0, 0): "444", (0, 1): "440", (2, 0): "411", (2, 2): "410"}


@dataclass(frozen=True, slots=True)
class LayerWish:
    """Which pictures are made beside the result."""

    matte: bool = False
    layer: bool = False
    full_chroma: bool = False
    """Of the layer: chroma on the luma grid, for codecs that have no alpha beside subsampled chroma."""


@dataclass(frozen=True, slots=True, eq=False)
class LayeredFrame:
    """A finished frame and, as far as wished for, its matte and layer, which have its time and duration."""

    frame: Frame
    matte: Frame | None = None
    layer: Frame | None = None


def paste_layers(
    stream: Iterable[FrameFaces[MaskedFace]], settings: BlendSettings, wish: LayerWish
) -> Generator[LayeredFrame, None, None]:
    """`paste.paste_faces` that also gives what was pasted; no delay, and the frames are the same."""
    with closing_upstream(paste_changes(stream, settings)) as pasted:
        for item in pasted:
            yield LayeredFrame(
                item.frame,
                replace(item.frame, picture=matte_of(item)) if wish.matte else None,
                replace(item.frame, picture=layer_of(item, full_chroma=wish.full_chroma)) if wish.layer else None,
            )


def matte_format(source: PixelFormat) -> PixelFormat:
    """The format of a matte: gray of 8 bits for a source of 8, else of 16."""
    return PixelFormat("gray", "gray", 8) if source.bits == 8 else PixelFormat("gray16le", "gray", 16)


def layer_format(source: PixelFormat, *, full_chroma: bool = False) -> PixelFormat:
    """The format of a layer: the source's samples, and alpha of the same depth.

    Its name follows FFmpeg's pattern, but FFmpeg need not have it (gray with alpha in planes, ``yuva420p12le``): an
    encoder is given the nearest finer one that it has.
    """
    log2 = (0, 0) if full_chroma else (source.log2_chroma_w, source.log2_chroma_h)
    stem = {"yuv": f"yuva{_CHROMA_NAMES[log2]}p", "rgb": "gbrap", "gray": "graya"}[source.family]
    name = stem if source.bits == 8 else f"{stem}{source.bits}le"
    return PixelFormat(name, source.family, source.bits, *log2, has_alpha=True)


def matte_of(pasted: Pasted) -> Picture:
    """The blended masks on the luma grid, min(1, their sum), full range in `matte_format`."""
    source, fmt = pasted.source, matte_format(pasted.source.format)
    colour = ColourSpec(full_range=True)
    planes = _blank(fmt, (0,), source.width, source.height)
    regions = _regions(pasted)
    if regions:
        plane = planes[0].copy()
        for region in regions:
            plane[region.slices] = _codes_of(_cover(pasted, 0, region), fmt.bits)
        planes = (_frozen(plane),)
    return Picture(planes, fmt, colour, source.field)


def layer_of(pasted: Pasted, *, full_chroma: bool = False) -> Picture:
    """What was pasted, with straight alpha, in `layer_format`; see the module's description.

    Args:
        pasted: A frame and what was added to it.
        full_chroma: Chroma on the luma grid, the source's and the result's chroma samples being repeated.
    """
    source = pasted.source
    fmt = layer_format(source.format, full_chroma=full_chroma)
    colour = replace(source.colour, full_range=is_full_range(source.colour, source.format))
    black = (*yuv_from_rgb(source.colour, source.format, source.height).offset.tolist(), 0)
    planes = _blank(fmt, tuple(map(round, black)), source.width, source.height)
    regions = _regions(pasted)
    if regions:
        copies = [plane.copy() for plane in planes]
        for region in regions:
            _draw(copies, pasted, region, fmt)
        planes = tuple(map(_frozen, copies))
    return Picture(planes, fmt, colour, source.field)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """A plane of colour within a region."""

    source: Int64
    result: Int64
    change: Float32
    """What the network wants to change, before masks and rounding."""
    block: tuple[int, int]
    """Rows and columns of luma samples for one of these."""


def _draw(planes: Sequence[Plane], pasted: Pasted, region: Roi, fmt: PixelFormat) -> None:
    """Fill a region of a layer."""
    top = 2**fmt.bits - 1
    alpha = _codes_of(_cover(pasted, 0, region), fmt.bits)
    samples = [_samples(pasted, index, region, fmt) for index in range(len(planes) - 1)]
    for part in samples:
        alpha = np.maximum(alpha, _least_alpha(part, alpha.shape, top))
    for index, part in enumerate(samples):
        down, across = part.block
        place = _divided(region, down, across).slices
        planes[index][place] = _colours(part, _block_sums(alpha, part.block), top)
    planes[-1][region.slices] = alpha


def _samples(pasted: Pasted, index: int, region: Roi, fmt: PixelFormat) -> _Samples:
    """Plane `index` of source and result in a region, on the layer's grid."""
    source, result = pasted.source, pasted.frame.picture
    down, across = _block(source.format, index)
    place = _divided(region, down, across)
    cover = _cover(pasted, index, place)
    added = _painted(
        ((change.roi, change.change_hwc[..., index - change.group.indices[0]]) for change in _of(pasted, index)), place
    )
    change = np.divide(added, np.minimum(cover, 1), out=np.zeros_like(added), where=cover > 0)
    arrays: list[NDArray[Any]] = [source.planes[index][place.slices], result.planes[index][place.slices], change]
    block = _block(fmt, index)
    if block != (down, across):
        width, height = region.size_wh
        arrays = [array.repeat(down, 0).repeat(across, 1)[:height, :width] for array in arrays]
    return _Samples(arrays[0].astype(np.int64), arrays[1].astype(np.int64), arrays[2], block)


def _least_alpha(part: _Samples, shape: tuple[int, ...], top: int) -> Int64:
    """On the luma grid, the least alpha with which colours from 0 to `top` can composite to the result.

    With a the sum of a block's alphas, n its size, and x = C - S, the composite rounds to the result where
    ``|2 * a * x - 2 * n * top * (R - S)| < n * top``.
    """
    down, across = part.block
    whole = down * across * top
    difference = part.result - part.source
    room = np.maximum(np.where(difference > 0, top - part.source, part.source), 1)
    least_sum = -((whole - 1 - 2 * whole * np.abs(difference)) // (2 * room))
    least = np.where(difference != 0, -(-least_sum // (down * across)), 0)
    return least.repeat(down, 0).repeat(across, 1)[: shape[0], : shape[1]]


def _colours(part: _Samples, alpha_sums: Int64, top: int) -> Int64:
    """The layer's samples: the restored face's, or the nearest that composite to the result (see `_least_alpha`)."""
    whole = part.block[0] * part.block[1] * top
    wanted = 2 * whole * (part.result - part.source)
    twice = np.maximum(2 * alpha_sums, 1)
    low = np.maximum(-((whole - 1 - wanted) // twice), -part.source)
    high = np.minimum((wanted + whole - 1) // twice, top - part.source)
    nearest = np.clip(np.rint(part.change).astype(np.int64), low, high)
    return part.source + np.where(alpha_sums > 0, nearest, 0)


def _block_sums(alpha: Int64, block: tuple[int, int]) -> Int64:
    """Sums of alpha over blocks of luma samples; those at the picture's edge are continued by their last samples."""
    down, across = block
    if block == (1, 1):
        return alpha
    height, width = alpha.shape
    padded = np.pad(alpha, ((0, -height % down), (0, -width % across)), mode="edge")
    sums: Int64 = padded.reshape(padded.shape[0] // down, down, -1, across).sum(axis=(1, 3))
    return sums


def _regions(pasted: Pasted) -> list[Roi]:
    """Luma regions apart from each other, around all that was pasted and its fringe."""
    source = pasted.source
    regions: list[Roi] = []
    for change in pasted.changes:
        region = _with_fringe(change.roi, *_block(source.format, change.group.indices[0]), source)
        while touched := [other for other in regions if other.overlaps(region)]:
            regions = [other for other in regions if other not in touched]
            region = reduce(Roi.union, touched, region)
        regions.append(region)
    return regions


def _with_fringe(roi: Roi, down: int, across: int, picture: Picture) -> Roi:
    """A plane's region in luma samples, wider by the fringe, in whole blocks of chroma (of which 16 holds enough)."""
    return Roi(
        max(0, roi.left * across - _FRINGE) // _FRINGE * _FRINGE,
        max(0, roi.top * down - _FRINGE) // _FRINGE * _FRINGE,
        min(picture.width, -(-(roi.right * across + _FRINGE) // _FRINGE) * _FRINGE),
        min(picture.height, -(-(roi.bottom * down + _FRINGE) // _FRINGE) * _FRINGE),
    )


def _divided(region: Roi, down: int, across: int) -> Roi:
    """A luma region, of whole blocks, on a plane's own grid."""
    return Roi(region.left // across, region.top // down, -(-region.right // across), -(-region.bottom // down))


def _painted(parts: Iterable[tuple[Roi, Float32]], region: Roi) -> Float32:
    """The sum, within a region, of arrays that lie in the rectangles given with them."""
    width, height = region.size_wh
    painted = np.zeros((height, width), np.float32)
    for roi, array in parts:
        if roi.overlaps(region):  # and so lies in it
            painted[roi.within(region).slices] += array
    return painted


def _cover(pasted: Pasted, index: int, region: Roi) -> Float32:
    """The sum of the masks on the grid of a plane, within a region of it."""
    return _painted(((change.roi, change.cover_hw) for change in _of(pasted, index)), region)


def _of(pasted: Pasted, index: int) -> Iterator[Change]:
    """What is added to a plane."""
    return (change for change in pasted.changes if index in change.group.indices)


def _block(fmt: PixelFormat, index: int) -> tuple[int, int]:
    """Rows and columns of luma samples for one sample of a plane of colour."""
    return (2**fmt.log2_chroma_h, 2**fmt.log2_chroma_w) if fmt.family == "yuv" and index > 0 else (1, 1)


def _codes_of(cover: Float32, bits: int) -> Int64:
    """A sum of masks as alpha in code values."""
    codes: Float32 = np.rint(np.minimum(cover, 1) * (2**bits - 1))
    return codes.astype(np.int64)


@lru_cache(maxsize=4)
def _blank(fmt: PixelFormat, levels: tuple[int, ...], width: int, height: int) -> tuple[Plane, ...]:
    """Planes of one level each, read-only because shared."""
    planes = list[Plane]()
    for index, level in enumerate(levels):
        down, across = (1, 1) if fmt.has_alpha and index == len(levels) - 1 else _block(fmt, index)
        shape = (-(-height // down), -(-width // across))
        planes.append(_frozen(np.full(shape, level, np.uint8) if fmt.bits == 8 else np.full(shape, level, np.uint16)))
    return tuple(planes)


def _frozen(plane: Plane) -> Plane:
    plane.flags.writeable = False
    return plane
