"""What old video codecs leave of a picture, worked out in numpy: no encoder has to be installed.

Each is the intra path of its standard (transform, quantiser, reconstruction) without motion or entropy coding: what
the eye sees of a steady face. Every pixel is a sample of the coded picture; chroma is 4:2:0, its samples centred.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.train.degrade.images import Image, Range, Rng, clip, rgb_from_ycc, ycc_from_rgb

Requantiser = Callable[[Image], Image]
"""From coefficients (rows, 8, columns, 8) in levels to what is rebuilt of them."""

# Default matrix for intra blocks, row by row: ISO/IEC 11172-2, 2.4.3.2, and ISO/IEC 13818-2, 6.3.11.
INTRA_MATRIX = np.array(
    [
        [8, 16, 19, 22, 26, 27, 29, 34],
        [16, 16, 22, 24, 27, 29, 34, 37],
        [19, 22, 26, 27, 29, 34, 34, 38],
        [22, 22, 26, 27, 29, 34, 37, 40],
        [22, 26, 27, 29, 32, 35, 40, 48],
        [26, 27, 29, 32, 35, 40, 48, 58],
        [26, 27, 29, 34, 38, 46, 56, 69],
        [27, 29, 35, 38, 46, 56, 69, 83],
    ],
    np.float32,
)

_N = 8
_FREQUENCY, _PLACE = np.mgrid[:_N, :_N]
# Orthonormal DCT-II: the coefficient of a flat block of value v is 8 v, as both families of standards have it.
_DCT = (np.sqrt(2 / _N) * np.cos((2 * _PLACE + 1) * _FREQUENCY * np.pi / (2 * _N))).astype(np.float32)
_DCT[0] /= np.float32(np.sqrt(2))

_DC_STEP = 8.0
"""Both: a step of 8 of the coefficient, one level of the block's mean."""
_TM5_ROUNDING = np.float32(3 / 8)
"""MPEG-2 Test Model 5 (ISO/IEC JTC1/SC29/WG11 N0400, 1993): added to a level before its fraction is cut off."""
_LUMA_LEVELS, _CHROMA_LEVELS = 219.0, 224.0
"""Code values of one nominal unit, as video has them (ITU-R BT.601-7, 2.5.3)."""


def mpeg(image: Image, rng: Rng, quantiser: tuple[int, int] = (3, 20)) -> Image:
    """MPEG-1 and MPEG-2 (8-bit DC, linear scale): the intra matrix times the quantiser scale, with 4:2:0.

    A coefficient is rebuilt as level * scale * matrix / 8 (ISO/IEC 11172-2, 2.4.4.1); mismatch control is left out.

    Args:
        image: R'G'B'.
        rng: draws the scale.
        quantiser: quantiser_scale, 1 to 31, both ends included; 3 is a good DVD, 20 a poor Video CD.
    """
    steps = INTRA_MATRIX * np.float32(rng.integers(quantiser[0], quantiser[1] + 1) / 8)

    def requantise(coefficients: Image) -> Image:
        level = np.floor(np.abs(coefficients) / steps[:, None] + _TM5_ROUNDING)
        rebuilt = np.asarray(np.copysign(level * steps[:, None], coefficients), np.float32)
        return _with_dc_of(coefficients, rebuilt)

    return _through_blocks(image, requantise)


def h263(image: Image, rng: Rng, quantiser: tuple[int, int] = (6, 24)) -> Image:
    """ITU-T H.263 at a low rate, without its deblocking filter: video calls and early web clips.

    Level = |F| / 2Q without its fraction, rebuilt as Q (2 level + 1), less 1 for an even Q (H.263, 6.2.1); the dead
    zone wipes out what is faint. DC has steps of 8.

    Args:
        image: R'G'B'.
        rng: draws the quantiser.
        quantiser: QUANT, 1 to 31, both ends included.
    """
    step = int(rng.integers(quantiser[0], quantiser[1] + 1))

    def requantise(coefficients: Image) -> Image:
        level = np.floor(np.abs(coefficients) * np.float32(0.5 / step))
        size = np.float32(step) * (2 * level + 1) - np.float32(1 - step % 2)
        rebuilt = np.asarray(np.where(level > 0, np.copysign(size, coefficients), 0), np.float32)
        return _with_dc_of(coefficients, rebuilt)

    return _through_blocks(image, requantise)


