"""Where in a film work begins: at its start, or where an earlier run got to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gpen_video.config import ShotSettings
from gpen_video.media import Mark, Place, shot_memory
from gpen_video.pipeline.film_log import Detections
from gpen_video.pipeline.notes import SegmentNotes

PROOF: Final = 4
"""Frames whose samples must be those of the first run before a seek is believed."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the tracking pass has to know of the frames before, to see what it would have seen from the film's start."""

    first: int = 0
    """The frame with which the next segment begins."""
    number: int = 0
    """Of that segment."""
    shot: int = 0
    """The frame with which its shot starts: all that is known of tracks has been seen from there on."""
    next_id: int = 0
    """Of the first track that begins there."""
    since: tuple[Place, ...] = ()
    """Where decoding begins; empty for the film's start."""
    marks: Mapping[int, Mark] = field(default_factory=dict)
    """Of the frames from there to `first`."""
    detections: Detections = field(default_factory=dict)
    """Of the frames from the shot's start to `first`."""


def start_behind(
    segments: Sequence[SegmentNotes], *, ends_at_cut: bool, settings: ShotSettings, pictures_per_frame: int = 1
) -> Start:
    """Where to go on behind finished segments.

    Args:
        segments: All from the film's first one on; at least one.
        ends_at_cut: Whether a shot starts behind the last of them.
        settings: With which shots are found.
        pictures_per_frame: 2 where the film is restored by fields.
    """
    first = segments[-1].trace.end
    shot = first if ends_at_cut else max(start for notes in segments for start in notes.trace.shot_starts)
    decoded = max(0, min(shot, first - shot_memory(settings)))
    seen = [notes for notes in segments if notes.trace.end > decoded]
    places = [place for notes in seen for place in notes.trace.places() if place.index >= decoded]
    marks = {frame: mark for notes in seen for frame, mark in notes.trace.marks().items() if frame >= decoded}
    found = {picture: faces for notes in seen for picture, faces in notes.trace.detections().items()}
    begun = [track for notes in segments for track, frame in notes.first_frames.items() if frame < shot]
    return Start(
        first=first,
        number=len(segments),
        shot=shot,
        next_id=max(begun, default=-1) + 1,
        since=tuple(places[:PROOF]) if decoded else (),
        marks=marks,
        detections={
            picture: found.get(picture, ()) for picture in range(shot * pictures_per_frame, first * pictures_per_frame)
        },
    )
