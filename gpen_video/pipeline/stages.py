"""The adaptors that make stages of the plain objects in `faces`: each takes a stream and gives a stream.

See `design` in ARCHITECTURE.md for the stage contract: order kept, one frame in and one out, a stated delay, state in
the generator, nothing received is written to, models are handed in.
"""

from collections.abc import Generator, Iterable
from itertools import islice

import numpy as np

from gpen_video.faces import Aligner, Detector, detection_in_frame, upright_rgb
from gpen_video.streams import closing_upstream
from gpen_video.types import Detection, FaceCrop, Frame, FrameFaces, TrackedFace


def detect_faces(
    frames: Iterable[Frame],
    detector: Detector,
    *,
    long_side: int,
    min_face: float,
    batch: int,
    rotation: int = 0,
    pixel_aspect: float = 1.0,
) -> Generator[FrameFaces[Detection]]:
    """Find the faces of each frame on an upright, scaled-down copy; delay `batch` - 1 frames.

    Args:
        frames: of one size.
        detector: looks at the copies.
        long_side: of the copy, in pixels; a smaller frame is not enlarged.
        min_face: shorter side of a box, in frame pixels, below which a face is dropped.
        batch: frames looked at at once.
        rotation: clockwise degrees by which the frame is turned for display.
        pixel_aspect: width of a coded pixel over its height.
    """
    with closing_upstream(frames):
        source = iter(frames)
        while group := list(islice(source, batch)):
            thumbnails = [upright_rgb(frame, long_side, rotation, pixel_aspect) for frame in group]
            found = detector.detect(np.stack([rgb for rgb, _ in thumbnails]))
            for frame, (_, frame_from_thumbnail), detections in zip(group, thumbnails, found, strict=True):
                faces = (detection_in_frame(detection, frame_from_thumbnail) for detection in detections)
                yield FrameFaces(frame, tuple(face for face in faces if _short_side(face) >= min_face))


def crop_faces(stream: Iterable[FrameFaces[TrackedFace]], aligner: Aligner) -> Generator[FrameFaces[FaceCrop]]:
    """Cut every face out of its frame; no delay."""
    with closing_upstream(stream):
        for item in stream:
            yield item.with_faces(tuple(aligner.crop(item.frame, face) for face in item.faces))


def _short_side(detection: Detection) -> float:
    left, top, right, bottom = detection.box_xyxy
    return float(min(right - left, bottom - top))
