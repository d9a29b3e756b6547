"""What is in a film: its shots and faces, found without restoring anything."""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gpen_video.config import Settings
from gpen_video.media import probe
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.models import load_models
from gpen_video.pipeline.observe import Inspection, NoObserver, Observer, Shot, Track
from gpen_video.pipeline.reading import Reading
from gpen_video.types import FrameFaces, TrackedFace


def inspect_video(
    source: str | Path, settings: Settings | None = None, *, offline: bool = False, observer: Observer | None = None
) -> Inspection:
    """Find the shots and faces of a film.

    Raises:
        GpenVideoError: see `gpen_video.errors`.
    """
    settings, observer = settings or Settings(), observer or NoObserver()
    info = probe(Path(source), settings.media.frame_rate)
    models = load_models(settings, offline=offline)
    notes = _Notes({}, {})
    with ExitStack() as owned:
        film = Film(Reading(info, info), settings, models, owned)
        for item in film.tracked():
            notes.take(item)
            film.counts.frames += 1
            film.tell(observer)
    shots = tuple(Shot(first, note.frames, note.seconds) for first, note in sorted(notes.shots.items()))
    tracks = tuple(note.track(track_id) for track_id, note in sorted(notes.tracks.items()))
    return Inspection(info, film.counts.frames, shots, tracks)


@dataclass(slots=True)
class _ShotNote:
    seconds: float
    frames: int = 0


@dataclass(slots=True)
class _TrackNote:
    first: int
    last: int = 0
    faces: int = 0
    seen: int = 0
    sides: float = 0.0

    def take(self, index: int, face: TrackedFace) -> None:
        self.last = index
        self.faces += 1
        if face.detection is not None:
            left, top, right, bottom = face.detection.box_xyxy.tolist()
            self.seen += 1
            self.sides += math.sqrt(max(right - left, 0) * max(bottom - top, 0))

    def track(self, track_id: int) -> Track:
        return Track(track_id, self.first, self.last, self.faces, self.sides / max(self.seen, 1))


@dataclass(slots=True)
class _Notes:
    shots: dict[int, _ShotNote]
    """By first frame."""
    tracks: dict[int, _TrackNote]

    def take(self, item: FrameFaces[TrackedFace]) -> None:
        frame = item.frame
        if frame.starts_shot:
            self.shots[frame.index] = _ShotNote(float(frame.time.seconds))
        self.shots[max(self.shots)].frames += 1
        for face in item.faces:
            self.tracks.setdefault(face.track_id, _TrackNote(frame.index)).take(frame.index, face)
