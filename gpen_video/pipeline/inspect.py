"""What is in a film: its shots and faces, found without restoring anything."""

import math
import re
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from gpen_video.config import Settings
from gpen_video.errors import OutputError
from gpen_video.media import probe
from gpen_video.pipeline.choose import film_frame
from gpen_video.pipeline.contact_sheet import SheetTitle, write_contact_sheets
from gpen_video.pipeline.cue_files import CuesFormat, cue_sheet_text
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.models import load_models
from gpen_video.pipeline.observe import Inspection, NoObserver, Observer, Shot, Track
from gpen_video.pipeline.portraits import Portraits
from gpen_video.pipeline.reading import Reading, plan_reading
from gpen_video.pipeline.staged_folder import staged_folder
from gpen_video.pipeline.track_basis import TrackBasis, track_basis
from gpen_video.types import FrameFaces, TrackedFace

_OURS = re.compile(r"cues\.(csv|toml)|contact-sheet(_\d+)?\.png|track_\d+\.png", re.ASCII)
"""Names of the files that an inspection writes."""


def inspect_video(
    source: str | Path,
    settings: Settings | None = None,
    *,
    tracks: str | Path | None = None,
    cues_format: CuesFormat = "csv",
    overwrite: bool = False,
    offline: bool = False,
    observer: Observer | None = None,
) -> Inspection:
    """Find the shots and faces of a film, as a run with these settings finds them: its tracks have the same numbers.

    Args:
        source: Any film that FFmpeg decodes, or an image sequence.
        settings: `Settings()` when left out.
        tracks: A folder for a cue sheet, a contact sheet and a picture of each track; it appears when all is whole.
        cues_format: Of the cue sheet.
        overwrite: Replace the folder, if it holds nothing but what an earlier inspection wrote.
        offline: Use only weights that are here.
        observer: Is told how it goes.

    Raises:
        GpenVideoError: see `gpen_video.errors`.
    """
    settings, observer = settings or Settings(), observer or NoObserver()
    with ExitStack() as owned:
        folder = None
        if tracks is not None:
            folder = owned.enter_context(staged_folder(Path(tracks), _is_ours, overwrite=overwrite))
        info = probe(Path(source), settings.media.frame_rate)
        basis = track_basis(info, settings, offline=offline) if folder else None
        reading = plan_reading(info, settings.media)
        portraits = None
        if folder is not None:
            portraits = Portraits(folder, rotation=info.rotation, pixel_aspect=reading.pixel_aspect)
        inspection = _inspected(reading, settings, portraits, observer, offline=offline)
        if folder is None or basis is None:
            return inspection
        names = _written(folder, basis, inspection, cues_format)
    return replace(inspection, files=tuple(Path(tracks or "") / name for name in names))


def _is_ours(name: str) -> bool:
    return _OURS.fullmatch(name) is not None


def _inspected(
    reading: Reading, settings: Settings, portraits: Portraits | None, observer: Observer, *, offline: bool
) -> Inspection:
    models = load_models(settings, offline=offline)
    for warning in reading.warnings:
        observer.warned(warning)
    notes = _Notes()
    with ExitStack() as owned:
        film = Film(reading, settings, models, owned)
        for item in film.tracked():
            notes.take(item)
            if portraits is not None:
                portraits.take(item)
            film.counts.frames = notes.frames
            film.tell(observer)
    if portraits is not None:
        portraits.finish()
    return notes.inspection(reading)


def _written(folder: Path, basis: TrackBasis, inspection: Inspection, cues_format: CuesFormat) -> tuple[str, ...]:
    """Write the cue sheet and the contact sheets; their names."""
    cues = f"cues.{cues_format}"
    text = cue_sheet_text(cues_format, basis, inspection.frames, inspection.tracks)
    try:
        (folder / cues).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written to: {error.strerror}") from error
    title = SheetTitle(_printable(basis.film), _summary(inspection))
    return (cues, *write_contact_sheets(folder, title, inspection.tracks))


def _summary(inspection: Inspection) -> str:
    counts = {"frame": inspection.frames, "shot": len(inspection.shots), "track": len(inspection.tracks)}
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())


def _printable(name: str) -> str:
    """One line, whatever the film is called."""
    return "".join(character if character.isprintable() else " " for character in name)


@dataclass(slots=True)
class _ShotNote:
    first: int
    seconds: float
    frames: int = 0


@dataclass(slots=True)
class _TrackNote:
    shot: int
    first: int
    last: int = -1
    faces: int = 0
    seen: int = 0
    sides: float = 0.0

    def take(self, frame: int, face: TrackedFace, line_distance: int) -> None:
        self.faces += frame != self.last  # a frame may hold it in both its fields
        self.last = frame
        if face.detection is not None:
            left, top, right, bottom = face.detection.box_xyxy.tolist()
            self.seen += 1
            self.sides += math.sqrt(max(right - left, 0) * max(bottom - top, 0) * line_distance)

    def track(self, track_id: int) -> Track:
        return Track(track_id, self.first, self.last, self.faces, self.sides / max(self.seen, 1), self.shot)


@dataclass(slots=True)
class _Notes:
    """Of frames and of fields alike, in frames of the film."""

    frames: int = 0
    shots: list[_ShotNote] = field(default_factory=list)
    tracks: dict[int, _TrackNote] = field(default_factory=dict)

    def take(self, item: FrameFaces[TrackedFace]) -> None:
        frame, index = item.frame, film_frame(item.frame)
        if frame.starts_shot:
            self.shots.append(_ShotNote(index, float(frame.time.seconds)))
        if index == self.frames:
            self.frames += 1
            self.shots[-1].frames += 1
        line_distance = 1 if frame.picture.field is None else 2
        for face in item.faces:
            note = self.tracks.setdefault(face.track_id, _TrackNote(len(self.shots) - 1, index))
            note.take(index, face, line_distance)

    def inspection(self, reading: Reading) -> Inspection:
        shots = tuple(Shot(note.first, note.frames, note.seconds) for note in self.shots)
        tracks = tuple(note.track(track_id) for track_id, note in sorted(self.tracks.items()))
        return Inspection(reading.info, self.frames, shots, tracks)
