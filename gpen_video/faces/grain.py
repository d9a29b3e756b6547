"""Giving a restored face the grain and the softness of the film around it, so that it does not look pasted in.

The restorer takes the film's grain away with its damage. What is given back is the source's *own* grain: the part of
(crop - restored) that the restored face does not explain (K. He, J. Sun and X. Tang, "Guided image filtering", IEEE
TPAMI 35(6), 2013, with the restored face as guide, so that sharpened edges are not undone), limited to the strength
that grain has in the film at that brightness. Own grain has the film's spectrum, and its behaviour over time, by
itself. Where the source has something else in its place (a scratch, a speck, an edge that the restorer moved), noise of
the film's spectrum fills up; it is a function of the frame's number and of the place in the frame alone.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import luma_weights
from gpen_video.faces.noise import BLOCK, GRAIN_BAND, RADIUS, FilmLook, GrainMeter, blur_of, detail_power, image_blocks
from gpen_video.faces.resample import Roi, resample
from gpen_video.geometry import apply, compose, corners, hull_box, invert, scale_of, scaling
from gpen_video.streams import closing_upstream
from gpen_video.types import FrameFaces, RestoredFace

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

GRAIN_DELAY = 1
"""Frames that `match_grain` holds back: a shot's first frame is compared with its second."""

SHARPER = 1.25
"""How much narrower than the film's own the blur of a restored face may be."""

_UNSEEN = 0.3 / 255
"""Grain below this standard deviation is not seen and not matched."""
_PERIOD = 8.0
"""Longest period of grain, in frame pixels; what varies more slowly is left to the restorer."""
_SURE, _LIMIT = 2.5, 4.0
"""In standard deviations: up to the first a sample is taken for grain, beyond the second for a scratch or an edge."""
_FILLED = 0.8
"""Part of the expected variance below which own grain is filled up; local estimates vary by that much."""
_FINEST_FILL = 2.0
"""Frame pixels in a crop pixel up to which grain is made: the frame keeps its own where the crop is coarser."""
_TILE = 64
_KERNEL = 9
_SHARPEST_SHARE = 0.25
"""Of a face's blocks, those that tell its sharpness."""
_SHARP = 0.6
"""Blur, in frame pixels, that nothing is added for: pixels themselves are as soft."""
_MEMORY = 24
"""Frames over which a track's softening forgets."""


def match_grain(stream: Iterable[FrameFaces[RestoredFace]]) -> Generator[FrameFaces[RestoredFace]]:
    """Give restored faces the look of their shot; delay `GRAIN_DELAY` frames.

    Faces of which the restorer changed nothing, and films without grain, come out as they are.
    """
    matcher = GrainMatcher()
    with closing_upstream(stream):
        waiting: FrameFaces[RestoredFace] | None = None
        for item in stream:
            if waiting is not None:
                yield matcher.match(waiting, item)
            waiting = item
        if waiting is not None:
            yield matcher.match(waiting, None)


@dataclass(frozen=True, slots=True)
class _Softening:
    """What a track remembers: running mean of the variance of the blur that it needs, in frame pixels squared."""

    variance: float
    frames: int


class GrainMatcher:
    """Matches frame by frame; remembers the shot's look and the tracks of the last frame."""

    def __init__(self) -> None:
        self._meter = GrainMeter()
        self._tracks: dict[int, _Softening] = {}

    def match(
        self, item: FrameFaces[RestoredFace], following: FrameFaces[RestoredFace] | None
    ) -> FrameFaces[RestoredFace]:
        """The frame with its faces matched.

        Args:
            item: A frame and its restored faces.
            following: The next frame, of which the picture alone is looked at; `None` at the film's end.
        """
        if item.frame.starts_shot:
            self._tracks = {}
        next_picture = None if following is None or following.frame.starts_shot else following.frame.picture
        size = len(item.faces[0].rgb_hwc) if item.faces else 0
        self._meter.measure(item.frame, next_picture, [face.crop.frame_from_crop_2x3 for face in item.faces], size)
        look = self._meter.look
        if look is None:
            return item
        picture = item.frame.picture
        weights = luma_weights(picture.colour, picture.format, picture.height)
        soft = [self._softened(face, look, weights) for face in item.faces]
        self._tracks = {face.crop.face.track_id: state for face, state in soft}
        seed = item.frame.index
        return item.with_faces(tuple(with_grain(face, look, weights, seed) for face, _ in soft))

    def _softened(self, face: RestoredFace, look: FilmLook, weights: Float32) -> tuple[RestoredFace, _Softening]:
        """The face, no sharper than the shot allows, and what its track remembers."""
        last = self._tracks.get(face.crop.face.track_id, _Softening(0.0, 0))
        wanted = _blur_to_add(face, look, weights)
        if wanted is None:
            return _blurred(face, last.variance), last
        rate = max(1 / (last.frames + 1), 1 / _MEMORY)
        state = _Softening(last.variance + rate * (wanted - last.variance), last.frames + 1)
        return _blurred(face, state.variance), state


