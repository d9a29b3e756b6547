"""What flows through the pipeline: frozen dataclasses, numpy only.

Each type contains the one before it, so that nothing is kept in parallel lists:
`Detection` in `TrackedFace` in `FaceCrop` in `RestoredFace` in `MaskedFace`; a `Frame` and its faces travel as one
`FrameFaces[F]`.

Arrays carry their layout in the name: `rgb_hwc`, `alpha_hw`, `box_xyxy`, `landmarks_5xy`. Points are (x, y) in pixels
with the *centre* of the top-left sample at (0, 0). A matrix is named by what it does: `frame_from_crop_2x3` maps a
point of the crop to a point of the frame. Frame coordinates are those of the coded picture, before any display
rotation. No stage writes into what it was handed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Plane = NDArray[np.uint8] | NDArray[np.uint16]

F = TypeVar("F")
G = TypeVar("G")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_array(name: str, array: NDArray[Any], shape: tuple[int | None, ...], *dtypes: type[np.generic]) -> None:
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    _require(fits, f"{name}: expected shape {shape}, got {array.shape}")
    _require(array.dtype.type in dtypes, f"{name}: expected {[d.__name__ for d in dtypes]}, got {array.dtype}")


@dataclass(frozen=True, slots=True, order=False)
class Timestamp:
    """A presentation time as the container states it: `pts` ticks of `time_base` seconds."""

    pts: int
    time_base: Fraction

    @property
    def seconds(self) -> Fraction:
        """Exact time in seconds; for display only."""
        return self.pts * self.time_base


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A planar pixel format, by FFmpeg's name and by its parts.

    Plane order: Y, Cb, Cr (yuv), G, B, R (rgb, as in FFmpeg's gbrp), Y (gray); alpha last where there is one.
    """

    name: str
    """FFmpeg's name, for example ``yuv420p10le``."""
    family: Literal["yuv", "rgb", "gray"]
    bits: int
    """Significant bits of a sample, 8 to 16; above 8 the samples are uint16, right-aligned."""
    log2_chroma_w: int = 0
    """Binary logarithm of the horizontal chroma subsampling: 1 for 4:2:0 and 4:2:2."""
    log2_chroma_h: int = 0
    """Binary logarithm of the vertical chroma subsampling: 1 for 4:2:0."""
    has_alpha: bool = False


@dataclass(frozen=True, slots=True)
class ColourSpec:
    """How samples stand for colour, in FFmpeg's names; `None` where the source does not say.

    `gpen_video.colour` decides what an unstated value means (matrix by picture height, range limited for YUV).
    """

    matrix: str | None = None
    """``bt709``, ``smpte170m``, ``bt470bg``, ``smpte240m``, ``bt2020nc``, ``gbr`` …"""
    full_range: bool | None = None
    primaries: str | None = None
    transfer: str | None = None
    chroma_location: str | None = None
    """``left``, ``center``, ``topleft`` …"""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture in the source's own planes."""

    planes: tuple[Plane, ...]
    """One (H, W) array a plane, uint8 or uint16; chroma planes are ceil(W / 2**log2_chroma_w) wide, and so on."""
    format: PixelFormat
    colour: ColourSpec
    field: Literal["top", "bottom"] | None = None
    """Which field of an interlaced frame this is, with every other line of it; `None` for a whole frame."""

    def __post_init__(self) -> None:
        want = np.uint8 if self.format.bits == 8 else np.uint16
        for index, plane in enumerate(self.planes):
            _require_array(f"plane {index} of {self.format.name}", plane, (None, None), want)

    @property
    def width(self) -> int:
        """Width in luma samples."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Height in luma samples."""
        return int(self.planes[0].shape[0])

    def __repr__(self) -> str:
        return f"Picture({self.width}x{self.height} {self.format.name})"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of the film and when it is shown."""

    index: int
    """Counts decoded frames in presentation order, from 0."""
    time: Timestamp
    picture: Picture
    duration: int | None = None
    """In ticks of `time.time_base`, where the source states it."""
    starts_shot: bool = False
    """True for the first frame and for the first frame after a cut."""
    damaged: bool = False
    """True for a flash, a torn or a white frame: unlike both neighbours, which look alike. It teaches nothing."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of the source, as listed before work starts."""

    index: int
    kind: Literal["video", "audio", "subtitle", "data", "attachment"]
    codec: str
    """FFmpeg's codec name; ``unknown`` where FFmpeg has no name for it."""
    language: str | None = None
    title: str | None = None
    detail: str = ""
    """For display: ``2 channels, 48000 Hz``, ``640x480`` …"""


class FilmBytes(Protocol):
    """An open film, as its bytes."""

    def read(self, size: int, /) -> bytes:
        """At most so many, from where it stands; none at its end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there, as `io.IOBase.seek` does."""

    def tell(self) -> int:
        """Where it stands."""

    def close(self) -> None:
        """Be done with it."""


