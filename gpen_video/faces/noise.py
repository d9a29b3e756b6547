"""How grainy and how sharp a film is, measured on its own pictures: on flat blocks and on detailed ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2

from gpen_video.colour import luma_weights, rgb_from_yuv, yuv_from_rgb
from gpen_video.faces.curve import curve_of
from gpen_video.geometry import apply, corners, hull_box
from gpen_video.types import Frame, Picture

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Complex = NDArray[np.complex64]
Indices = NDArray[np.intp]

BLOCK = 16
"""Side of a block in luma samples."""
_CANDIDATES = 360
"""Blocks looked at in a frame; a larger frame is seen in turns."""
_LEVELS = 8
"""Steps of brightness in which grain is measured apart."""
_FLAT_PER_LEVEL = 8
_FLAT_SHARE = 0.25
"""Of the blocks of one brightness, at most."""
_DETAILED = 24
_MEMORY = 24
"""Frames over which an estimate forgets."""
_LEVEL_REACH = 0.12
"""How far, in brightness, a measurement speaks for its neighbours."""
_INSIDE = 4.0
"""A block inside a face's crop counts as this much less flat."""

RADIUS = np.hypot(np.fft.fftfreq(BLOCK)[:, None], np.fft.rfftfreq(BLOCK)[None])
"""(16, 9) cycles a sample, of the bins of a block's spectrum."""
_LOWEST = 1 / 8
GRAIN_BAND = RADIUS >= _LOWEST
"""(16, 9) what counts as grain: periods of up to 8 samples. Below it stand shading and flicker."""
_RINGS = [np.abs(RADIUS - k / BLOCK) <= 0.5 / BLOCK for k in range(1, BLOCK // 2 + 1)]
_WINDOW = np.outer(np.hanning(BLOCK + 2)[1:-1], np.hanning(BLOCK + 2)[1:-1]).astype(np.float32)
_WINDOW /= np.sqrt(np.square(_WINDOW).mean())  # white noise keeps its power

_EDGE_SLOPE = 2.5
"""Power of sharp pictures falls with this power of the frequency: 2 for texture, 3 for edges."""
_LEAKAGE = 1e-3
"""Part of the lowest ring's power that the window may leak into any other."""
_VISIBLE = 1.0
"""Signal over noise, in power, down to which a ring tells of sharpness."""
_NEAR = 0.01
"""Of the signal, to either side of where the slope of a curve is taken."""
_CODED = (1.3, 2.0)
"""Steps at block edges over those at other places: up to the first it is all grain, from the second all codec. Measured
in flat areas: white noise and H.264 with its deblocking 1.0 to 1.3, H.264 at low rates 1.6 to 1.8, MPEG-1 2.2."""


@dataclass(frozen=True, slots=True, eq=False)
class FilmLook:
    """The grain and the softness of a shot, in luma samples of its frames and R'G'B' of nominal range 0 to 1."""

    level_variance: Float64
    """(8,) variance of the grain at brightness (k + 0.5) / 8, as if it were white: what is new in each frame, without
    rounding and without a codec's blocks."""
    chroma_deviation: Float64
    """(2,) the same as a standard deviation, of B' - Y' and R' - Y'; 0 in black and white."""
    power_16x9: Float64
    """Spectrum (bins of `numpy.fft.rfft2`) of the grain, 1 in the mean over `GRAIN_BAND`."""
    floor_16x9: Float64
    """Spectrum of flat areas as they are, in R'G'B' squared: grain, rounding and what a codec left."""
    blur: float | None
    """Standard deviation, in samples, of the Gaussian blur in the sharpest parts; `None` where nothing can be said."""

    def deviation(self, luma: Float32) -> Float32:
        """Standard deviation of the grain at each brightness, interpolated; the shape of `luma`."""
        middle = (np.arange(_LEVELS) + 0.5) / _LEVELS
        fine = np.linspace(0, 1, 256)
        table = np.sqrt(np.interp(fine, middle, self.level_variance)).astype(np.float32)
        return table[np.clip(np.rint(luma * 255), 0, 255).astype(np.uint8)]


@dataclass(slots=True, eq=False)
class _Evidence:
    """Running means over the shot so far."""

    frames: int = 0
    still: bool = False
    """The last two frames were the same picture: no grain of it is known to be new."""
    variance: Float64 = field(default_factory=lambda: np.zeros(_LEVELS))
    """Of the grain at each level, times its weight."""
    weight: Float64 = field(default_factory=lambda: np.zeros(_LEVELS))
    chroma_variance: Float64 = field(default_factory=lambda: np.zeros(2))
    flat_power: Float64 = field(default_factory=lambda: np.zeros(RADIUS.shape))
    detail_power: Float64 = field(default_factory=lambda: np.zeros(RADIUS.shape))
    steps: Float64 = field(default_factory=lambda: np.zeros((2, 8)))
    """Energy of steps between neighbours, across and down, by position in a codec's 8 x 8 grid."""
    products: Float64 = field(default_factory=lambda: np.zeros(3))
    """Of the grain with that of the frame before: own square, its square, product."""


class GrainMeter:
    """Measures frame by frame; forgets at cuts. Holds on to one picture, the last."""

    def __init__(self) -> None:
        self._seen = _Evidence()
        self._last: Picture | None = None
        self._look: FilmLook | None = None

    @property
    def look(self) -> FilmLook | None:
        """What the shot looks like so far; `None` where no flat area was seen."""
        return self._look

    def measure(
        self, frame: Frame, next_picture: Picture | None, frame_from_crops: Sequence[Float64] = (), crop_size: int = 0
    ) -> None:
        """Look at the next frame.

        Args:
            frame: The whole frame, as decoded.
            next_picture: Of the frame after it in the same shot; a shot's first frame is compared with it.
            frame_from_crops: (2, 3) each; where its faces are. Blocks inside count less.
            crop_size: Side of the crops.
        """
        if frame.starts_shot:
            self._seen, self._last, self._look = _Evidence(), None, None
        other = self._last if self._last is not None else next_picture
        self._last = picture = frame.picture
        if min(picture.height, picture.width) < 2 * BLOCK:
            return
        rows, columns = _lattice(picture, frame.index)
        luma = luma_blocks(picture, rows, columns)
        level, detrended, structure = _described(luma)
        inside = _inside(rows, columns, frame_from_crops, crop_size)
        flat = _flattest(level, structure * np.where(inside, _INSIDE, 1.0))
        if not len(flat):
            return
        rate = max(1 / (self._seen.frames + 1), 1 / _MEMORY)
        signal = _signal_blocks(picture, rows[flat], columns[flat]).mean(axis=(1, 2))
        slope = _slope(picture, signal)
        rounding = float(np.square(slope).mean()) * _step(picture) ** 2 / 12
        spectra = _spectra(detrended[flat])
        if other is not None and other.planes[0].shape == picture.planes[0].shape:
            others = luma_blocks(other, rows[flat], columns[flat])
            self._seen.still = np.array_equal(luma[flat], others)
            if self._seen.still and self._seen.frames:  # the same frame again tells nothing new
                return
            if not self._seen.still:
                _blend(self._seen.products, _products(spectra, _spectra(_detrended(others))), rate)
        self._learn_levels(level[flat], _power(spectra), structure[flat] + rounding, rounding, rate)
        self._learn_chroma(picture, rows[flat], columns[flat], slope, rate)
        _blend(self._seen.steps, _grid_steps(luma[flat]), rate)
        outside = np.flatnonzero(~inside)
        detailed = outside[np.argsort(structure[outside], kind="stable")[-_DETAILED:]]
        if len(detailed):
            _blend(self._seen.detail_power, _mean_power(detrended[detailed]), rate)
        self._seen.frames += 1
        self._look = self._summed_up(rounding)

    def _learn_levels(self, level: Float32, power: Float32, roughness: Float64, rounding: float, rate: float) -> None:
        """Weighted means by brightness; the flatter a block, the more it counts."""
        weight = 1 / roughness**2
        variance = power[:, GRAIN_BAND].mean(axis=1) - rounding
        bins = np.clip((level * _LEVELS).astype(int), 0, _LEVELS - 1)
        _blend(self._seen.weight, _summed(bins, weight), rate)
        _blend(self._seen.variance, _summed(bins, weight * variance), rate)
        _blend(self._seen.flat_power, np.average(power, axis=0, weights=weight), rate)

    def _learn_chroma(self, picture: Picture, rows: Indices, columns: Indices, slope: Float32, rate: float) -> None:
        chroma, rounding = _chroma_blocks(picture, rows, columns)
        variance = np.zeros(2)
        for index, blocks in enumerate(chroma):
            seen = np.square(slope) * (_detrended(blocks).var(axis=(1, 2)) - rounding[index])
            variance[index] = max(0.0, float(np.median(seen)))
        _blend(self._seen.chroma_variance, variance, rate)

    def _summed_up(self, rounding: float) -> FilmLook:
        seen = self._seen
        middle = (np.arange(_LEVELS) + 0.5) / _LEVELS
        near = np.exp(-0.5 * np.square((middle[:, None] - middle[None]) / _LEVEL_REACH)) + 1e-3
        variance = np.maximum(0, near @ seen.variance / np.maximum(near @ seen.weight, 1e-30))
        power = np.maximum(seen.flat_power - rounding, 0)
        power /= max(float(power[GRAIN_BAND].mean()), 1e-30)
        own, other, product = seen.products
        repeated = product / np.sqrt(own * other) if own * other > 0 else 0.0
        fresh = 0.0 if seen.still else float(np.clip(1 - repeated, 0, 1))
        share = fresh * (1 - _codec_share(seen.steps))
        return FilmLook(
            level_variance=variance * share,
            chroma_deviation=np.sqrt(seen.chroma_variance * share),
            power_16x9=power,
            floor_16x9=seen.flat_power.copy(),
            blur=blur_of(seen.detail_power, seen.flat_power),
        )


def luma_blocks(picture: Picture, rows: Indices, columns: Indices) -> Float32:
    """(N, 16, 16) luma, nominally 0 to 1, of blocks by their row and column in the picture's grid of blocks.

    Of HDR, luma as the crops have it: through the curve of `faces.curve`.
    """
    luma = _signal_blocks(picture, rows, columns)
    curve = curve_of(picture.colour.transfer)
    return luma if curve is None else curve.shown_from_signal(luma)


def _slope(picture: Picture, signal: Float32) -> Float32:
    """How much the curve of HDR stretches small differences at a signal; 1 for SDR. The shape of `signal`."""
    curve = curve_of(picture.colour.transfer)
    if curve is None:
        return np.ones_like(signal)
    around = np.clip(signal, _NEAR, 1 - _NEAR)
    return np.asarray(
        (curve.shown_from_signal(around + _NEAR) - curve.shown_from_signal(around - _NEAR)) / (2 * _NEAR), np.float32
    )


def _signal_blocks(picture: Picture, rows: Indices, columns: Indices) -> Float32:
    fmt, spec = picture.format, picture.colour
    if fmt.family == "rgb":
        return np.asarray(_rgb_blocks(picture, rows, columns) @ luma_weights(spec, fmt, picture.height), np.float32)
    to_yuv = yuv_from_rgb(spec, fmt, picture.height)
    if to_yuv.matrix[0, 0] == 0:  # RGB in the planes of YUV
        return np.asarray(_rgb_blocks(picture, rows, columns) @ luma_weights(spec, fmt, picture.height), np.float32)
    samples = _plane_blocks(picture.planes[0], rows, columns, BLOCK, BLOCK)
    return np.asarray((samples - to_yuv.offset[0]) / to_yuv.matrix[0].sum(), np.float32)


def image_blocks(image_hw: Float32, stride: int) -> Float32:
    """(N, 16, 16) blocks of an image, `stride` pixels apart; none where the image is smaller than a block."""
    if min(image_hw.shape) < BLOCK:
        return np.empty((0, BLOCK, BLOCK), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(image_hw, (BLOCK, BLOCK))[::stride, ::stride]
    return np.ascontiguousarray(windows.reshape(-1, BLOCK, BLOCK))


def detail_power(blocks: Float32, share: float) -> Float64:
    """(16, 9) mean spectrum of the most structured part of (N, 16, 16) blocks."""
    _, detrended, structure = _described(blocks)
    count = max(1, round(share * len(blocks)))
    chosen = np.argsort(structure, kind="stable")[-count:]
    return _mean_power(detrended[chosen])


def blur_of(power_16x9: Float64, noise_16x9: Float64) -> float | None:
    """Gaussian blur, in samples, that explains how the spectrum of detailed blocks falls; `None` if too little shows.

    A line through log(power of the ring x f^2.5) against f^2 has the slope -4 pi^2 blur^2. Only rings that stand out
    of the noise count, and the first that does not, as a bound: noise makes the estimate lower, never higher.
    """
    squared: list[float] = []
    logs: list[float] = []
    floor = max(_LEAKAGE * float(power_16x9[_RINGS[1]].mean()), 1e-12)
    for k, ring in list(enumerate(_RINGS, start=1))[1:]:
        noise = max(float(noise_16x9[ring].mean()), floor)
        signal = float(power_16x9[ring].mean()) - noise
        squared.append((k / BLOCK) ** 2)
        logs.append(np.log(max(signal, _VISIBLE * noise)) + _EDGE_SLOPE * np.log(k / BLOCK))
        if signal <= _VISIBLE * noise:
            break
    if len(squared) < 3:
        return None
    slope = np.polyfit(squared, logs, 1)[0]
    return float(np.sqrt(max(0.0, -slope)) / (2 * np.pi))


def _lattice(picture: Picture, frame_index: int) -> tuple[Indices, Indices]:
    """Row and column of the candidates: an even choice that moves on from frame to frame."""
    down, across = picture.height // BLOCK, picture.width // BLOCK
    stride = -(-down * across // _CANDIDATES)
    while stride > 1 and across % stride == 0:  # else whole columns are never seen
        stride += 1
    chosen = np.arange(frame_index % stride, down * across, stride)
    return chosen // across, chosen % across


def _plane_blocks(
    plane: NDArray[np.uint8] | NDArray[np.uint16], rows: Indices, columns: Indices, high: int, wide: int
) -> Float32:
    down, across = plane.shape[0] // high, plane.shape[1] // wide
    grid = plane[: down * high, : across * wide].reshape(down, high, across, wide)
    return grid[np.minimum(rows, down - 1), :, np.minimum(columns, across - 1), :].astype(np.float32)


def _rgb_blocks(picture: Picture, rows: Indices, columns: Indices) -> Float32:
    planes = [_plane_blocks(plane, rows, columns, BLOCK, BLOCK) for plane in picture.planes[:3]]
    to_rgb = rgb_from_yuv(picture.colour, picture.format, picture.height)
    return np.asarray(np.stack(planes, axis=-1) @ to_rgb.matrix.T + to_rgb.offset, np.float32)


def _chroma_blocks(picture: Picture, rows: Indices, columns: Indices) -> tuple[list[Float32], tuple[float, float]]:
    """B' - Y' and R' - Y' of the same blocks, on the grid of chroma, and the variance that rounding gives them."""
    fmt = picture.format
    if fmt.family == "gray":
        return [], (0.0, 0.0)
    to_rgb = rgb_from_yuv(picture.colour, fmt, picture.height).matrix
    if fmt.family == "rgb" or to_rgb[0, 0] == 0:
        rgb = _rgb_blocks(picture, rows, columns)
        luma = rgb @ luma_weights(picture.colour, fmt, picture.height)
        rounding = _step(picture) ** 2 / 6
        return [rgb[..., 2] - luma, rgb[..., 0] - luma], (rounding, rounding)
    high, wide = BLOCK >> fmt.log2_chroma_h, BLOCK >> fmt.log2_chroma_w
    gains = float(to_rgb[2, 1]), float(to_rgb[0, 2])
    blocks = [
        _plane_blocks(picture.planes[i], rows, columns, high, wide) * gain
        for i, gain in zip((1, 2), gains, strict=True)
    ]
    return blocks, (gains[0] ** 2 / 12, gains[1] ** 2 / 12)


def _step(picture: Picture) -> float:
    """R'G'B' of one code value of luma."""
    return float(1 / yuv_from_rgb(picture.colour, picture.format, picture.height).matrix[0].sum())


def _described(blocks: Float32) -> tuple[Float32, Float32, Float64]:
    """Mean and detrended samples of each block, and its structure: the power of its slowest waves.

    These lie below the band of grain, so that choosing flat blocks by them does not choose those with little grain.
    """
    detrended = _detrended(blocks)
    waves = detrended.reshape(len(blocks), -1) @ _slow_waves()
    return blocks.mean(axis=(1, 2)), detrended, np.asarray(np.square(waves).mean(axis=1), np.float64)


@lru_cache(maxsize=1)
def _slow_waves() -> Float32:
    """(256, 8) orthonormal: one wave a block, across, down and on both diagonals, as sine and cosine."""
    down, across = np.mgrid[:BLOCK, :BLOCK].reshape(2, -1) * (2 * np.pi / BLOCK)
    phases = (across, down, across + down, across - down)
    waves = np.stack([wave(phase) for phase in phases for wave in (np.sin, np.cos)], axis=1)
    shared = (waves / np.linalg.norm(waves, axis=0)).astype(np.float32)
    shared.flags.writeable = False
    return np.asarray(shared, np.float32)


def _detrended(blocks: Float32) -> Float32:
    """Each block less its mean and slopes."""
    count, high, wide = blocks.shape
    flat = blocks.reshape(count, -1)
    basis = _trends(high, wide)
    return np.asarray((flat - (flat @ basis) @ basis.T).reshape(count, high, wide), np.float32)


@lru_cache(maxsize=8)
def _trends(high: int, wide: int) -> Float32:
    """(high * wide, 3) orthonormal: constant, slope down, slope across."""
    down, across = np.mgrid[:high, :wide].reshape(2, -1) - np.array([[(high - 1) / 2], [(wide - 1) / 2]])
    basis = np.stack([np.ones(high * wide), down, across], axis=1)
    basis /= np.linalg.norm(basis, axis=0)
    shared = basis.astype(np.float32)
    shared.flags.writeable = False
    return shared


def _inside(rows: Indices, columns: Indices, frame_from_crops: Sequence[Float64], crop_size: int) -> NDArray[np.bool_]:
    """Which blocks have their middle in the box around a crop."""
    x, y = ((index + 0.5) * BLOCK - 0.5 for index in (columns, rows))
    inside = np.zeros(len(rows), bool)
    for frame_from_crop in frame_from_crops:
        box = hull_box(apply(frame_from_crop, corners(np.array([0.0, 0.0, crop_size - 1, crop_size - 1]))))
        inside |= (x >= box[0]) & (y >= box[1]) & (x <= box[2]) & (y <= box[3])
    return inside


def _flattest(level: Float32, structure: Float64) -> Indices:
    """The flattest blocks of each brightness; what is clipped to black or white has no grain and tells nothing."""
    usable = np.flatnonzero((level > 0.02) & (level < 0.98))
    bins = np.clip((level[usable] * _LEVELS).astype(int), 0, _LEVELS - 1)
    order = np.lexsort((structure[usable], bins))
    first, end = (np.searchsorted(bins[order], np.arange(_LEVELS), side) for side in ("left", "right"))
    rank = np.arange(len(order)) - first[bins[order]]
    wanted = np.minimum(_FLAT_PER_LEVEL, np.ceil(_FLAT_SHARE * (end - first)))
    return np.asarray(usable[order[rank < wanted[bins[order]]]], np.intp)


def _mean_power(detrended: Float32) -> Float64:
    return np.asarray(_power(_spectra(detrended)).mean(axis=0), np.float64)


def _products(now: Complex, other: Complex) -> Float64:
    """Within the band of grain: square of the one, of the other, and their product."""
    pairs = ((now, now), (other, other), (now, other))
    return np.array([(a * b.conj()).real[:, GRAIN_BAND].sum(dtype=np.float64) for a, b in pairs])


def _spectra(detrended: Float32) -> Complex:
    return np.asarray(rfft2(detrended * _WINDOW), np.complex64)


def _power(spectra: Complex) -> Float32:
    """White noise of variance v gives v in every bin."""
    return np.asarray((spectra.real**2 + spectra.imag**2) / BLOCK**2, np.float32)


def _grid_steps(blocks: Float32) -> Float64:
    """(2, 8) mean square step to the neighbour, across and down, by the position of the step modulo 8."""
    result = np.empty((2, 8))
    for axis in (0, 1):
        steps = np.abs(np.diff(blocks, axis=2 - axis)).mean(axis=(0, 1 + axis))
        result[axis] = [steps[(k - 1) % 8 :: 8].mean() for k in range(8)]
    return result


def _codec_share(steps: Float64) -> float:
    """Part of what looks like grain that is a codec's blocks, 0 to 1."""
    usual = np.median(steps, axis=1)
    peak = float(np.max(steps.max(axis=1) / np.maximum(usual, 1e-30))) if usual.all() else 1.0
    return float(np.clip((peak - _CODED[0]) / (_CODED[1] - _CODED[0]), 0, 1))


def _summed(bins: Indices, values: Float64) -> Float64:
    """(8,) sum of the values of each level."""
    return np.asarray(np.bincount(bins, values, _LEVELS), np.float64)


def _blend(mean: Float64, value: NDArray[np.floating[Any]], rate: float) -> None:
    """Move a running mean towards a value."""
    mean += rate * (value - mean)
