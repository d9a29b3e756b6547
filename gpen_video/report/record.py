"""The treatment record as data; `docs/treatment-record.md` says it in words, `treatment.schema.json` for programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from gpen_video.config import ResolvedSettings

Float32 = NDArray[np.float32]

SCHEMA: Final = "gpen-video/treatment/1"
"""What a record's ``schema`` says; the number rises with every change that an older reader would not understand."""

_CONFIG: Final = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

Index = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Role = Literal["restore", "detect", "parse", "recognise"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Column(IntEnum):
    """Places in a row of `TrackRecord.faces`, all numbers; pixels are those of the coded frame's luma."""

    FRAME = 0
    BOX_LEFT = 1
    BOX_TOP = 2
    BOX_RIGHT = 3
    BOX_BOTTOM = 4
    LEFT_EYE_X = 5
    LEFT_EYE_Y = 6
    RIGHT_EYE_X = 7
    RIGHT_EYE_Y = 8
    NOSE_X = 9
    NOSE_Y = 10
    LEFT_MOUTH_X = 11
    LEFT_MOUTH_Y = 12
    RIGHT_MOUTH_X = 13
    RIGHT_MOUTH_Y = 14
    MASK_MAX = 15
    STRENGTH = 16
    LIKENESS = 17
    REGION_LEFT = 18
    REGION_TOP = 19
    REGION_RIGHT = 20
    REGION_BOTTOM = 21
    MEAN_CHANGE = 22
    LARGEST_CHANGE = 23


FACE_COLUMNS: Final = tuple(column.name.lower() for column in Column)
BOX: Final = slice(Column.BOX_LEFT, Column.BOX_BOTTOM + 1)
LANDMARKS: Final = slice(Column.LEFT_EYE_X, Column.RIGHT_MOUTH_Y + 1)
REGION: Final = slice(Column.REGION_LEFT, Column.REGION_BOTTOM + 1)
WHOLE_NUMBERS: Final = frozenset((Column.FRAME, *list(Column)[REGION], Column.LARGEST_CHANGE))
MAY_BE_NULL: Final = frozenset((*list(Column)[BOX], Column.LIKENESS, *list(Column)[REGION]))
IN_PIXELS: Final = frozenset((*list(Column)[BOX], *list(Column)[LANDMARKS]))


@dataclass(frozen=True, slots=True)
class Tool:
    """The program that treated the film, and what it ran on."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: Literal["gpen-video"]
    version: str
    python: str
    platform: str
    libraries: dict[str, str]
    """Name and version of everything that decides what the samples become."""
    device: str | None = None
    """What the networks ran on: ``cpu``, ``cuda:0`` …"""
    precision: str | None = None


@dataclass(frozen=True, slots=True)
class FilmFile:
    """A film as it lay on disk."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    path: str
    bytes: Count
    sha256: Sha256
    """Of the file; of a folder's files, the hash of the lines that ``sha256sum *`` prints in it."""
    frames: Count


@dataclass(frozen=True, slots=True)
class EncoderUsed:
    """How the pictures of the result were encoded."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    codec: str
    """FFmpeg's name of the encoder."""
    pix_fmt: str
    """FFmpeg's name of the pixel format."""
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, and who set it."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: str
    """``section.key``."""
    value: bool | int | float | str | dict[str, str] | None
    source: str
    """``default``, ``command line``, a preset or a settings file."""


@dataclass(frozen=True, slots=True)
class WeightsUsed:
    """A file of weights."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    role: Role
    name: str
    sha256: Sha256
    terms: str | None
    """The terms they come under; null for a file of the user's own."""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A stream of the result, and which one of the source it was."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    source_index: Index
    result_index: Index
    kind: Literal["video", "audio", "subtitle", "data", "attachment"]
    codec: str
    """In the source."""
    action: Literal["restored", "copied", "converted"]
    converted_to: str | None = None


@dataclass(frozen=True, slots=True)
class ShotRecord:
    """Frames between two cuts."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    first_frame: Index
    frame_count: Annotated[int, Field(ge=1)]


def _rows(value: object) -> Float32:
    """(N, columns) from lists of numbers and nulls."""
    if not isinstance(value, list):
        raise ValueError("should be a list of rows")
    table = np.empty((len(value), len(Column)), np.float32)
    for place, row in enumerate(value):
        if not isinstance(row, list) or len(row) != len(Column):
            raise ValueError(f"row {place} should have {len(Column)} numbers")
        for column, number in zip(Column, row, strict=True):
            if not (type(number) in (int, float) or (number is None and column in MAY_BE_NULL)):
                raise ValueError(f"row {place}: {column.name.lower()} is {number!r}, not a number")
        table[place] = row
    numbers = table[:, [column for column in Column if column not in MAY_BE_NULL]]
    if not np.isfinite(numbers).all() or np.isinf(table).any():
        raise ValueError("a number is not finite")
    return table


def _column_schema(column: Column) -> dict[str, Any]:
    kind = "integer" if column in WHOLE_NUMBERS else "number"
    return {"title": column.name.lower(), "type": [kind, "null"] if column in MAY_BE_NULL else kind}


_ROWS_SCHEMA: Final = {
    "type": "array",
    "items": {
        "type": "array",
        "prefixItems": [_column_schema(column) for column in Column],
        "minItems": len(Column),
        "maxItems": len(Column),
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class TrackRecord:
    """One face over time."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    id: Index
    shot: Index
    """Place in ``shots``."""
    frames: tuple[tuple[Index, Index], ...]
    """First and last frame of each run without a gap, both included."""
    faces: Annotated[Float32, PlainValidator(_rows), WithJsonSchema(_ROWS_SCHEMA)]
    """A row a frame, by ``face_columns``; box null where the face was predicted, not seen; likeness where it was
    not measured; region where the mask is empty."""

    def __post_init__(self) -> None:
        have = runs_of(self.faces[:, Column.FRAME].astype(np.int64).tolist())
        if have != self.frames:
            raise ValueError(f"track {self.id}: the rows are those of frames {have}, not {self.frames}")


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a face was not restored, or otherwise than the settings say."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    first_frame: Index
    last_frame: Index
    """Included."""
    track: Index | None
    """Null where the face belongs to no track."""
    reason: str
    """An open list: ``too small``, ``too sharp``, ``profile`` …"""
    value: float | None = None
    """What was measured, as its mean over the frames."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TreatmentRecord:
    """What was done to a film."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    schema: Literal["gpen-video/treatment/1"] = SCHEMA
    finished: str | None = None
    """When, in UTC by ISO 8601."""
    tool: Tool
    command_line: tuple[str, ...] = ()
    source: FilmFile
    result: FilmFile
    encoder: EncoderUsed
    settings: tuple[Setting, ...]
    weights: tuple[WeightsUsed, ...]
    carried: tuple[StreamRecord, ...]
    """The streams of the result, in its order."""
    lost: tuple[str, ...]
    """What the result cannot hold, a line each."""
    warnings: tuple[str, ...]
    shots: tuple[ShotRecord, ...]
    face_columns: tuple[str, ...] = FACE_COLUMNS
    """What stands where in each row of ``tracks[].faces``."""
    tracks: tuple[TrackRecord, ...]
    decisions: tuple[Decision, ...]

    def __post_init__(self) -> None:
        if self.face_columns != FACE_COLUMNS:
            raise ValueError(f"face_columns should be {', '.join(FACE_COLUMNS)}")

    def setting(self, name: str) -> Any:  # noqa: ANN401 - whatever a setting is
        """The value of a setting; `None` where the record has none of that name."""
        return next((setting.value for setting in self.settings if setting.name == name), None)

    @property
    def whole_picture_changes(self) -> tuple[str, ...]:
        """The settings by which pictures were changed outside the faces too."""
        return tuple(name for name in ("media.deinterlace", "media.filters") if self.setting(name))


def runs_of(frames: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Rising numbers as runs without a gap: first and last of each."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], frame)
        else:
            runs.append((frame, frame))
    return tuple(runs)


def settings_of(resolved: ResolvedSettings) -> tuple[Setting, ...]:
    """Every setting with its value and its source."""
    return tuple(Setting(name, value, source) for name, value, source in resolved.items())
