"""What a face looks like, to tell people apart: a small patch of its brightness, upright and of unit contrast."""

import numpy as np
from numpy.typing import NDArray

from gpen_video.faces.planes import plane_groups
from gpen_video.faces.resample import resample
from gpen_video.geometry import TEMPLATES, compose, invert, similarity
from gpen_video.types import Detection, Picture

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

SIDE = 20
"""Of a patch in pixels: enough for brows, beard and hairline, and for little of an expression."""

_MARGIN = 0.17
"""Of the aligned crop, on every side, that is background rather than face and hair."""
_FLAT = 0.01
"""Contrast, as a standard deviation against the format's range, below which a patch shows nothing."""
_PACE = 0.1
"""Share of a new patch in the average."""

_TEMPLATE_5XY = (TEMPLATES["gpen"] - _MARGIN) / (1 - 2 * _MARGIN) * SIDE


def appearance_of(picture: Picture, detection: Detection) -> Float32 | None:
    """(SIDE, SIDE) with mean 0 and mean square 1; `None` where nothing is to be seen."""
    group = plane_groups(picture)[0]
    patch_from_frame = similarity(detection.landmarks_5xy, _TEMPLATE_5XY)
    plane_from_patch = compose(invert(group.frame_from_plane), invert(patch_from_frame))
    patch = resample((picture.planes[group.indices[0]],), plane_from_patch, (SIDE, SIDE)).reshape(SIDE, SIDE)
    return _normalised(patch / np.float32(2**picture.format.bits - 1), _FLAT)


def likeness(one: Float32 | None, other: Float32 | None) -> float | None:
    """Normalised correlation of two patches, -1 to 1; `None` where one of them is not known."""
    return None if one is None or other is None else float((one * other).mean())


def averaged(known: Float32 | None, new: Float32 | None) -> Float32 | None:
    """The slow average of a track's patches with one more."""
    if known is None or new is None:
        return new if known is None else known
    return _normalised(known + _PACE * (new - known), 0.0)


def _normalised(patch: Float32, flat: float) -> Float32 | None:
    centred = patch - patch.mean()
    deviation = float(np.sqrt(np.square(centred).mean()))
    return None if deviation <= flat else np.asarray(centred / np.float32(deviation), np.float32)
