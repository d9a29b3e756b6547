"""How the camera moves within a shot, from points of the background."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.faces.planes import plane_groups
from gpen_video.geometry import Points, apply, compose, corners, full_from_resized, hull_box, invert, scaling
from gpen_video.types import Picture

Float64 = NDArray[np.float64]
Image = NDArray[np.uint8]

_LONG_SIDE = 320
"""Of the copy that points are followed in: LK finds them to a twentieth of its pixels."""
_POINTS = 160
_LEAST = 24
"""Points that must agree."""
_SHARE = 0.5
"""Of all points, that must agree: else it is not the camera that moves."""
_TOLERANCE = 0.8
"""Pixels of the copy by which a point may miss the motion."""
_STARTS = 0.3
"""Pixels of the copy by which the corners must move in one frame for the camera to have left its stand."""
_CREEPS = 0.1
"""The same on the mean of some frames: a slow pan."""
_RESTS = 0.1
"""Pixels of the copy below which a frame counts as still."""
_CERTAIN, _UNCERTAIN = 8.0, 4.0
"""Standard errors of the measured motion that such a move must exceed as well, and below which a frame is still. On
noisy film that stands still, measured motion came to six."""
_REST_FRAMES = 8
"""Still frames after which the camera stands."""
_PACE = 0.15
"""Share of a new frame in that mean."""
_MEAN_ERROR = float(np.sqrt(_PACE / (2 - _PACE)))
"""Standard error of that mean, in those of a frame."""
_FACE_MARGIN = 0.4
"""Of a face's box, around it: hair and ears move with it."""
_BODY_MARGIN = 1.0
"""Of the box's width, to either side below the face; the body is left out down to the edge of the picture."""

_IDENTITY: Float64 = scaling(1, 1)
_IDENTITY.flags.writeable = False


class Camera:
    """Follows the camera through one shot.

    While the camera stands, its motion is exactly none: what is measured then is noise, and would shake faces that are
    still. It stands until a frame moves by more than noise does, or several do so on average.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new shot: its first frame is the scene."""
        self._scene_from_frame = _IDENTITY
        self._last: Image | None = None
        self._hidden: list[Float64] = []
        self._moving = False
        self._rested = 0
        self._drift = np.zeros((4, 2))

    @property
    def scene_from_frame(self) -> Float64:
        """(2, 3) similarity from the last frame followed, in luma pixels, to the shot's first."""
        return self._scene_from_frame

    def follow(self, picture: Picture, boxes_xyxy: Sequence[Points]) -> Float64:
        """Take in the next undamaged frame.

        Args:
            picture: Of the size of the last.
            boxes_xyxy: (4,) each, the faces in it, whose points move by themselves.

        Returns:
            `scene_from_frame`.
        """
        copy, frame_from_copy = _copy_of(picture)
        copy_from_frame = invert(frame_from_copy)
        hidden = [hull_box(apply(copy_from_frame, corners(box))) for box in boxes_xyxy]
        if self._last is not None and self._last.shape == copy.shape:
            motion = self._steadied(_motion(self._last, copy, self._hidden), copy.shape)
            if motion is not _IDENTITY:
                last_from_this = compose(compose(frame_from_copy, invert(motion)), copy_from_frame)
                self._scene_from_frame = compose(self._scene_from_frame, last_from_this)
        self._last, self._hidden = copy, hidden
        return self._scene_from_frame

    def _steadied(self, motion: "_Motion | None", shape_hw: tuple[int, ...]) -> Float64:
        """The motion, or the identity itself while the camera stands."""
        if motion is None:
            return _IDENTITY
        edge = _corners_of(shape_hw)
        moves = apply(motion.this_from_last, edge) - edge
        extent = _longest(moves)
        starts = extent > max(_STARTS, _CERTAIN * motion.error)
        # A quick move speaks for itself, and would be remembered long after the camera has come to rest.
        self._drift = np.zeros((4, 2)) if starts else self._drift + _PACE * (moves - self._drift)
        if starts or _longest(self._drift) > max(_CREEPS, _CERTAIN * motion.error * _MEAN_ERROR):
            self._moving, self._rested = True, 0
        else:
            self._rested += 1 if extent < max(_RESTS, _UNCERTAIN * motion.error) else -self._rested
            self._moving = self._moving and self._rested < _REST_FRAMES
        return motion.this_from_last if self._moving else _IDENTITY


def _longest(moves: Float64) -> float:
    return float(np.linalg.norm(moves, axis=1).max())


