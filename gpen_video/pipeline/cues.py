"""The cue sheet: which tracks are restored, and how much over time."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpen_video.errors import UsageError
from gpen_video.pipeline.track_basis import TrackBasis
from gpen_video.pipeline.track_numbers import TrackNumbers, numbers_text

Keyframe = tuple[int, float]
"""Frame of the film, and strength 0 to 1."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is wanted of one track."""

    track: int
    strength: float = 1.0
    """0 to 1, over the whole track; 0 leaves it out."""
    keyframes: tuple[Keyframe, ...] = ()
    """Frames rising; straight lines between them, constant before the first and after the last. They multiply
    `strength`."""
    first_frame: int | None = None
    """Of the track, as the sheet has it."""

    @property
    def restores(self) -> bool:
        """Whether the face is restored in any frame."""
        return self.strength > 0 and (not self.keyframes or any(level > 0 for _, level in self.keyframes))

    def strength_at(self, frame: int) -> float:
        """0 to 1 at a frame of the film."""
        if not self.keyframes:
            return self.strength
        after = bisect_right(self.keyframes, frame, key=lambda keyframe: keyframe[0])
        if after in (0, len(self.keyframes)):
            return self.strength * self.keyframes[0 if after == 0 else -1][1]
        (left, low), (right, high) = self.keyframes[after - 1 : after + 1]
        return self.strength * (low + (high - low) * (frame - left) / (right - left))


@dataclass(frozen=True, slots=True)
class CueSheet:
    """All cues of a film; a track without one is not restored."""

    path: Path
    basis: TrackBasis
    """What its track numbers hold for."""
    frames: int
    """Of the film."""
    tracks: int
    """That the film has, by number from 0."""
    cues: Mapping[int, Cue] = field(default_factory=dict)
    """By track."""

    def require(self, basis: TrackBasis, film: Path) -> None:
        """Check that the sheet's numbers hold for a run.

        Args:
            basis: Of the run.
            film: Its source.

        Raises:
            UsageError: The film is another one, or a setting that decides tracks is.
        """
        if (difference := self.basis.difference(basis)) is not None:
            raise UsageError(
                f"{self.path} was {difference}: its track numbers do not hold here; inspect again with the settings of "
                f"this run: gpen-video inspect {film} --tracks DIR"
            )

    def require_tracks(self, numbers: TrackNumbers) -> None:
        """Check that the sheet has the tracks that were asked for by number.

        Raises:
            UsageError: One is not in it.
        """
        if not numbers.excluded and (missing := numbers.without(self.cues)):
            missed = numbers_text(missing)
            raise UsageError(f"--faces {numbers}: {self.path} has no track {missed}; add a row, or leave it out")
