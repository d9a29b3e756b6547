"""Carries detected faces on to later frames by optical flow on their landmarks, so that a detector need not look.

Points around each landmark are followed with the pyramidal method of Lucas and Kanade (J.-Y. Bouguet, 2001) and back;
those that miss themselves are left out (Z. Kalal et al., "Forward-backward error: automatic detection of tracking
failures", ICPR 2010). A face is looked at in a patch that grows with it, so that nothing depends on its size.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.geometry import apply, compose, corners, full_from_resized, hull_box, invert, scaling, similarity
from gpen_video.types import Detection, Float32, Float64, Frame

_PATCH = 224  # pixels a side
_REACH = 2.5  # side of the patch in sides of the face's box: a move of three quarters of a face stays inside
_SPREAD = 0.12  # from a landmark to the points around it, in eye distances
_WINDOW = (17, 17)  # pixels of the patch; an eye distance is about 40
_LEVELS = 4
_FORWARD_BACKWARD = 0.05  # eye distances by which a good point may miss itself
_RESIDUAL = 0.15  # eye distances from the common similarity beyond which a point has gone astray
_LEAST_VALID = 0.5  # of all points
_LEAST_LIKENESS = 0.5  # correlation of the face before and after, below which something came in between
_CERTAINTY = 0.2  # eye distances of error at which the score falls to 1 / e


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """Where in both frames a face is looked for."""

    box: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels of the frame, all inside."""
    frame_from_patch: Float64


def follow_faces(before: Frame, after: Frame, faces: tuple[Detection, ...]) -> tuple[Detection, ...]:
    """The faces of one frame as they are in another, near it in time; those that get lost are left out.

    The landmarks go each with the points around it, the box with the similarity that all points have in common. The
    score falls by exp(-error / 0.2), the error being how far, in eye distances, the points miss themselves and the
    common motion, and by the part of the points that got lost.

    Args:
        before: Has the faces.
        after: Of the same size and format.
        faces: In pixels of `before`.

    Returns:
        In their order, `followed`.
    """
    moved = (_follow(before, after, face) for face in faces)
    return tuple(face for face in moved if face is not None)


def _follow(before: Frame, after: Frame, face: Detection) -> Detection | None:
    patch = _patch_around(face, before)
    if patch is None:
        return None
    to_patch = invert(patch.frame_from_patch)
    landmarks = apply(to_patch, face.landmarks_5xy)
    unit = float(np.linalg.norm(np.ptp(landmarks, axis=0))) / 1.5  # the distance of the eyes, were it no profile
    if unit < 2:
        return None
    old, new = _cut_out(before, patch), _cut_out(after, patch)
    starts = landmarks[:, None] + _ring() * _SPREAD * unit
    ends, misses = _tracked(old, new, starts.reshape(-1, 2))
    fits = misses < _FORWARD_BACKWARD * unit
    if fits.mean() < _LEAST_VALID:
        return None
    motion = similarity(starts.reshape(-1, 2)[fits], ends[fits])
    strays = np.linalg.norm(apply(motion, starts.reshape(-1, 2)) - ends, axis=1) > _RESIDUAL * unit
    fits &= ~strays
    if fits.mean() < _LEAST_VALID:
        return None
    motion = similarity(starts.reshape(-1, 2)[fits], ends[fits])
    if _likeness(old, new, motion, apply(to_patch, corners(face.box_xyxy))) < _LEAST_LIKENESS:
        return None
    moved = _moved_landmarks(landmarks, starts, ends.reshape(starts.shape), fits.reshape(5, -1), motion)
    bent = np.linalg.norm(apply(motion, starts.reshape(-1, 2)[fits]) - ends[fits], axis=1)
    error = float(np.median(misses[fits]) + np.median(bent)) / unit
    certainty = float(np.exp(-error / _CERTAINTY) * fits.mean())
    in_frame = compose(patch.frame_from_patch, compose(motion, to_patch))
    return _in_frame(face, apply(patch.frame_from_patch, moved), in_frame, face.score * certainty, after)


