"""The best picture of each track, gathered as the film passes."""

import math
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import LUMA_BT601
from gpen_video.errors import OutputError
from gpen_video.faces import Aligner
from gpen_video.geometry import TEMPLATES, apply, compose, corners, hull_box, invert, scaling, upright_from_coded
from gpen_video.types import Detection, FaceCrop, Frame, FrameFaces, TrackedFace

Float64 = NDArray[np.float64]
Rgb = NDArray[np.uint8]

SIDE = 384
"""Of a picture, in pixels."""

_AROUND = 2.2
"""Side of the picture's square, as a multiple of the box's longer side: head, hair and collar."""
_RAISED = 0.06
"""By this part of its side the square's middle lies above the box's, which ends at the hairline."""
_LARGE = SIDE / _AROUND
"""A face of this size fills its picture without enlarging; a larger one is no better."""
_SHARPNESS_SIDE = 96
"""Sharpness is that of so small a copy, on which grain and coding noise are averaged out."""
_SHARP = 0.25
"""Root mean square of the slope, in standard deviations of brightness a pixel, that counts for half sharp."""
_BETTER = 1.01
"""A picture must be better by so much to replace one: of equals, the first is taken."""
_LUMA = np.array([LUMA_BT601], np.float32)
_TEMPLATE = "gpen"


def portrait_name(track: int) -> str:
    """Of a track's picture: ``track_0003.png``."""
    return f"track_{track:04d}.png"


class Portraits:
    """One picture a track, in a folder; at most `kept` of them are in memory, the others on disk."""

    def __init__(self, folder: Path, *, rotation: int = 0, pixel_aspect: float = 1.0, kept: int = 32) -> None:
        """Gather pictures.

        Args:
            folder: Is there, and empty.
            rotation: Clockwise degrees by which the film is turned for display.
            pixel_aspect: Width over height of a sample of its frames, or of its fields.
            kept: Pictures in memory, 0.4 MB each.
        """
        self._folder = folder
        self._rotation = rotation
        self._pixel_aspect = pixel_aspect
        self._kept = kept
        self._aligner = Aligner(SIDE, _TEMPLATE, pixel_aspect)
        self._best: dict[int, float] = {}
        self._pictures: OrderedDict[int, Rgb] = OrderedDict()

    def take(self, item: FrameFaces[TrackedFace]) -> None:
        """Look at the faces of the next frame.

        Raises:
            OutputError: A picture cannot be written.
        """
        if item.frame.damaged:
            return
        for face in item.faces:
            if face.detection is not None:
                self._look(item.frame, face, face.detection)

    def finish(self) -> None:
        """Write what is still in memory.

        Raises:
            OutputError: A picture cannot be written.
        """
        while self._pictures:
            self._spill()

    def _look(self, frame: Frame, face: TrackedFace, detection: Detection) -> None:
        upright = _Upright(frame, self._rotation, self._pixel_aspect)
        merit = upright.merit(detection)
        needed = self._best.get(face.track_id, -1.0) * _BETTER
        if merit <= needed:  # sharpness only lowers it
            return
        crop = self._aligner.crop(frame, upright.placed(face.track_id, detection))
        merit *= sharpness(crop)
        if merit > needed:
            self._keep(face.track_id, merit, crop)

    def _keep(self, track: int, merit: float, crop: FaceCrop) -> None:
        self._best[track] = merit
        self._pictures[track] = np.clip(np.rint(crop.rgb_hwc * 255), 0, 255).astype(np.uint8)
        self._pictures.move_to_end(track)
        if len(self._pictures) > self._kept:
            self._spill()

    def _spill(self) -> None:
        """Write the picture that has been the best for the longest time; a better one will replace the file."""
        track, rgb = self._pictures.popitem(last=False)
        write_png(self._folder / portrait_name(track), rgb)


