"""Which face found anew is which of the source's tracks."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from gpen_video.types import Detection, TrackedFace

_FARTHEST = 0.5
"""Mean distance of landmarks, in lengths from the eyes' middle to the mouth's, above which they are not one face."""


def match(faces: Sequence[TrackedFace], found: Sequence[Detection]) -> dict[int, Detection]:
    """Detections by track: the assignment of least total distance of the landmarks (H. W. Kuhn, 1955).

    Args:
        faces: Of the source.
        found: In the same frame of another film.
    """
    if not faces or not found:
        return {}
    tracked = np.stack([face.landmarks_5xy for face in faces])
    seen = np.stack([detection.landmarks_5xy for detection in found]).astype(np.float64)
    apart = np.linalg.norm(tracked[:, None] - seen[None], axis=3).mean(axis=2)
    heights = np.linalg.norm(tracked[:, 3:].mean(axis=1) - tracked[:, :2].mean(axis=1), axis=1)
    cost = apart / np.maximum(heights, 1.0)[:, None]
    rows, columns = linear_sum_assignment(np.minimum(cost, 10 * _FARTHEST))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {faces[row].track_id: found[column] for row, column in pairs if cost[row, column] <= _FARTHEST}