class FilmReader(Protocol):
    """Reads a film that lies on no disk of this machine; can be pickled."""

    def open(self) -> FilmBytes:
        """The film from its first byte on.

        Raises:
            GpenVideoError: It cannot be reached; reading may raise it too.
        """


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of the source before a frame is decoded."""

    path: Path
    container: str
    """FFmpeg's demuxer name, for example ``mov,mp4,m4a,3gp,3g2,mj2``."""
    stream_index: int
    """Index, among all streams, of the video stream that is restored."""
    codec: str
    width: int
    height: int
    format: PixelFormat
    """The planar format in which frames arrive (see `media.decode`)."""
    source_format_name: str
    """FFmpeg's name of the format as coded; differs from `format.name` for packed formats."""
    colour: ColourSpec
    time_base: Fraction
    average_frame_rate: Fraction | None
    start_pts: int | None
    duration_from_header: Fraction | None
    """In seconds; `None` where the header does not say."""
    frame_count_from_header: int | None
    rotation: int
    """Clockwise degrees by which the coded picture is turned for display: 0, 90, 180 or 270."""
    sample_aspect_ratio: Fraction | None
    streams: tuple[StreamInfo, ...]
    chapter_count: int
    first_field: Literal["top", "bottom"] | None = None
    """The field that the first picture is flagged to show first; `None` for a progressive one. Whether that is true,
    `media.fields` finds out."""
    reader: FilmReader | None = None
    """Reads the film where it lies on no disk of this machine, and `path` only names it."""

    @property
    def expected_frames(self) -> int | None:
        """By the header's count, else by its duration and rate; the film may have others."""
        if self.frame_count_from_header:
            return self.frame_count_from_header
        if self.duration_from_header is None or self.average_frame_rate is None:
            return None
        return round(self.duration_from_header * self.average_frame_rate)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face as the detector sees it in one frame."""

    box_xyxy: Float32
    """(4,) left, top, right, bottom in frame pixels."""
    landmarks_5xy: Float32
    """(5, 2): left eye, right eye, nose, left and right mouth corner as seen in the upright face, frame pixels."""
    score: float
    """Confidence, 0 to 1."""
    followed: bool = False
    """True where optical flow brought it here from an earlier frame, and no detector looked."""

    def __post_init__(self) -> None:
        _require_array("box_xyxy", self.box_xyxy, (4,), np.float32)
        _require_array("landmarks_5xy", self.landmarks_5xy, (5, 2), np.float32)


OnSkip = Callable[[int, str, float], None]
"""Is told which face is left out: index of its frame, why in few words, and what was measured."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face that has an identity over time, with steadied landmarks."""

    track_id: int
    """Unique within one run, from 0."""
    landmarks_5xy: Float64
    """(5, 2), filtered and smoothed, frame pixels."""
    detection: Detection | None
    """The detection behind it; `None` where the track is predicted, not seen."""

    def __post_init__(self) -> None:
        _require_array("landmarks_5xy", self.landmarks_5xy, (5, 2), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """An upright, square crop of a face."""

    face: TrackedFace
    rgb_hwc: Float32
    """(S, S, 3), R'G'B' with nominal range 0 to 1."""
    frame_from_crop_2x3: Float64
    """(2, 3) similarity: frame point = matrix @ (x, y, 1) of the crop."""
    strength: float = 1.0
    """How much of its restoration is wanted, 0 to 1; a face of strength 0 need not be restored."""

    def __post_init__(self) -> None:
        _require_array("rgb_hwc", self.rgb_hwc, (None, None, 3), np.float32)
        _require_array("frame_from_crop_2x3", self.frame_from_crop_2x3, (2, 3), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class RestoredFace:
    """A crop and what the network made of it."""

    crop: FaceCrop
    rgb_hwc: Float32
    """(S, S, 3), same size and range as the crop's."""
    likeness: float | None = None
    """How far it still is the face of the source, 0 to 1; `None` where that was not measured."""
    strength: float = 1.0
    """What the identity guard leaves of it, 0 to 1."""

    def __post_init__(self) -> None:
        _require_array("rgb_hwc", self.rgb_hwc, (*self.crop.rgb_hwc.shape[:2], 3), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class MaskedFace:
    """A restored face and how much of it goes into the frame, where."""

    restored: RestoredFace
    alpha_hw: Float32
    """(S, S), 0 (source) to 1 (restored); 0 on the border of the crop."""

    def __post_init__(self) -> None:
        _require_array("alpha_hw", self.alpha_hw, self.restored.rgb_hwc.shape[:2], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FrameFaces(Generic[F]):
    """The one carrier between stages: a frame and its faces, at whatever stage they are."""

    frame: Frame
    faces: tuple[F, ...] = ()

    def with_faces(self, faces: tuple[G, ...]) -> "FrameFaces[G]":
        """The same frame with the next stage's faces."""
        return FrameFaces(self.frame, faces)

    def with_picture(self, picture: Picture) -> Frame:
        """The frame, at its own time, with another picture."""
        return replace(self.frame, picture=picture)
