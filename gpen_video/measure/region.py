"""Where in a frame a face is measured: the reach of its mask, and the mask itself."""

from dataclasses import dataclass

import cv2
import numpy as np

from gpen_video.faces import Aligner
from gpen_video.faces.mask import face_mask
from gpen_video.faces.resample import Roi, roi_around
from gpen_video.geometry import apply, compose, corners, invert, scaling
from gpen_video.types import Float32, Float64, Picture, TrackedFace

MASK_SIDE = 256
"""Side of the crop in which the mask is drawn, in pixels; it is then brought to the frame."""
INSIDE = 0.5
"""Least value of the mask at which a pixel counts as the face."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One face in one frame."""

    roi: Roi
    """Its window in the frame."""
    alpha_hw: Float32
    """The mask within the window, 0 to 1, 0 outside of the crop."""

    @property
    def inside_hw(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """The pixels that count as the face."""
        return self.alpha_hw >= INSIDE


class Regions:
    """Finds the region of a face from its landmarks, by the geometry of pasting.

    This is the mask that the landmarks' ellipse gives. Where a restoration drew another (a parsed one, which leaves
    hair and hands out), its edge lies inside of this one's, within what counts as the face.
    """

    def __init__(self, template: str = "gpen", pixel_aspect: float = 1.0, feather: float = 0.12) -> None:
        """As the crop and the mask were made: see `Aligner` and `BlendSettings`."""
        self._aligner = Aligner(MASK_SIDE, template, pixel_aspect)
        self._feather = feather

    def of(self, face: TrackedFace, picture: Picture) -> Region | None:
        """The face's region; `None` where none of the mask lies in the picture."""
        crop_from_frame = self._aligner.crop_from_frame(face.landmarks_5xy)
        alpha = face_mask(apply(crop_from_frame, face.landmarks_5xy), MASK_SIDE, self._feather)
        return _placed(alpha, crop_from_frame, (picture.width, picture.height))


def _placed(alpha_ss: Float32, crop_from_frame: Float64, frame_wh: tuple[int, int]) -> Region | None:
    rows, columns = np.flatnonzero(alpha_ss.any(axis=1)), np.flatnonzero(alpha_ss.any(axis=0))
    box = np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float64)
    roi = roi_around(apply(invert(crop_from_frame), corners(box)), 1, frame_wh)
    if min(roi.size_wh) < 1:
        return None
    crop_from_window = compose(crop_from_frame, scaling(1, 1, roi.left, roi.top))
    alpha = cv2.warpAffine(alpha_ss, crop_from_window, roi.size_wh, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return Region(roi, np.asarray(alpha, np.float32))
