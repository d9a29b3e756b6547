"""Where a mask reaches: the part of a plane that pasting may change, and the same in the picture's luma pixels."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from gpen_video.faces.planes import PlaneGroup, plane_groups
from gpen_video.faces.resample import Roi, roi_around
from gpen_video.geometry import apply, compose, corners, invert
from gpen_video.types import MaskedFace, Picture

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def support_roi(alpha_hw: Float32, plane_from_crop_2x3: Float64, plane_wh: tuple[int, int]) -> Roi | None:
    """The pixels of a plane that a mask in crop space reaches; `None` where it reaches none."""
    support = _support(alpha_hw)
    if support is None:
        return None
    roi = roi_around(apply(plane_from_crop_2x3, corners(support)), 1, plane_wh)
    return roi if min(roi.size_wh) > 0 else None


def support_region(face: MaskedFace, picture: Picture) -> Roi | None:
    """The luma pixels around all samples, of any plane, that pasting a face may change; `None` where there are none.

    A subsampled plane's sample counts as the luma pixels that it stands for, so that the region's own part of a plane
    is had by dividing, outward, by the subsampling.
    """
    rois = [roi for group in plane_groups(picture) if (roi := _in_luma(face, picture, group)) is not None]
    return reduce(Roi.union, rois) if rois else None


def plane_from_crop(face: MaskedFace, group: PlaneGroup) -> Float64:
    """(2, 3): from the crop's pixels to those of a group of planes."""
    return compose(invert(group.frame_from_plane), face.restored.crop.frame_from_crop_2x3)


def _in_luma(face: MaskedFace, picture: Picture, group: PlaneGroup) -> Roi | None:
    height, width = picture.planes[group.indices[0]].shape
    roi = support_roi(face.alpha_hw, plane_from_crop(face, group), (width, height))
    if roi is None:
        return None
    is_luma = 0 in group.indices
    across = 1 if is_luma else 2**picture.format.log2_chroma_w
    down = 1 if is_luma else 2**picture.format.log2_chroma_h
    return Roi(
        roi.left * across,
        roi.top * down,
        min(roi.right * across, picture.width),
        min(roi.bottom * down, picture.height),
    )


def _support(alpha_hw: Float32) -> Float64 | None:
    """(4,) box around the mask's non-zero pixels and one more, beyond which interpolation gives 0."""
    rows, columns = np.flatnonzero(alpha_hw.any(axis=1)), np.flatnonzero(alpha_hw.any(axis=0))
    if not len(rows):
        return None
    return np.array([columns[0] - 1, rows[0] - 1, columns[-1] + 1, rows[-1] + 1], np.float64)
