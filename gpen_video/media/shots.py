"""Cuts: where a new shot starts, and with it every temporal state begins anew."""

from collections.abc import Generator, Iterable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from gpen_video.colour import rgb_from_yuv
from gpen_video.config.schema import ShotSettings
from gpen_video.streams import closing_upstream
from gpen_video.types import Frame, Picture

SHOT_DELAY = 0
"""Frames that `mark_shots` holds back: a cut is told from the frame before it."""

_LONG_SIDE = 256  # of the small picture that is compared
_RATE = 25.0  # PySceneDetect wants one; only frames are counted here


def mark_shots(frames: Iterable[Frame], settings: ShotSettings) -> Generator[Frame, None, None]:
    """Set `starts_shot` on the first frame and on the first after each cut.

    PySceneDetect's `ContentDetector` compares each frame with the one before, as small pictures in hue, saturation and
    brightness. Whether it is a cut is known at once, so a flash counts as a cut where it begins; within
    `settings.min_length` frames of a cut no other one is made.

    Args:
        frames: In the order of presentation.
        settings: Threshold and shortest shot.

    Yields:
        The same frames, each as soon as it comes.

    Raises:
        InputError: The colour matrix is not supported.
    """
    # The shortest shot is seen to here: before PySceneDetect 0.7 its detector held frames back for it.
    detector = ContentDetector(threshold=settings.threshold, min_scene_len=0)
    since_cut: int | None = None
    with closing_upstream(frames):
        for frame in frames:
            starts = since_cut is None
            if settings.enabled:
                timecode = FrameTimecode(frame.index, _RATE)
                jumps = bool(detector.process_frame(timecode, _thumbnail(frame.picture)))
                starts = starts or (jumps and since_cut is not None and since_cut >= settings.min_length)
            since_cut = 1 if starts else (since_cut or 0) + 1
            yield replace(frame, starts_shot=starts)


def _thumbnail(picture: Picture) -> NDArray[np.uint8]:
    """A small picture: (h, w, 3), B'G'R', 0 to 255."""
    scale = min(1.0, _LONG_SIDE / max(picture.width, picture.height))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    colour_planes = picture.planes[: len(picture.planes) - picture.format.has_alpha]
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32) for plane in colour_planes]
    to_rgb = rgb_from_yuv(picture.colour, picture.format, picture.height)
    to_bgr = np.column_stack([to_rgb.matrix, to_rgb.offset])[::-1] * np.float32(255)
    return np.clip(np.rint(cv2.transform(np.dstack(small), to_bgr)), 0, 255).astype(np.uint8)