class _Upright:
    """A frame as it is shown: turned, with square pixels."""

    def __init__(self, frame: Frame, rotation: int, pixel_aspect: float) -> None:
        coded_wh = (frame.picture.width, frame.picture.height)
        turned = upright_from_coded(coded_wh, rotation)
        sideways = rotation in (90, 270)
        squared = scaling(1, pixel_aspect) if sideways else scaling(pixel_aspect, 1)
        self._shown_from_frame = compose(squared, turned)
        outline = corners(np.array([-0.5, -0.5, coded_wh[0] - 0.5, coded_wh[1] - 0.5]))
        self._bounds_xyxy = hull_box(apply(self._shown_from_frame, outline))

    def placed(self, track: int, detection: Detection) -> TrackedFace:
        """A face with landmarks for which an `Aligner` cuts the upright square around the detection."""
        left, top, side = self._square(detection)
        # Edges of picture and square coincide: half a pixel outside the outer centres.
        scale = side / SIDE
        shown_from_picture = scaling(scale, scale, left + scale / 2, top + scale / 2)
        frame_from_picture = compose(invert(self._shown_from_frame), shown_from_picture)
        return TrackedFace(track, apply(frame_from_picture, TEMPLATES[_TEMPLATE] * SIDE), None)

    def merit(self, detection: Detection) -> float:
        """How good a picture would be if it were sharp, 0 to 1: sure, large, frontal and well inside the frame."""
        left, top, right, bottom = self._box(detection)
        size = float(np.sqrt((right - left) * (bottom - top)))
        large = min(1.0, size / _LARGE) ** 0.5
        followed = 0.5 if detection.followed else 1.0
        return float(detection.score * large * frontality(detection) * self._inside(detection) * followed)

    def _inside(self, detection: Detection) -> float:
        """1 in the middle of the frame, a little less towards its edge, and much less where the head is cut off."""
        left, top, side = self._wanted(detection)
        low, high = self._bounds_xyxy[:2], self._bounds_xyxy[2:]
        corner = np.array([left, top])
        seen = np.clip(np.minimum(corner + side, high) - np.maximum(corner, low), 0, None).prod() / side**2
        off = np.abs((corner + side / 2 - low) / (high - low) - 0.5).max() * 2
        return float(seen**2 * (1 - 0.2 * min(1.0, off)))

    def _square(self, detection: Detection) -> tuple[float, float, float]:
        """Left, top and side of what is shown, moved into the frame."""
        left, top, side = self._wanted(detection)
        low_x, low_y, high_x, high_y = self._bounds_xyxy.tolist()
        side = min(side, high_x - low_x, high_y - low_y)
        centre_x, centre_y = self._centre(detection)
        left = min(max(centre_x - side / 2, low_x), high_x - side)
        top = min(max(centre_y - side / 2, low_y), high_y - side)
        return left, top, side

    def _wanted(self, detection: Detection) -> tuple[float, float, float]:
        box_left, box_top, box_right, box_bottom = self._box(detection)
        side = _AROUND * max(box_right - box_left, box_bottom - box_top)
        centre_x, centre_y = self._centre(detection)
        return centre_x - side / 2, centre_y - side / 2, side

    def _centre(self, detection: Detection) -> tuple[float, float]:
        left, top, right, bottom = self._box(detection)
        return (left + right) / 2, (top + bottom) / 2 - _RAISED * _AROUND * max(right - left, bottom - top)

    def _box(self, detection: Detection) -> list[float]:
        box: list[float] = hull_box(apply(self._shown_from_frame, corners(detection.box_xyxy))).tolist()
        return box


def frontality(detection: Detection) -> float:
    """1 where the nose is in the middle between the eyes, 0 in profile."""
    left_eye, right_eye, nose = detection.landmarks_5xy[:3].astype(np.float64)
    axis = right_eye - left_eye
    place = float(np.dot(nose - left_eye, axis) / max(np.dot(axis, axis), 1e-9))
    return max(0.0, 1 - 2 * abs(place - 0.5))


def sharpness(crop: FaceCrop) -> float:
    """0 to 1, how steep the edges are in the middle of a picture, for its contrast.

    The energy of the gradient (Tenengrad) over the variance: a blurred edge is as high, but less steep.
    """
    small = cv2.resize(crop.rgb_hwc, (_SHARPNESS_SIDE, _SHARPNESS_SIDE), interpolation=cv2.INTER_AREA)
    quarter = _SHARPNESS_SIDE // 4
    luma = cv2.transform(small, _LUMA)[quarter:-quarter, quarter:-quarter]
    energy = sum(float(np.square(slope).mean()) for slope in np.gradient(luma))
    steep = math.sqrt(energy) / max(float(luma.std()), 1e-3)
    return steep / (steep + _SHARP)


def write_png(path: Path, rgb: Rgb) -> None:
    """Write one picture.

    Raises:
        OutputError: It cannot be written.
    """
    _, data = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be written to: {error.strerror}") from error