def _copy_of(picture: Picture) -> tuple[Image, Float64]:
    """A small 8-bit copy of the picture's brightness (green, for RGB), and the (2, 3) `frame_from_copy`."""
    group = plane_groups(picture)[0]
    scale = min(1.0, _LONG_SIDE / max(picture.width, picture.height))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    resized = np.asarray(cv2.resize(picture.planes[0], size, interpolation=cv2.INTER_AREA), np.uint16)
    small = np.asarray(resized >> (picture.format.bits - 8), np.uint8)
    return small, compose(group.frame_from_plane, full_from_resized((picture.width, picture.height), size))


def _corners_of(shape_hw: tuple[int, ...]) -> Float64:
    return corners(np.array([0, 0, shape_hw[1] - 1, shape_hw[0] - 1]))


@dataclass(frozen=True, slots=True, eq=False)
class _Motion:
    """Of the background, from one copy to the next."""

    this_from_last: Float64
    """(2, 3) similarity."""
    error: float
    """Standard error of where it puts the copy's corners, in pixels: noise and grain shake what points are seen at."""


def _motion(last: Image, this: Image, hidden: Sequence[Float64]) -> _Motion | None:
    """Motion of the background from the last copy to this one; `None` where it does not tell.

    Corners of J. Shi and C. Tomasi, "Good features to track", CVPR 1994, followed by the pyramidal method of B. Lucas
    and T. Kanade, 1981 (J.-Y. Bouguet, 2001); the motion that most agree on by RANSAC.
    """
    found = cv2.goodFeaturesToTrack(last, _POINTS, 0.01, 7, mask=_background(last.shape, hidden))
    if found is None or len(found) < _LEAST:
        return None
    points = np.asarray(found, np.float32).reshape(-1, 2)
    guess = points.copy()
    moved, followed, _ = cv2.calcOpticalFlowPyrLK(last, this, points, guess, winSize=(15, 15), maxLevel=3)
    kept = np.asarray(followed).ravel() == 1
    if kept.sum() < _LEAST:
        return None
    cv2.setRNGSeed(0)
    motion, agreeing = cv2.estimateAffinePartial2D(
        points[kept], moved[kept], method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE, maxIters=500, confidence=0.99
    )
    if motion is None:
        return None
    agrees = agreeing.ravel() == 1
    inliers = points[kept][agrees]
    if len(inliers) < max(_LEAST, _SHARE * len(points)) or not _spreads(inliers, last.shape):
        return None
    this_from_last = np.asarray(motion, np.float64)
    missed = moved[kept][agrees] - apply(this_from_last, inliers)
    return _Motion(this_from_last, _standard_error(inliers, missed, _corners_of(last.shape)))


def _standard_error(points: Points, missed: Points, at: Float64) -> float:
    """Of a fitted similarity at some points, the largest, by the residuals of the points that it was fitted to."""
    middle = points.mean(axis=0)
    variance = float(np.square(missed).sum()) / (2 * len(points) - 4)  # a similarity has four parameters
    leverage = 1 / len(points) + np.square(at - middle).sum(axis=1) / np.square(points - middle).sum()
    return float(np.sqrt(2 * variance * leverage.max()))


def _background(shape_hw: tuple[int, ...], hidden: Sequence[Float64]) -> Image:
    """Where points may lie: not on faces, nor on the bodies below them."""
    mask = np.full(shape_hw[:2], 255, np.uint8)
    for left, top, right, bottom in hidden:
        width, height = right - left, bottom - top
        _clear(mask, left - _FACE_MARGIN * width, top - _FACE_MARGIN * height, right + _FACE_MARGIN * width, bottom)
        _clear(mask, left - _BODY_MARGIN * width, bottom, right + _BODY_MARGIN * width, float(shape_hw[0]))
    return mask


def _clear(mask: Image, left: float, top: float, right: float, bottom: float) -> None:
    sides = np.clip([left, right], 0, mask.shape[1]).astype(int), np.clip([top, bottom], 0, mask.shape[0]).astype(int)
    mask[slice(*sides[1]), slice(*sides[0])] = 0


def _spreads(points: NDArray[np.float32], shape_hw: tuple[int, ...]) -> bool:
    """Whether points lie in at least three quarters of the picture: a moving thing in a corner is no camera motion."""
    middle = np.array([shape_hw[1], shape_hw[0]]) / 2
    quarters = (points > middle) @ np.array([1, 2])
    return int((np.bincount(quarters.astype(int), minlength=4) >= 2).sum()) >= 3