def cinepak(image: Image, rng: Rng, entries: tuple[int, int] = (16, 64), smooth: Range = (4.0, 10.0)) -> Image:
    """Vector quantisation as in Cinepak: blocks of 4x4 from a codebook of 2x2 patches.

    A vector holds four lumas and one pair of chromas. A calm block is one vector, drawn at twice its size; a lively
    one is four. A whole Cinepak strip has 256 entries of either kind, a face gets its share of them.

    Args:
        image: R'G'B'.
        rng: draws the parameters and the seeds of the codebooks.
        entries: of each codebook, both ends included.
        smooth: error in levels up to which a block counts as calm.
    """
    count, limit = int(rng.integers(entries[0], entries[1] + 1)), rng.uniform(*smooth)
    height, width = image.shape[:2]
    ycc = _padded(ycc_from_rgb(image), 4) * np.float32(255)
    rows, columns = ycc.shape[0] // 4, ycc.shape[1] // 4
    luma, chroma = _blocks(ycc[:, :, :1], 4)[..., 0], _blocks(_halved(ycc[:, :, 1:]), 2)

    calm = np.concatenate(
        [_halved(ycc[:, :, :1]).reshape(rows, 2, columns, 2).swapaxes(1, 2).reshape(-1, 4), chroma.mean(axis=(1, 2))],
        axis=1,
    )
    calm = _vector_quantised(calm, count, rng)
    coded_luma = calm[:, :4].reshape(-1, 2, 2).repeat(2, axis=1).repeat(2, axis=2)
    coded_chroma = np.tile(calm[:, None, None, 4:], (1, 2, 2, 1))

    lively = np.flatnonzero(np.square(coded_luma - luma).mean(axis=(1, 2)) > limit**2)
    if len(lively):
        patches = luma[lively].reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(-1, 4)
        vectors = _vector_quantised(np.concatenate([patches, chroma[lively].reshape(-1, 2)], axis=1), count, rng)
        coded_luma[lively] = vectors[:, :4].reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(-1, 4, 4)
        coded_chroma[lively] = vectors[:, 4:].reshape(-1, 2, 2, 2)

    coded = np.empty_like(ycc)
    coded[:, :, 0] = _picture(coded_luma[..., None], columns)[:, :, 0]
    coded[:, :, 1:] = _picture(coded_chroma, columns).repeat(2, axis=0).repeat(2, axis=1)
    return clip(rgb_from_ycc(np.asarray(coded[:height, :width] / np.float32(255), np.float32)))


def _halved(image: Image) -> Image:
    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _blocks(image: Image, side: int) -> Image:
    """(H, W, channels) to (blocks, side, side, channels), row by row."""
    height, width, channels = image.shape
    parted = image.reshape(height // side, side, width // side, side, channels)
    return parted.swapaxes(1, 2).reshape(-1, side, side, channels)


def _picture(blocks: Image, columns: int) -> Image:
    """The inverse of `_blocks`, for a picture of so many blocks a row."""
    _, side, _, channels = blocks.shape
    parted = blocks.reshape(-1, columns, side, side, channels)
    return parted.swapaxes(1, 2).reshape(-1, columns * side, channels)


def _vector_quantised(vectors_n6: Image, count: int, rng: Rng) -> Image:
    """Each vector replaced by the nearest entry of a codebook of `count` that is learnt from up to 512 of them.

    The codebook starts with vectors drawn at random and is improved by two steps of Lloyd's algorithm.
    """
    sample = vectors_n6[rng.integers(len(vectors_n6), size=512)]
    book = sample[:count]
    for _ in range(2):
        owner = _nearest(sample, book)
        members = np.bincount(owner, minlength=count)[:, None]
        sums = np.stack([np.bincount(owner, sample[:, i], count) for i in range(6)], axis=1)
        book = np.where(members > 0, sums / np.maximum(members, 1), book).astype(np.float32)
    return np.asarray(book[_nearest(vectors_n6, book)], np.float32)


def _nearest(vectors: Image, book: Image) -> NDArray[np.intp]:
    # |v - b|^2 is least where v b - |b|^2 / 2 is greatest; the constant goes in as one more component.
    offset = np.float32(-0.5) * np.square(book).sum(axis=1, keepdims=True)
    score = np.pad(vectors, ((0, 0), (0, 1)), constant_values=1) @ np.hstack([book, offset]).T
    return np.asarray(np.argmax(score, axis=1), np.intp)


def _with_dc_of(coefficients: Image, rebuilt: Image) -> Image:
    """`rebuilt` with each block's mean as the standards code it apart from the rest; writes into `rebuilt`."""
    rebuilt[:, 0, :, 0] = np.rint(coefficients[:, 0, :, 0] / _DC_STEP) * np.float32(_DC_STEP)
    return rebuilt


def _through_blocks(image: Image, requantise: Requantiser) -> Image:
    """Split into planes of 8x8 blocks, transform, requantise, and back."""
    height, width = image.shape[:2]
    ycc = _padded(ycc_from_rgb(image), 2 * _N)
    y, chroma = ycc[:, :, 0], _halved(ycc[:, :, 1:])
    cb, cr = (_recoded(chroma[:, :, i], requantise, _CHROMA_LEVELS) for i in range(2))
    coded = np.empty_like(ycc)
    coded[:, :, 0] = _recoded(y, requantise, _LUMA_LEVELS)
    coded[:, :, 1:] = cv2.resize(np.dstack([cb, cr]), (y.shape[1], y.shape[0]), interpolation=cv2.INTER_LINEAR)
    return clip(rgb_from_ycc(np.ascontiguousarray(coded[:height, :width])))


def _recoded(plane_hw: Image, requantise: Requantiser, levels_of_one: float) -> Image:
    """One plane of nominal values, as whole levels and through the transform."""
    height, width = plane_hw.shape
    levels = np.rint(plane_hw * np.float32(levels_of_one))
    rows = (_DCT @ levels.reshape(-1, _N, width)).reshape(-1, _N)
    coefficients = (rows @ _DCT.T).reshape(height // _N, _N, width // _N, _N)
    rows = (requantise(coefficients).reshape(-1, _N) @ _DCT).reshape(-1, _N, width)
    return np.asarray(np.rint(_DCT.T @ rows).reshape(height, width) / np.float32(levels_of_one), np.float32)


def _padded(image: Image, multiple: int) -> Image:
    """Drawn out to the right and bottom, to a multiple of the block."""
    height, width = image.shape[:2]
    bottom, right = -height % multiple, -width % multiple
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.float32)