def with_grain(face: RestoredFace, look: FilmLook, weights: Float32, seed: int) -> RestoredFace:
    """The restored face with the grain that the source has at its place.

    Args:
        face: A crop and what was made of it.
        look: Of the shot.
        weights: (3,) of R', G', B' in luma.
        seed: Number of the frame; grain that is made depends on it and on the place in the frame.

    Returns:
        `face` itself where there is no grain, or the restorer changed nothing.
    """
    removed_hwc = face.crop.rgb_hwc - face.rgb_hwc
    if look.level_variance.max() < _UNSEEN**2 or not removed_hwc.any():
        return face
    frame_from_crop = face.crop.frame_from_crop_2x3
    size = len(face.rgb_hwc)
    reach = max(2, round(_PERIOD / 2 / scale_of(frame_from_crop)))
    made, passed = _made_grain(look, frame_from_crop, size, seed, reach)

    source, restored = face.crop.rgb_hwc @ weights, face.rgb_hwc @ weights
    level = _mean(source, reach)
    explained = _explained(restored, source, reach)
    expected = np.square(look.deviation(level) * passed)
    removed = _detail(source - restored, reach)
    target = np.minimum(expected, _power(removed, reach))
    own = _detail(source, reach) - explained * _detail(restored, reach)
    own, trust = _limited(own, target, expected, reach)
    grain_hwc = np.repeat(own[..., None], 3, axis=2)
    if made is not None:
        missing = np.maximum(_FILLED * target - _power(own, reach), 0)
        grain_hwc += (np.sqrt(missing) * made)[..., None]
    if look.chroma_deviation.max() >= _UNSEEN:
        grain_hwc += _chroma_grain(face, explained, trust, look.chroma_deviation * passed, weights, reach)
    return replace(face, rgb_hwc=face.rgb_hwc + grain_hwc)


