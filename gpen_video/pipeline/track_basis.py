"""What the numbers of tracks hold for: the film, and the settings that decide which face gets which number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gpen_video.config import Settings
from gpen_video.media.fingerprint import fingerprint
from gpen_video.pipeline.basis import Value, changed_values, setting_values, shown_name
from gpen_video.report import tool_used
from gpen_video.types import VideoInfo
from gpen_video.weights import locate

_SECTIONS: Final = ("media", "shots", "detect", "track")
_BESIDE: Final = {"media.prefetch", "media.tolerant", "detect.batch"}
"""Settings of these sections that change no track: speed, and where a damaged film ends."""


@dataclass(frozen=True, slots=True)
class TrackBasis:
    """Known before a frame is decoded; where it is the same, tracks have the same numbers."""

    program: str
    """Name and version: another version may follow faces otherwise."""
    film: str
    """Its name, to be shown; a film may be renamed."""
    bytes: int
    """Of all its files."""
    sample_sha256: str
    """Of blocks of the film, from its start to its end."""
    settings: Mapping[str, Value]
    """By dotted key; ``"none"`` for what is not set."""

    def difference(self, now: "TrackBasis") -> str | None:
        """In words, how `now` differs; `None` where track numbers hold."""
        if (self.bytes, self.sample_sha256) != (now.bytes, now.sample_sha256):
            return f"made from another film ({self.film}, {self.bytes} bytes) than {now.film} ({now.bytes} bytes)"
        if self.program != now.program:
            return f"made by {self.program}, and this is {now.program}, which may follow faces otherwise"
        changes = changed_values(self.settings, now.settings)
        return f"made with {', '.join(changes)}" if changes else None


def track_basis(info: VideoInfo, settings: Settings, *, offline: bool = False) -> TrackBasis:
    """What the track numbers of a film hold for; reads a few parts of its files.

    Raises:
        InputError: The film cannot be read.
        WeightsError: The detector's weights are not there.
    """
    film = fingerprint(info.path)
    return TrackBasis(
        f"gpen-video {tool_used().version}",
        shown_name(info.path),
        film.size,
        film.sample_sha256,
        _deciding(settings, offline),
    )


def _deciding(settings: Settings, offline: bool) -> dict[str, Value]:
    """Every setting that decides tracks: all of some sections, so that a new one cannot be forgotten."""
    values = setting_values(settings, _SECTIONS, _BESIDE)
    weights = locate(settings.detect.weights, offline=offline)
    values["detect.weights"] = f"{weights.name} (sha256 {weights.sha256[:16]})"
    values["blend.fade"] = settings.blend.fade  # a face is followed for so long after it was seen
    return values
