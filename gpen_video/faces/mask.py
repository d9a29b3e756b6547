"""How much of the restored face goes into the frame, where: a soft ellipse that is steady over time.

An ellipse from the landmarks, not their hull: five points span no more than eyes and mouth, and what has to be covered
(brows, cheeks, chin) lies beyond them by amounts that differ little between faces. Where a parser sees hair, glasses or
a hand, they are taken out of it. Masks live in the crop, which moves with the face, and so does what is remembered.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.config.schema import BlendSettings
from gpen_video.faces.parse import FaceParser
from gpen_video.geometry import apply, invert
from gpen_video.streams import closing_upstream
from gpen_video.types import Frame, FrameFaces, MaskedFace, RestoredFace

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# The ellipse, in units of the distance between the eyes' middle and the mouth's: measured on aligned faces, it runs
# from the hairline to the chin and over the cheeks to the ears.
_CENTRE = 0.44
"""Down from the eyes."""
_HALF_HEIGHT = 1.32
_HALF_WIDTH = 1.07
_HALF_WIDTH_PER_EYE_DISTANCE = 1.24
_INNERMOST = 0.75
"""Landmarks lie within this part of the radius; for odd poses the ellipse grows until they do."""

_BORDER = 1 / 64
"""Part of the crop's side along its border where the mask is 0 (at least two pixels)."""
_BORDER_FADE = 0.08
"""Widest fade towards that border, as a part of the side."""
_FORGIVEN = 1
"""Missed detections before a face starts to fade: a single miss must not flicker."""
_LEAVING = 1.0
"""A predicted face with eyes or mouth this close to the picture's border, in distances between the two, is taken to be
leaving: it fades at once."""
_PARSED_EDGE = 0.25
"""Blur of what a parser sees, in widths of the ellipse's fade."""


def mask_faces(
    stream: Iterable[FrameFaces[RestoredFace]],
    settings: BlendSettings,
    strength: float = 1.0,
    parser: FaceParser | None = None,
) -> Generator[FrameFaces[MaskedFace], None, None]:
    """Give each restored face its mask; no delay.

    A mask is shape x level (how far the face has faded in) x the strengths of its crop, of its restoration, and of all.

    Args:
        stream: Restored faces frame by frame.
        settings: See `BlendSettings`.
        strength: 0 to 1, multiplies every mask.
        parser: Sees what is in front of a face. It looks at the restored one, as in the published pipeline.
    """
    masker = Masker(settings, strength, parser)
    with closing_upstream(stream):
        for item in stream:
            yield item.with_faces(masker.mask(item))


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """What a track's last frame leaves for its next."""

    shape_hw: Float32
    """The mask, blended over time, before fade and strength."""
    level: float
    """How far the face has faded in, 0 to 1."""
    missed: int
    """Frames since the last detection."""


