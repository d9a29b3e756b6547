"""Which faces are restored, and how much: by number, or by a cue sheet."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gpen_video.config import Settings
from gpen_video.pipeline.cue_files import read_cue_sheet
from gpen_video.pipeline.cues import CueSheet
from gpen_video.pipeline.track_basis import track_basis
from gpen_video.pipeline.track_numbers import TrackNumbers, numbers_text
from gpen_video.streams import closing_upstream
from gpen_video.types import FaceCrop, Frame, FrameFaces, TrackedFace, VideoInfo

OnLeft = Callable[[int, int], None]
"""Is told which face is left out: frame of the film, and track."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants of which track; everything where neither is given, both where both are."""

    numbers: TrackNumbers | None = None
    sheet: CueSheet | None = None

    def wants(self, track: int) -> bool:
        """Whether the face is restored in any frame."""
        if self.numbers is not None and track not in self.numbers:
            return False
        if self.sheet is None:
            return True
        cue = self.sheet.cues.get(track)
        return cue is not None and cue.restores

    def strength(self, track: int, frame: int) -> float:
        """0 to 1, how much of its restoration is wanted at a frame of the film."""
        if not self.wants(track):
            return 0.0
        return self.sheet.cues[track].strength_at(frame) if self.sheet is not None else 1.0

    def warnings(self, first_frames: Mapping[int, int]) -> Iterator[str]:
        """What was asked for and did not come, when the film is over; a line each.

        Args:
            first_frames: Of every track that came, as `choose_faces` notes it.
        """
        if self.numbers is not None and (missing := self.numbers.without(first_frames)):
            yield f"--faces {self.numbers}: there was no track {numbers_text(missing)} in this film"
        if self.sheet is None:
            return
        wanted = TrackNumbers.of(track for track in self.sheet.cues if self.wants(track))
        if missing := wanted.without(first_frames):
            yield f"{self.sheet.path}: there was no track {numbers_text(missing)} in this film"
        moved = [
            track
            for track in sorted(first_frames)
            if self.wants(track) and self.sheet.cues[track].first_frame not in (None, first_frames[track])
        ]
        if moved:
            yield (
                f"{self.sheet.path}: track {numbers_text(TrackNumbers.of(moved).ranges)} began at another frame than "
                "the sheet says: its rows may be mixed up"
            )


def plan_choice(
    numbers: TrackNumbers | None, cues: Path | None, info: VideoInfo, settings: Settings, *, offline: bool = False
) -> Choice | None:
    """Read and check what was chosen; `None` where every face is restored. Decodes nothing.

    Raises:
        ConfigError: The cue sheet cannot be read, or something in it is wrong.
        UsageError: It was made from another film or with other settings, or has no track that is asked for by number.
    """
    if numbers is None and cues is None:
        return None
    sheet = None
    if cues is not None:
        sheet = read_cue_sheet(cues)
        sheet.require(track_basis(info, settings, offline=offline), info.path)
        if numbers is not None:
            sheet.require_tracks(numbers)
    return Choice(numbers, sheet)


def film_frame(frame: Frame) -> int:
    """Index of the film's frame that a frame is, or whose field it is: two fields make a frame."""
    return frame.index if frame.picture.field is None else frame.index // 2


def choose_faces(
    stream: Iterable[FrameFaces[TrackedFace]],
    choice: Choice,
    first_frames: dict[int, int] | None = None,
    on_left: OnLeft | None = None,
) -> Generator[FrameFaces[TrackedFace]]:
    """Drop the faces that are not wanted, before anything is computed of them; no delay.

    Args:
        stream: Tracked faces frame by frame.
        choice: What is wanted.
        first_frames: Is told in which frame of the film each track begins, wanted or not; one number a track.
        on_left: Is told of every face that is dropped.
    """
    with closing_upstream(stream):
        for item in stream:
            index = film_frame(item.frame)
            for face in item.faces:
                if first_frames is not None:
                    first_frames.setdefault(face.track_id, index)
                if on_left is not None and not choice.wants(face.track_id):
                    on_left(index, face.track_id)
            yield item.with_faces(tuple(face for face in item.faces if choice.wants(face.track_id)))


def directed(stream: Iterable[FrameFaces[FaceCrop]], choice: Choice) -> Generator[FrameFaces[FaceCrop]]:
    """Multiply each crop's strength by what is chosen for its track at its frame; no delay.

    Args:
        stream: Crops frame by frame.
        choice: What is wanted, frames counted as `film_frame` does.
    """
    with closing_upstream(stream):
        for item in stream:
            index = film_frame(item.frame)
            yield item.with_faces(tuple(_directed(crop, choice, index) for crop in item.faces))


def _directed(crop: FaceCrop, choice: Choice, frame: int) -> FaceCrop:
    strength = choice.strength(crop.face.track_id, frame)
    return crop if strength == 1 else replace(crop, strength=crop.strength * strength)
