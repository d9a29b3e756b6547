"""A small, upright RGB picture of a frame for detection, and the way back to the frame."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import rgb_from_yuv
from gpen_video.faces.planes import plane_groups
from gpen_video.geometry import apply, compose, corners, full_from_resized, hull_box, invert, upright_from_coded
from gpen_video.types import Detection, Frame, Plane


def upright_rgb(
    frame: Frame, long_side: int, rotation: int = 0, pixel_aspect: float = 1.0
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Scale a frame down plane by plane, convert only the small picture, turn it upright.

    The siting of chroma, at most half a pixel before scaling down, is left out of account.

    Args:
        frame: Any format.
        long_side: The longer side is scaled down to this many pixels; a smaller frame keeps its size.
        rotation: Clockwise degrees by which the frame is turned for display (`VideoInfo.rotation`).
        pixel_aspect: Width of a coded pixel over its height; the picture has square pixels.

    Returns:
        (H, W, 3) uint8 RGB, and the (2, 3) matrix `frame_from_thumb` for `detection_in_frame`.
    """
    picture = frame.picture
    frame_wh = (picture.width, picture.height)
    square_wh = np.array([picture.width * pixel_aspect, picture.height])
    scale = min(1.0, long_side / square_wh.max())
    width, height = np.maximum(1, np.rint(square_wh * scale)).astype(int).tolist()

    groups = plane_groups(picture)
    indices = [index for group in groups for index in group.indices]
    samples = np.dstack([_scaled(picture.planes[index], (width, height)) for index in indices])
    to_rgb = rgb_from_yuv(picture.colour, picture.format, picture.height)
    to_8_bit = np.column_stack([to_rgb.matrix, to_rgb.offset]) * np.float32(255)
    rgb_hwc = np.clip(np.rint(cv2.transform(samples.astype(np.float32), to_8_bit)), 0, 255).astype(np.uint8)

    frame_from_scaled = compose(groups[0].frame_from_plane, full_from_resized(frame_wh, (width, height)))
    scaled_from_upright = invert(upright_from_coded((width, height), rotation))
    turned = np.ascontiguousarray(np.rot90(rgb_hwc, -rotation // 90))
    return turned, compose(frame_from_scaled, scaled_from_upright)


def detection_in_frame(detection: Detection, frame_from_thumb: NDArray[np.float64]) -> Detection:
    """A detection made on the picture of `upright_rgb`, in the frame's own pixels.

    The box is the axis-aligned hull of the mapped corners. The landmarks keep their order: left and right stay those
    of the upright face.
    """
    return Detection(
        hull_box(apply(frame_from_thumb, corners(detection.box_xyxy))).astype(np.float32),
        apply(frame_from_thumb, detection.landmarks_5xy).astype(np.float32),
        detection.score,
    )


def _scaled(plane: Plane, size_wh: tuple[int, int]) -> NDArray[Any]:
    if plane.shape == size_wh[::-1]:
        return plane
    shrinks = plane.shape[0] >= size_wh[1] and plane.shape[1] >= size_wh[0]
    return cv2.resize(plane, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
