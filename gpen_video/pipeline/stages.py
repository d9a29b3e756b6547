"""The adaptors that make stages of the plain objects in `faces`: each takes a stream and gives a stream.

See `design` in ARCHITECTURE.md for the stage contract: order kept, one frame in and one out, a stated delay, state in
the generator, nothing received is written to, models are handed in.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import islice
from typing import overload

import numpy as np

from gpen_video.faces import Aligner, Detector, detection_in_frame, follow_faces, upright_rgb
from gpen_video.faces.layer import LayeredFrame
from gpen_video.media.fields import Field, weave_fields
from gpen_video.streams import closing_upstream
from gpen_video.types import ColourSpec, Detection, FaceCrop, Frame, FrameFaces, OnSkip, TrackedFace


def detect_delay(batch: int, every: int = 1) -> int:
    """Frames that `detect_faces` holds back."""
    return batch * every - 1


def detect_faces(
    frames: Iterable[Frame],
    detector: Detector,
    *,
    long_side: int,
    min_face: float,
    batch: int,
    every: int = 1,
    rotation: int = 0,
    pixel_aspect: float = 1.0,
    on_skip: OnSkip | None = None,
    known: Mapping[int, tuple[Detection, ...]] | None = None,
) -> Generator[FrameFaces[Detection]]:
    """Find the faces of each frame on an upright, scaled-down copy; see `detect_delay`.

    With `every` above 1 the detector looks at the first frame of a shot and at every n-th from there; on the frames
    between, its faces are carried on by optical flow, from frame to frame (`Detection.followed`), and where one gets
    lost there it is not given. A damaged frame has no faces: nothing is followed through it, and the detector's turn
    is put off to the next good frame.

    Args:
        frames: of one size.
        detector: looks at the copies.
        long_side: of the copy, in pixels; a smaller frame is not enlarged.
        min_face: shorter side of a box, in frame pixels, below which a face is dropped.
        batch: frames looked at at once.
        every: of how many frames one is looked at.
        rotation: clockwise degrees by which the frame is turned for display.
        pixel_aspect: width of a coded pixel over its height.
        on_skip: is told of faces that are dropped, with their shorter side.
        known: what was found before, by index of the frame, where a film is gone on with; these are not looked at.
    """
    known = known or {}
    turns = _Turns(every)
    last: FrameFaces[Detection] | None = None  # the last good frame
    with closing_upstream(frames):
        source = iter(frames)
        while group := list(islice(source, batch * every)):
            looked_at = [frame for frame in group if turns.come(frame) and frame.index not in known]
            # Shots that start off the beat may bring more than a batch.
            parts = [looked_at[start : start + batch] for start in range(0, len(looked_at), batch)]
            found = [faces for part in parts for faces in _found(part, detector, long_side, rotation, pixel_aspect)]
            by_index = {frame.index: faces for frame, faces in zip(looked_at, found, strict=True)}
            for frame in group:
                if frame.starts_shot:
                    last = None
                if frame.damaged:
                    yield FrameFaces(frame)
                    continue
                faces = known.get(frame.index, by_index.get(frame.index))
                if faces is None and last is not None:
                    faces = follow_faces(last.frame, frame, last.faces)
                last = FrameFaces(frame, _large_enough(frame.index, faces or (), min_face, on_skip))
                yield last


class _Turns:
    """Whose turn it is to be looked at."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._place = 0
        self._due = True

    def come(self, frame: Frame) -> bool:
        """Whether this frame, the next one, is to be looked at."""
        self._place = 0 if frame.starts_shot else self._place
        self._due |= self._place % self._every == 0
        self._place += 1
        looks = self._due and not frame.damaged
        self._due &= frame.damaged
        return looks


def _found(
    frames: Sequence[Frame], detector: Detector, long_side: int, rotation: int, pixel_aspect: float
) -> list[tuple[Detection, ...]]:
    """What the detector finds in each frame, in the frame's pixels."""
    thumbnails = [upright_rgb(frame, long_side, rotation, pixel_aspect) for frame in frames]
    found = detector.detect(np.stack([rgb for rgb, _ in thumbnails]))
    return [
        tuple(detection_in_frame(detection, frame_from_thumbnail) for detection in detections)
        for detections, (_, frame_from_thumbnail) in zip(found, thumbnails, strict=True)
    ]


def _large_enough(
    index: int, faces: tuple[Detection, ...], min_face: float, on_skip: OnSkip | None
) -> tuple[Detection, ...]:
    for face in faces:
        if on_skip is not None and (side := _short_side(face)) < min_face:
            on_skip(index, "too small", side)
    return tuple(face for face in faces if _short_side(face) >= min_face)


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
