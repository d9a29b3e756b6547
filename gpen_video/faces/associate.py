"""Which detection is which face: assignments of least cost by place, landmarks and looks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gpen_video.faces.appearance import likeness
from gpen_video.geometry import iou_matrix

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_NO_MATCH = 1e6
"""Cost of a pair that may not be matched: above any sum of costs of pairs that may."""

_LOOKS = 1.0
"""Cost of looks that have nothing in common, against an overlap of 0 or landmarks off by the face's size."""
_REACH = 2.0
"""Face sizes that a face may be away from where it was expected, if there is no rival."""
_REACH_GROWS = 0.5
"""Face sizes that this gains with each frame it was not seen."""
_FARTHEST = 4.0
_RESEMBLES = 0.6
"""Least likeness of a face far from where it was expected."""
_CLEARLY = 0.25
"""Cost by which a match far away must be better than any other of the same face or detection."""
_GROWS = 1.5
"""Factor between the sizes of a face and of a detection far away."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A face seen, or expected: (14,) coordinates (landmarks, then box), its size, and what is known of its looks."""

    coordinates: Float64
    size: float
    looks: Float32 | None
    unseen: int = 0
    """Of an expected face: frames since it was last seen."""

    @property
    def box_xyxy(self) -> Float64:
        """(4,)."""
        return self.coordinates[10:]


def match_near(
    expected: Sequence[Sight],
    faces: Collection[int],
    seen: Sequence[Sight],
    found: Collection[int],
    least_overlap: float,
) -> dict[int, int]:
    """Pairs whose boxes overlap, of least total cost (H. W. Kuhn, "The Hungarian method", 1955).

    Args:
        expected: All faces.
        faces: Which of them are to be matched.
        seen: All detections.
        found: Which of them are to be matched.
        least_overlap: Intersection over union.

    Returns:
        Detections by face.
    """
    if not faces or not found:
        return {}
    costs, overlap = _costs(expected, list(faces), seen, list(found))
    return _assigned(np.where(overlap >= least_overlap, costs, _NO_MATCH), list(faces), list(found))


def match_far(
    expected: Sequence[Sight], faces: Collection[int], seen: Sequence[Sight], found: Collection[int]
) -> dict[int, int]:
    """Pairs that do not overlap, of a face that moved by more than its width: near enough, alike, and without a rival.

    Where looks are not known, only a face that was seen in the frame before can be found again. Arguments and result
    are those of `match_near`.
    """
    if not faces or not found:
        return {}
    rows, columns = list(faces), list(found)
    costs = np.full((len(rows), len(columns)), _NO_MATCH)
    for r, face in enumerate(rows):
        for c, detection in enumerate(columns):
            costs[r, c] = _far_cost(expected[face], seen[detection])
    pairs = _assigned(costs, rows, columns)
    return {face: d for face, d in pairs.items() if _is_clear(costs, rows.index(face), columns.index(d))}


def _costs(
    expected: Sequence[Sight], rows: Sequence[int], seen: Sequence[Sight], columns: Sequence[int]
) -> tuple[Float64, Float64]:
    """(R, C) costs, and intersections over unions."""
    a, b = (np.stack([sights[i].coordinates for i in which]) for sights, which in ((expected, rows), (seen, columns)))
    overlap = iou_matrix(a[:, 10:], b[:, 10:])
    shifts = (a[:, None, :10] - b[None, :, :10]).reshape(len(a), len(b), 5, 2)
    distance = np.linalg.norm(shifts, axis=-1).mean(axis=-1) / np.array([[expected[i].size] for i in rows])
    looks = np.array([[_unlikeness(expected[i], seen[j]) for j in columns] for i in rows])
    return 1 - overlap + distance + looks, overlap


def _unlikeness(face: Sight, detection: Sight) -> float:
    alike = likeness(face.looks, detection.looks)
    return 0.0 if alike is None else _LOOKS * (1 - alike)


def _far_cost(face: Sight, detection: Sight) -> float:
    distance = float(np.linalg.norm(_middle(face) - _middle(detection))) / face.size
    reach = min(_REACH + _REACH_GROWS * face.unseen, _FARTHEST)
    alike = likeness(face.looks, detection.looks)
    known = face.unseen == 0 if alike is None else alike >= _RESEMBLES
    fits = 1 / _GROWS <= detection.size / face.size <= _GROWS
    return distance / reach + _unlikeness(face, detection) if known and fits and distance <= reach else _NO_MATCH


def _middle(sight: Sight) -> Float64:
    middle: Float64 = sight.box_xyxy.reshape(2, 2).mean(axis=0)
    return middle


def _assigned(costs: Float64, rows: Sequence[int], columns: Sequence[int]) -> dict[int, int]:
    pairs = zip(*linear_sum_assignment(costs), strict=True)
    return {rows[r]: columns[c] for r, c in pairs if costs[r, c] < _NO_MATCH}


def _is_clear(costs: Float64, row: int, column: int) -> bool:
    others = np.concatenate([np.delete(costs[row], column), np.delete(costs[:, column], row)])
    return bool((others >= costs[row, column] + _CLEARLY).all())