class Masker:
    """Masks frame by frame; remembers the tracks of the last frame that was not damaged."""

    def __init__(self, settings: BlendSettings, strength: float = 1.0, parser: FaceParser | None = None) -> None:
        """See `mask_faces`."""
        self._settings = settings
        self._strength = strength
        self._parser = parser
        self._step = 1 / (settings.fade + 1)
        self._tracks: dict[int, _Memory] = {}

    def mask(self, item: FrameFaces[RestoredFace]) -> tuple[MaskedFace, ...]:
        """The masks of the next frame's faces."""
        if item.frame.starts_shot:
            self._tracks = {}
        tracks = {
            face.crop.face.track_id: self._next(self._tracks.get(face.crop.face.track_id), face, item.frame)
            for face in item.faces
        }
        if not item.frame.damaged:
            self._tracks = tracks
        return tuple(self._masked(face, tracks[face.crop.face.track_id]) for face in item.faces)

    def _masked(self, face: RestoredFace, memory: _Memory) -> MaskedFace:
        amount = memory.level * face.crop.strength * face.strength * self._strength
        return MaskedFace(face, memory.shape_hw * np.float32(amount))

    def _next(self, last: _Memory | None, face: RestoredFace, frame: Frame) -> _Memory:
        if last is not None and frame.damaged:
            return last
        shape = self._shape(face)
        seen = face.crop.face.detection is not None
        if last is None:
            # A face that the shot begins with has not appeared: it is there, at full strength.
            return _Memory(shape, 1.0 if frame.starts_shot else self._step, 0 if seen else 1)
        steadiness = np.float32(self._settings.steadiness)
        shape = steadiness * last.shape_hw + (1 - steadiness) * shape
        if seen:
            return _Memory(shape, min(1.0, last.level + self._step), 0)
        fading = last.missed >= _FORGIVEN or _is_leaving(face, frame)
        return _Memory(shape, max(0.0, last.level - self._step) if fading else last.level, last.missed + 1)

    def _shape(self, face: RestoredFace) -> Float32:
        shape = face_mask(_landmarks_in_crop(face), len(face.rgb_hwc), self._settings.feather)
        if self._parser is None or not face.crop.strength * face.strength * self._strength > 0:
            return shape
        sigma = _PARSED_EDGE * self._settings.feather * len(shape)
        parsed = self._parser.parse(face.rgb_hwc[None])[0]
        soft = cv2.GaussianBlur(parsed, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(shape * soft, np.float32)


def face_mask(landmarks_5xy: Float64, size: int, feather: float) -> Float32:
    """A soft ellipse over brow, cheeks and chin.

    Args:
        landmarks_5xy: (5, 2) in pixels of the crop.
        size: Side of the crop in pixels.
        feather: Width of the fade from 1 to 0 across the ellipse's edge, as a part of the side.

    Returns:
        (size, size), 0 to 1; exactly 0 on the border.
    """
    distance = _distance_to_ellipse(landmarks_5xy, size)
    inside = 0.5 - distance / np.float32(feather * size)
    alpha = _smoothstep(np.minimum(inside, _border_ramp(size, feather)))
    return np.asarray(alpha, np.float32)


def _landmarks_in_crop(face: RestoredFace) -> Float64:
    return apply(invert(face.crop.frame_from_crop_2x3), face.crop.face.landmarks_5xy)


def _is_leaving(face: RestoredFace, frame: Frame) -> bool:
    """Whether a face is so near the picture's border that it is likely to go, not to be missed."""
    points = face.crop.face.landmarks_5xy
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    reach = _LEAVING * float(np.linalg.norm(mouth - eyes))
    last = np.array([frame.picture.width, frame.picture.height]) - 1
    inside = np.minimum(np.stack([eyes, mouth]), last - np.stack([eyes, mouth])).min()
    return bool(inside < reach)


def _distance_to_ellipse(landmarks_5xy: Float64, size: int) -> Float32:
    """(size, size) pixels outward from the ellipse, negative inside.

    First-order distance f / |grad f| (G. Taubin, IEEE TPAMI 13(11), 1991) with f the relative radius less 1: good near
    the edge, where it counts.
    """
    eyes, mouth = landmarks_5xy[:2].mean(axis=0), landmarks_5xy[3:].mean(axis=0)
    length = max(float(np.linalg.norm(mouth - eyes)), 1.0)
    down = (mouth - eyes) / length
    right = np.array([down[1], -down[0]])
    centre = eyes + _CENTRE * length * down
    eye_distance = float(np.linalg.norm(landmarks_5xy[1] - landmarks_5xy[0]))
    half_wh = np.array([max(_HALF_WIDTH * length, _HALF_WIDTH_PER_EYE_DISTANCE * eye_distance), _HALF_HEIGHT * length])
    axes = np.stack([right, down])
    farthest = np.linalg.norm((landmarks_5xy - centre) @ axes.T / half_wh, axis=1).max()
    half_wh *= max(1.0, farthest / _INNERMOST)

    to_axes = axes / half_wh[:, None]
    pixel = np.arange(size, dtype=np.float64)
    across, along = (
        (row[0] * (pixel - centre[0])[None, :] + row[1] * (pixel - centre[1])[:, None]).astype(np.float32)
        for row in to_axes
    )
    radius = np.sqrt(across**2 + along**2)
    slope = np.sqrt((across / np.float32(half_wh[0])) ** 2 + (along / np.float32(half_wh[1])) ** 2)
    steepest = np.float32(1e-6)  # in the middle both are 0; the quotient there need only be far inside
    distance: Float32 = (radius - 1) * np.maximum(radius, steepest) / np.maximum(slope, steepest / half_wh.max())
    return np.asarray(distance, np.float32)


@lru_cache(maxsize=8)
def _border_ramp(size: int, feather: float) -> Float32:
    """(size, size) from 0 along the border to 1."""
    margin = max(2.0, _BORDER * size)
    pixel = np.arange(size, dtype=np.float32)
    ramp = (np.minimum(pixel, size - 1 - pixel) - margin) / (min(feather, _BORDER_FADE) * size)
    return np.minimum(ramp[:, None], ramp[None, :])


def _smoothstep(x: Float32) -> Float32:
    t = np.clip(x, 0, 1)
    return t * t * (3 - 2 * t)
