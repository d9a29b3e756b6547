"""What comes of measuring."""

from dataclasses import dataclass
from typing import Any

from gpen_video.measure.curve import Curve
from gpen_video.measure.figures import Figures


@dataclass(frozen=True, slots=True)
class MeasuredTrack:
    """One face of the source over time."""

    track_id: int
    first_frame: int
    last_frame: int
    faces: int
    """Frames in which it was measured."""
    figures: Figures


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The figures of a result."""

    frames: int
    tracks: tuple[MeasuredTrack, ...]
    overall: Figures
    """Means over the frames of all tracks, so that a long track counts for more."""
    curve: Curve
    """How they went over the film."""
    identity_by: str
    """What told faces apart."""

    def worst(self, name: str, *, more_is_worse: bool) -> MeasuredTrack | None:
        """The track with the worst value of a figure."""
        having = [(value, track) for track in self.tracks if (value := track.figures[name]) is not None]
        if not having:
            return None
        return (max if more_is_worse else min)(having, key=lambda pair: pair[0])[1]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "frames": self.frames,
            "identity_by": self.identity_by,
            "overall": dict(self.overall),
            "tracks": [_track_dict(track) for track in self.tracks],
        }


def _track_dict(track: MeasuredTrack) -> dict[str, Any]:
    return {
        "track_id": track.track_id,
        "first_frame": track.first_frame,
        "last_frame": track.last_frame,
        "faces": track.faces,
        "figures": dict(track.figures),
    }
