"""From five landmarks to an upright, square crop, straight from the source's own planes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import rgb_from_yuv
from gpen_video.faces.curve import curve_of
from gpen_video.faces.planes import plane_groups
from gpen_video.faces.resample import resample
from gpen_video.geometry import TEMPLATES, apply, compose, invert, scaling, similarity
from gpen_video.types import FaceCrop, Frame, Picture, TrackedFace

Float64 = NDArray[np.float64]


class Aligner:
    """Cuts faces out of frames so that their landmarks lie on a template's.

    Outside the frame a crop is continued by the frame's edge samples: black, as in the published pipeline, is an edge
    that the network takes for hair or shadow and carries into the part of the face that is seen.
    """

    def __init__(self, size: int, template: str = "gpen", pixel_aspect: float = 1.0) -> None:
        """Choose the crop.

        Args:
            size: Side in pixels.
            template: Name in `TEMPLATES`.
            pixel_aspect: Width of a coded pixel over its height (sample aspect ratio); faces are cropped with square
                pixels, as the network knows them.

        Raises:
            ValueError: No such template, or a size or aspect that is not positive.
        """
        if template not in TEMPLATES:
            raise ValueError(f"no template {template!r}; there is {', '.join(TEMPLATES)}")
        if size < 1 or not pixel_aspect > 0:
            raise ValueError(f"size and pixel_aspect must be positive, got {size} and {pixel_aspect}")
        self._size = size
        self._template_5xy = TEMPLATES[template] * size
        self._square_from_frame = scaling(pixel_aspect, 1)

    def crop_from_frame(self, landmarks_5xy: Float64) -> Float64:
        """(2, 3), the best similarity from the frame's (squared) pixels to the crop's.

        Raises:
            ValueError: The landmarks are all one point.
        """
        square_5xy = apply(self._square_from_frame, landmarks_5xy)
        return compose(similarity(square_5xy, self._template_5xy), self._square_from_frame)

    def crop(self, frame: Frame, face: TrackedFace) -> FaceCrop:
        """Cut one face out, without aliasing where it is larger than the crop; HDR comes as SDR would have it."""
        frame_from_crop = invert(self.crop_from_frame(face.landmarks_5xy))
        samples = _crop_samples(frame.picture, frame_from_crop, self._size)
        picture = frame.picture
        to_rgb = rgb_from_yuv(picture.colour, picture.format, picture.height)
        rgb_hwc = np.asarray(cv2.transform(samples, np.column_stack([to_rgb.matrix, to_rgb.offset])), np.float32)
        curve = curve_of(picture.colour.transfer)
        return FaceCrop(face, rgb_hwc if curve is None else curve.shown_from_signal(rgb_hwc), frame_from_crop)


def _crop_samples(picture: Picture, frame_from_crop: Float64, size: int) -> NDArray[np.float32]:
    """(size, size, planes) samples, each plane warped on its own grid."""
    parts = [
        resample(
            tuple(picture.planes[index] for index in group.indices),
            compose(invert(group.frame_from_plane), frame_from_crop),
            (size, size),
        )
        for group in plane_groups(picture)
    ]
    return np.asarray(cv2.merge(parts), np.float32)
