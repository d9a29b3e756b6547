"""What the numbers of tracks hold for: the film, and the settings that decide which face gets which number."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gpen_video.config import Settings
from gpen_video.errors import InputError
from gpen_video.media.sequence import find_sequence
from gpen_video.report import tool_used
from gpen_video.types import VideoInfo
from gpen_video.weights import locate

Value = bool | int | float | str

_SECTIONS: Final = ("media", "shots", "detect", "track")
_BESIDE: Final = {"media.prefetch", "media.tolerant", "detect.batch"}
"""Settings of these sections that change no track: speed, and where a damaged film ends."""
_SAMPLE_BYTES: Final = 2**18
_PLACES: Final = 3


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
    """Of parts of the film: start, middle and end."""
    settings: Mapping[str, Value]
    """By dotted key; ``"none"`` for what is not set."""

    def difference(self, now: "TrackBasis") -> str | None:
        """In words, how `now` differs; `None` where track numbers hold."""
        if (self.bytes, self.sample_sha256) != (now.bytes, now.sample_sha256):
            return f"made from another film ({self.film}, {self.bytes} bytes) than {now.film} ({now.bytes} bytes)"
        if self.program != now.program:
            return f"made by {self.program}, and this is {now.program}, which may follow faces otherwise"
        keys = dict.fromkeys((*self.settings, *now.settings))
        changes = [
            f"{key} = {self.settings.get(key, 'none')} (now {now.settings.get(key, 'none')})"
            for key in keys
            if self.settings.get(key, "none") != now.settings.get(key, "none")
        ]
        return f"made with {', '.join(changes)}" if changes else None


def track_basis(info: VideoInfo, settings: Settings, *, offline: bool = False) -> TrackBasis:
    """What the track numbers of a film hold for; reads a few parts of its files.

    Raises:
        InputError: The film cannot be read.
        WeightsError: The detector's weights are not there.
    """
    bytes_, digest = _sampled(info.path)
    return TrackBasis(
        f"gpen-video {tool_used().version}", _shown(info.path), bytes_, digest, _deciding(settings, offline)
    )


def _deciding(settings: Settings, offline: bool) -> dict[str, Value]:
    """Every setting that decides tracks: all of some sections, so that a new one cannot be forgotten."""
    values: dict[str, Value] = {}
    for section in _SECTIONS:
        for name, value in getattr(settings, section).model_dump().items():
            if (key := f"{section}.{name}") not in _BESIDE:
                values[key] = "none" if value is None else value
    weights = locate(settings.detect.weights, offline=offline)
    values["detect.weights"] = f"{weights.name} (sha256 {weights.sha256[:16]})"
    values["blend.fade"] = settings.blend.fade  # a face is followed for so long after it was seen
    return values


def _shown(path: Path) -> str:
    """The name, with broken bytes written out."""
    return path.name.encode("utf-8", "backslashreplace").decode()


def _sampled(path: Path) -> tuple[int, str]:
    """Size and hash."""
    images = find_sequence(path)
    try:
        files = [path] if images is None else list(images.files())
        sizes = [file.stat().st_size for file in files]
        digest = hashlib.sha256("".join(f"{size}\n" for size in sizes).encode())
        for file in dict.fromkeys(files[place * (len(files) - 1) // (_PLACES - 1)] for place in range(_PLACES)):
            for part in _parts(file):
                digest.update(part)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return sum(sizes), digest.hexdigest()


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        spare = max(path.stat().st_size - _SAMPLE_BYTES, 0)
        for place in range(_PLACES):
            file.seek(place * spare // (_PLACES - 1))
            yield file.read(_SAMPLE_BYTES)