def _in_frame(
    face: Detection, landmarks_5xy: Float64, after_from_before: Float64, score: float, after: Frame
) -> Detection | None:
    """The followed face; `None` where its middle has left the picture."""
    left, top, right, bottom = np.asarray(face.box_xyxy, np.float64)
    sides = np.array([right - left, bottom - top]) * np.sqrt(abs(np.linalg.det(after_from_before[:, :2])))
    middle = apply(after_from_before, np.array([[(left + right) / 2, (top + bottom) / 2]]))[0]
    if not (0 <= middle[0] < after.picture.width and 0 <= middle[1] < after.picture.height):
        return None
    box = np.concatenate([middle - sides / 2, middle + sides / 2])
    return Detection(box.astype(np.float32), landmarks_5xy.astype(np.float32), score, followed=True)


def _moved_landmarks(
    landmarks: Float64, starts: Float64, ends: Float64, fits: NDArray[np.bool_], motion: Float64
) -> Float64:
    """(5, 2): each with the median of its own points, so that a mouth may open; with the face where those got lost."""
    moved = apply(motion, landmarks)
    for index, own in enumerate(fits):
        if own.mean() >= _LEAST_VALID:
            beyond = ends[index][own] - apply(motion, starts[index][own])
            moved[index] += np.median(beyond, axis=0)
    return moved


def _tracked(old: NDArray[np.uint8], new: NDArray[np.uint8], starts_nxy: Float64) -> tuple[Float64, Float64]:
    """Where points go, (N, 2), and by how many pixels each misses itself on the way back, (N,); lost ones: infinity."""
    starts = starts_nxy.astype(np.float32)
    ends, found = _flow(old, new, starts)
    back, returned = _flow(new, old, ends)
    misses = np.linalg.norm(back.astype(np.float64) - starts_nxy, axis=1)
    return ends.astype(np.float64), np.where(found & returned, misses, np.inf)


def _flow(old: NDArray[np.uint8], new: NDArray[np.uint8], points_nxy: Float32) -> tuple[Float32, NDArray[np.bool_]]:
    """Where points go, (N, 2), and whether each was found, (N,)."""
    ends, found, _ = cv2.calcOpticalFlowPyrLK(
        old, new, points_nxy, np.empty_like(points_nxy), winSize=_WINDOW, maxLevel=_LEVELS
    )
    return np.asarray(ends, np.float32), np.asarray(found).ravel() == 1


def _likeness(old: NDArray[np.uint8], new: NDArray[np.uint8], motion: Float64, box_4xy: Float64) -> float:
    """Correlation of the face in the old patch with what is now where it went; exposure does not count."""
    fetched = cv2.warpAffine(
        new, motion, old.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    left, top, right, bottom = np.rint(hull_box(box_4xy)).astype(int)
    window = slice(max(0, top), bottom + 1), slice(max(0, left), right + 1)
    a, b = (image[window].astype(np.float64) for image in (old, fetched))
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt(np.square(a).sum() * np.square(b).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def _patch_around(face: Detection, frame: Frame) -> _Patch | None:
    left, top, right, bottom = np.asarray(face.box_xyxy, np.float64)
    reach = _REACH / 2 * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    x0, y0 = max(0, round(x - reach)), max(0, round(y - reach))
    x1, y1 = min(frame.picture.width, round(x + reach)), min(frame.picture.height, round(y + reach))
    if min(x1 - x0, y1 - y0) < 8:
        return None
    scale = _PATCH / (2 * reach)
    size = max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale))
    return _Patch((x0, y0, x1, y1), compose(scaling(1, 1, x0, y0), full_from_resized((x1 - x0, y1 - y0), size)))


def _cut_out(frame: Frame, patch: _Patch) -> NDArray[np.uint8]:
    """Brightness (of R'G'B' pictures: green) in the patch, 8 bit."""
    x0, y0, x1, y1 = patch.box
    samples = frame.picture.planes[0][y0:y1, x0:x1]
    factor = 1 / patch.frame_from_patch[0, 0]
    size = round((x1 - x0) * factor), round((y1 - y0) / patch.frame_from_patch[1, 1])
    resized = cv2.resize(samples, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    return np.asarray(np.right_shift(resized, frame.picture.format.bits - 8, dtype=samples.dtype), np.uint8)


def _ring() -> Float64:
    """(9, 2) the points around a landmark, and the landmark itself."""
    return np.array([(x, y) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)])