def grain_field(look: FilmLook, roi: Roi, seed: int) -> Float32:
    """(height, width) noise of the film's spectrum on frame pixels; its power is 1 in the mean over the grain's band.

    A sample is a function of `seed` and of its place in the frame, whatever the region: faces that overlap agree.
    """
    margin = _KERNEL // 2
    left, top, right, bottom = roi.left - margin, roi.top - margin, roi.right + margin, roi.bottom + margin
    tiles_x = range(left // _TILE, (right - 1) // _TILE + 1)
    tiles_y = range(top // _TILE, (bottom - 1) // _TILE + 1)
    white = np.vstack([np.hstack([_white_tile(seed, x, y) for x in tiles_x]) for y in tiles_y])
    part = white[top - tiles_y[0] * _TILE :, left - tiles_x[0] * _TILE :][: bottom - top, : right - left]
    shaped = cv2.filter2D(part, cv2.CV_32F, _kernel(look.power_16x9))
    return np.asarray(shaped[margin:-margin, margin:-margin], np.float32)


def _white_tile(seed: int, x: int, y: int) -> Float32:
    """(64, 64) of variance 1, each sample the sum of four uniform 16-bit numbers: the same with every numpy."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, ((y & 0xFFFFFFFF) << 32) | (x & 0xFFFFFFFF)], np.uint64)
    bits = np.random.Philox(key=key).random_raw(_TILE * _TILE).astype("<u8")
    total = bits.view("<u2").reshape(_TILE, _TILE, 4).sum(axis=2, dtype=np.int32)
    return np.asarray((total - 4 * 32767.5) / np.sqrt(4 * (65536.0**2 - 1) / 12), np.float32)


def _kernel(power_16x9: Float64) -> Float32:
    """(9, 9) filter without a shift that gives white noise this spectrum."""
    lowest_ring = power_16x9[GRAIN_BAND & (RADIUS < 2.5 / BLOCK)].mean()
    amplitude = np.sqrt(np.where(GRAIN_BAND, power_16x9, np.minimum(power_16x9, lowest_ring)))
    whole = np.fft.fftshift(np.fft.irfft2(amplitude, s=(BLOCK, BLOCK)))
    middle, reach = BLOCK // 2, _KERNEL // 2
    part = whole[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    return np.asarray(part, np.float32)


def _made_grain(
    look: FilmLook, frame_from_crop: Float64, size: int, seed: int, reach: int
) -> tuple[Float32 | None, float]:
    """Grain of variance 1 in the crop, and the deviation there of grain that has 1 in the frame.

    It comes into the crop by the way that the source did. Of a crop that is coarser than the frame only a sample is
    made, for its deviation.
    """
    fills = scale_of(frame_from_crop) <= _FINEST_FILL
    side = size if fills else min(size, _TILE)
    outline = hull_box(apply(frame_from_crop, corners(np.array([0.0, 0.0, side - 1, side - 1]))))
    left, top = np.floor(outline[:2]).astype(int) - 4
    right, bottom = np.ceil(outline[2:]).astype(int) + 5
    field_hw = grain_field(look, Roi(int(left), int(top), int(right), int(bottom)), seed)
    field_from_crop = compose(invert(scaling(1, 1, float(left), float(top))), frame_from_crop)
    made = _detail(resample((field_hw,), field_from_crop, (side, side))[..., 0], reach)
    passed = float(np.sqrt(np.square(made).mean()))
    return (made / np.float32(max(passed, 1e-6)) if fills else None), passed


def _explained(restored: Float32, source: Float32, reach: int) -> Float32:
    """How much of the restored face's detail the source has, 0 to 1: the slope of a local regression."""
    mean = _mean(restored, reach)
    variance = _mean(np.square(restored), reach) - np.square(mean)
    covariance = _mean(restored * source, reach) - mean * _mean(source, reach)
    slope = covariance / np.maximum(variance, 1e-7)
    return _mean(np.clip(slope, 0, 1), reach)


def _limited(own: Float32, target: Float32, expected: Float32, reach: int) -> tuple[Float32, Float32]:
    """Own grain without outliers and of no more than the target's variance, and the weights that made it so."""
    outlying = np.abs(own) / np.sqrt(np.maximum(expected, 1e-12))
    trust = np.asarray(np.clip((_LIMIT - outlying) / (_LIMIT - _SURE), 0, 1), np.float32)
    share = target / np.maximum(_power(own * trust, reach), 1e-12)
    trust *= np.minimum(1, np.sqrt(share) * np.minimum(1, 2 * share))
    return own * trust, trust


def _chroma_grain(
    face: RestoredFace, explained: Float32, trust: Float32, deviation: Float64, weights: Float32, reach: int
) -> Float32:
    """(S, S, 3) own grain of colour, without luma; none is made."""
    own = []
    for channel, limit in zip((2, 0), deviation, strict=True):
        source, restored = (rgb[..., channel] - rgb @ weights for rgb in (face.crop.rgb_hwc, face.rgb_hwc))
        part = (_detail(source, reach) - explained * _detail(restored, reach)) * trust
        share = np.square(limit) / np.maximum(_power(part, reach), 1e-12)
        own.append(part * np.minimum(1, np.sqrt(share)))
    blue, red = own
    green = -(weights[0] * red + weights[2] * blue) / weights[1]
    return np.asarray(np.stack([red, green, blue], axis=-1), np.float32)


def _blur_to_add(face: RestoredFace, look: FilmLook, weights: Float32) -> float | None:
    """Variance, in frame pixels squared, of the blur that makes a face as soft as the film allows.

    Never softer than the face was; `None` where it can't be told.
    """
    if look.blur is None:
        return None
    if look.blur / SHARPER < _SHARP:
        return 0.0
    frame_from_crop = face.crop.frame_from_crop_2x3
    source = _face_blur(face.crop.rgb_hwc @ weights, frame_from_crop, look.floor_16x9)
    restored = _face_blur(face.rgb_hwc @ weights, frame_from_crop, np.zeros_like(look.floor_16x9))
    if source is None or restored is None:
        return None
    return max(0.0, min(look.blur / SHARPER, source) ** 2 - restored**2)


def _face_blur(luma_hw: Float32, frame_from_crop: Float64, noise_16x9: Float64) -> float | None:
    """Blur of the middle of a crop, seen on frame pixels."""
    size = len(luma_hw)
    middle = np.array([0.2, 0.2, 0.8, 0.8]) * (size - 1)
    left, top, right, bottom = hull_box(apply(frame_from_crop, corners(middle)))
    size_wh = (int(right - left), int(bottom - top))
    if min(size_wh) < 2 * BLOCK:
        return None
    crop_from_part = compose(invert(frame_from_crop), scaling(1, 1, left, top))
    part = resample((luma_hw,), crop_from_part, size_wh)[..., 0]
    return blur_of(detail_power(image_blocks(part, BLOCK // 2), _SHARPEST_SHARE), noise_16x9)


def _blurred(face: RestoredFace, variance: float) -> RestoredFace:
    """The face blurred by a Gaussian of this variance in frame pixels squared."""
    deviation = float(np.sqrt(variance)) / scale_of(face.crop.frame_from_crop_2x3)
    if deviation < 0.2:
        return face
    blurred = cv2.GaussianBlur(face.rgb_hwc, (0, 0), deviation, borderType=cv2.BORDER_REFLECT_101)
    return replace(face, rgb_hwc=np.asarray(blurred, np.float32))


def _mean(image_hw: Float32, reach: int) -> Float32:
    """Over the square of `reach` pixels to each side."""
    side = 2 * reach + 1
    return np.asarray(cv2.blur(image_hw, (side, side), borderType=cv2.BORDER_REFLECT_101), np.float32)


def _detail(image_hw: Float32, reach: int) -> Float32:
    return image_hw - _mean(image_hw, reach)


def _power(detail_hw: Float32, reach: int) -> Float32:
    """Local mean square; running sums may end a little below 0."""
    return np.maximum(_mean(np.square(detail_hw), reach), 0)
