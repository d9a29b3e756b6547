"""What a run tells whoever watches it, before, during and after."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gpen_video.types import VideoInfo

if TYPE_CHECKING:
    from gpen_video.pipeline.verification import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run will do, known before a frame is decoded."""

    info: VideoInfo
    target: Path
    codec: str
    """FFmpeg's encoder name."""
    pix_fmt: str
    """FFmpeg's name of the format in which the result is encoded."""
    encoder_options: dict[str, str]
    carried: tuple[str, ...]
    """What comes along from the source, a line each."""
    lost: tuple[str, ...]
    """What the target container cannot hold, a line each, with the reason."""
    device: str
    precision: str
    restorer: str
    """Name of the restorer's weights."""
    detector: str
    parser: str | None = None
    """Name or file of the weights that see what is in front of a face."""
    embedder: str | None = None
    """Name or file of the weights that know persons apart."""
    frames_before: int = 0
    """That an earlier run has finished."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands."""

    frames: int
    """Frames written so far."""
    total_frames: int | None
    """As far as the header tells."""
    faces: int
    """Faces restored so far."""
    seconds: float
    """Since the first frame was asked for."""
    frames_before: int = 0
    """Those of the frames that an earlier run had written."""
    stage_seconds: dict[str, float]
    """Time each stage worked itself, not counting waiting for others, in the order of the pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did."""

    target: Path
    frames: int
    faces: int
    tracks: int
    shots: int
    seconds: float
    frames_before: int = 0
    """Those of the frames that an earlier run had finished."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    verification: "Verification | None" = None
    """What the comparison with the source came to, where it was asked for."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames between two cuts."""

    first_frame: int
    frame_count: int
    first_seconds: float


@dataclass(frozen=True, slots=True)
class Track:
    """One face over time."""

    track_id: int
    first_frame: int
    last_frame: int
    faces: int
    """Frames in which it is."""
    mean_face_size: float
    """Mean side of its box in frame pixels."""
    shot: int
    """In which it is, counted from 0."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is in a film: its streams, shots and faces."""

    info: VideoInfo
    frames: int
    shots: tuple[Shot, ...]
    tracks: tuple[Track, ...]
    files: tuple[Path, ...] = ()
    """Cue sheet and contact sheets, where they were asked for."""


class Observer(Protocol):
    """Is told how a run goes; called from the thread that started it."""

    def planned(self, plan: RunPlan) -> None:
        """Work is about to start."""

    def progressed(self, progress: Progress) -> None:
        """A frame was finished."""

    def warned(self, message: str) -> None:
        """Something is not as it should be, and the run goes on."""


class NoObserver:
    """Looks away."""

    def planned(self, plan: RunPlan) -> None:
        """Ignore it."""

    def progressed(self, progress: Progress) -> None:
        """Ignore it."""

    def warned(self, message: str) -> None:
        """Ignore it."""
