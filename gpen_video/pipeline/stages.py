"""The adaptors that make stages of the plain objects in `faces`: each takes a stream and gives a stream.

See `design` in ARCHITECTURE.md for the stage contract: order kept, one frame in and one out, a stated delay, state in
the generator, nothing received is written to, models are handed in.
"""

from collections.abc import Generator, Iterable
from itertools import islice
from typing import overload

import numpy as np

from gpen_video.faces import Aligner, Detector, detection_in_frame, upright_rgb
from gpen_video.faces.layer import LayeredFrame
from gpen_video.media.fields import Field, weave_fields
from gpen_video.streams import closing_upstream
from gpen_video.types import ColourSpec, Detection, FaceCrop, Frame, FrameFaces, OnSkip, TrackedFace


def detect_faces(
    frames: Iterable[Frame],
    detector: Detector,
    *,
    long_side: int,
    min_face: float,
    batch: int,
    rotation: int = 0,
    pixel_aspect: float = 1.0,
    on_skip: OnSkip | None = None,
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
        on_skip: is told of faces that are dropped, with their shorter side.
    """
    with closing_upstream(frames):
        source = iter(frames)
        while group := list(islice(source, batch)):
            thumbnails = [upright_rgb(frame, long_side, rotation, pixel_aspect) for frame in group]
            found = detector.detect(np.stack([rgb for rgb, _ in thumbnails]))
            for frame, (_, frame_from_thumbnail), detections in zip(group, thumbnails, found, strict=True):
                faces = [detection_in_frame(detection, frame_from_thumbnail) for detection in detections]
                if on_skip is not None:
                    for face in faces:
                        if (side := _short_side(face)) < min_face:
                            on_skip(frame.index, "too small", side)
                yield FrameFaces(frame, tuple(face for face in faces if _short_side(face) >= min_face))


def crop_faces(stream: Iterable[FrameFaces[TrackedFace]], aligner: Aligner) -> Generator[FrameFaces[FaceCrop]]:
    """Cut every face out of its frame; no delay."""
    with closing_upstream(stream):
        for item in stream:
            yield item.with_faces(tuple(aligner.crop(item.frame, face) for face in item.faces))


def weave_layers(stream: Iterable[LayeredFrame], first: Field, colour: ColourSpec) -> Generator[LayeredFrame]:
    """Make frames of fields again, with their mattes and layers; it holds back one field.

    Args:
        stream: pairs, the field that is shown first before the other.
        first: the field that is shown first.
        colour: what the source says of its colours.
    """
    with closing_upstream(stream):
        fields = iter(stream)
        for one in fields:
            other = next(fields, None)
            if other is None:
                raise ValueError(f"field {one.frame.index} is not followed by the other one of its frame")
            yield LayeredFrame(
                _woven(one.frame, other.frame, first, colour),
                _woven(one.matte, other.matte, first),
                _woven(one.layer, other.layer, first),
            )


@overload
def _woven(one: Frame, other: Frame, first: Field, colour: ColourSpec | None = None) -> Frame: ...


@overload
def _woven(one: Frame | None, other: Frame | None, first: Field, colour: ColourSpec | None = None) -> Frame | None: ...


def _woven(one: Frame | None, other: Frame | None, first: Field, colour: ColourSpec | None = None) -> Frame | None:
    if one is None or other is None:
        return None
    return next(weave_fields((one, other), first, colour or one.picture.colour))


def _short_side(detection: Detection) -> float:
    left, top, right, bottom = detection.box_xyxy
    return float(min(right - left, bottom - top))
