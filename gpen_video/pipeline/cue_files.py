"""Cue sheets on disk: CSV for a spreadsheet, TOML for a text editor. Both hold the same.

What a spreadsheet does to a file is put up with: semicolons or tabs for commas (and then decimal commas), quotes
around every cell, empty cells and rows added, rows sorted. What is not understood is refused, with its line.
"""

import csv
import io
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from gpen_video.errors import ConfigError
from gpen_video.pipeline.basis import Value
from gpen_video.pipeline.cues import Cue, CueSheet, Keyframe
from gpen_video.pipeline.observe import Track
from gpen_video.pipeline.track_basis import TrackBasis

CuesFormat = Literal["csv", "toml"]

COLUMNS: Final = (
    "shot", "track", "first_frame", "last_frame", "faces", "mean_size", "strength", "keyframes",
)  # fmt: skip
"""Only ``track`` must be there. ``strength`` and ``keyframes`` are wishes; the others are for orientation."""

_VERSION: Final = "gpen-video/cues/1"
_MARK: Final = f"# {_VERSION} "
_LAST_LINE: Final = "the line that says what its numbers hold for"
_KEYFRAME: Final = re.compile(r"(\d{1,9}):(\d*[.,]?\d+|\d+[.,]?)", re.ASCII)
_TABLE: Final = re.compile(r"\s*\[\[\s*track\s*\]\]", re.ASCII)


def cue_sheet_text(kind: CuesFormat, basis: TrackBasis, frames: int, tracks: Sequence[Track]) -> str:
    """A sheet in which every track is wanted at full strength.

    Args:
        kind: ``csv`` or ``toml``.
        basis: What the numbers hold for.
        frames: Of the film.
        tracks: All of the film's.
    """
    made: dict[str, Value] = {
        "program": basis.program,
        "film": basis.film,
        "bytes": basis.bytes,
        "sample_sha256": basis.sample_sha256,
        "frames": frames,
        "tracks": max((track.track_id + 1 for track in tracks), default=0),
    }
    rows = [_row(track) for track in tracks]
    return _csv(made, basis.settings, rows) if kind == "csv" else _toml(made, basis.settings, rows)


def read_cue_sheet(path: Path) -> CueSheet:
    """Read a sheet and check all that can be checked without the film.

    Args:
        path: Its ending says which format it has.

    Raises:
        ConfigError: It cannot be read, or something in it is wrong; the message names file and line.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in get_args(CuesFormat):
        raise ConfigError(f"{path}: a cue sheet is called .csv or .toml")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from None
    made, rows = _of_csv(path, text) if kind == "csv" else _of_toml(path, text)
    sheet = _sheet(path, made)
    return CueSheet(path, sheet.basis, sheet.frames, sheet.tracks, _cues(sheet, rows))


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row, before it is checked."""

    place: str
    """File and line, for messages."""
    values: Mapping[str, Any]
    """By column; text or what TOML makes of it."""
    decimal_comma: bool = False


def _row(track: Track) -> dict[str, Value]:
    size = round(track.mean_face_size, 1)
    numbers = (track.shot, track.track_id, track.first_frame, track.last_frame, track.faces, size, 1.0, "")
    return dict(zip(COLUMNS, numbers, strict=True))


def _csv(made: Mapping[str, Value], settings: Mapping[str, Value], rows: Sequence[Mapping[str, Value]]) -> str:
    """The basis comes last, so that a spreadsheet begins with its header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.values() for row in rows)
    writer.writerow([_MARK + json.dumps({**made, "settings": dict(settings)})])
    return text.getvalue()


def _toml(made: Mapping[str, Value], settings: Mapping[str, Value], rows: Sequence[Mapping[str, Value]]) -> str:
    lines = ['# A track with strength 0, or without an entry, is not restored; keyframes as in "120:1 150:0.3".', ""]
    for row in rows:
        lines += ["[[track]]", *(f"{key} = {_toml_value(value)}" for key, value in row.items()), ""]
    lines += ["# What the numbers of the tracks hold for: leave this as it is.", "[sheet]"]
    lines += [f"{key} = {_toml_value(value)}" for key, value in {"version": _VERSION, **made}.items()]
    lines += ["", "[sheet.settings]", *(f"{json.dumps(key)} = {_toml_value(value)}" for key, value in settings.items())]
    return "\n".join(lines) + "\n"


def _toml_value(value: Value) -> str:
    """Numbers and booleans as in JSON; so is text, but for DEL and what lies beyond 16 bits."""
    if not isinstance(value, str):
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _of_csv(path: Path, text: str) -> tuple[Any, list[_Entry]]:
    delimiter = _delimiter(text)
    made: Any = None
    header: list[str] | None = None
    rows: list[_Entry] = []
    for line, cells in _csv_rows(path, text, delimiter):
        place = f"{path}, line {line}"
        if cells[0].startswith("#"):
            made = _marked(place, cells[0]) if cells[0].startswith(_MARK) else made
        elif header is None:
            header = _header(place, cells)
        elif any(cells[len(header) :]):
            raise ConfigError(f"{place}: {len(cells)} cells, but there are {len(header)} columns")
        else:
            rows.append(_Entry(place, dict(zip(header, cells, strict=False)), delimiter != ","))
    if header is None:
        raise ConfigError(f"{path}: no header; the first line names the columns: {', '.join(COLUMNS)}")
    return made, rows


def _delimiter(text: str) -> str:
    """The most frequent one of the header's line."""
    lines = (line.strip() for line in text.splitlines())
    header = next((line for line in lines if line and not line.lstrip('"').startswith("#")), "")
    return max(",;\t", key=header.count)


def _csv_rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(f"{path}, line {line}: not CSV: {error}") from None


def _header(place: str, cells: Sequence[str]) -> list[str]:
    names = [cell.lower() for cell in cells]
    while names[-1] == "":
        names.pop()
    for name in names:
        _require_column(place, name)
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"{place}: the column {doubled!r} is there twice")
    if "track" not in names:
        raise ConfigError(f"{place}: the column 'track' is missing")
    return names


def _marked(place: str, cell: str) -> object:
    try:
        return json.loads(cell.removeprefix(_MARK))
    except ValueError:
        raise ConfigError(f"{place}: {_LAST_LINE} is damaged; inspect again") from None


def _of_toml(path: Path, text: str) -> tuple[Any, list[_Entry]]:
    try:
        content = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError names the line; an integer of thousands of digits
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    made, tables = content.pop("sheet", None), content.pop("track", [])
    if content:
        raise ConfigError(f"{path}: unknown key {next(iter(content))!r}; a cue sheet has [[track]] and [sheet]")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{path}: 'track' is no list of tables; begin each with [[track]]")
    if isinstance(made, dict) and made.get("version") != _VERSION:
        raise ConfigError(f"{path}: a cue sheet of version {made.get('version')!r}, not {_VERSION!r}; inspect again")
    starts = [number for number, line in enumerate(text.splitlines(), 1) if _TABLE.match(line)]
    rows = []
    for index, table in enumerate(tables):
        place = f"{path}, line {starts[index]}" if len(starts) == len(tables) else f"{path}, track entry {index + 1}"
        for name in table:
            _require_column(place, name)
        if "track" not in table:
            raise ConfigError(f"{place}: 'track' is missing")
        rows.append(_Entry(place, table))
    return made, rows


def _require_column(place: str, name: str) -> None:
    if name not in COLUMNS:
        raise ConfigError(f"{place}: unknown column {name!r}; the columns are {', '.join(COLUMNS)}")


def _sheet(path: Path, made: object) -> CueSheet:
    """The sheet without its cues."""
    if not isinstance(made, dict):
        raise ConfigError(
            f"{path}: {_LAST_LINE} is missing; copy it from the sheet that gpen-video inspect --tracks wrote"
        )
    try:
        texts = [_typed(made, key, str) for key in ("program", "film", "sample_sha256")]
        size, frames, tracks = (_typed(made, key, int) for key in ("bytes", "frames", "tracks"))
        settings = _typed(made, "settings", dict)
        if not all(isinstance(value, bool | int | float | str) for value in settings.values()):
            raise KeyError("settings")
    except KeyError as error:
        raise ConfigError(f"{path}: {_LAST_LINE} is damaged: {error.args[0]}; inspect again") from None
    basis = TrackBasis(texts[0], texts[1], size, texts[2], settings)
    return CueSheet(path, basis, frames, tracks)


def _typed(made: Mapping[str, Any], key: str, kind: type) -> Any:  # noqa: ANN401 - whatever `kind` is
    value = made.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise KeyError(key)
    return value


def _cues(sheet: CueSheet, rows: Sequence[_Entry]) -> dict[int, Cue]:
    cues: dict[int, Cue] = {}
    places: dict[int, str] = {}
    for row in rows:
        cue = _cue(row)
        if cue.track >= sheet.tracks:
            last = f"the last is {sheet.tracks - 1}" if sheet.tracks else "it has none"
            raise ConfigError(f"{row.place}: the film has no track {cue.track}; {last}")
        if cue.track in cues:
            raise ConfigError(f"{row.place}: track {cue.track} is there twice; see {places[cue.track]}")
        if cue.keyframes and cue.keyframes[-1][0] >= sheet.frames:
            frame = cue.keyframes[-1][0]
            raise ConfigError(
                f"{row.place}: keyframe {frame} lies beyond the film; its last frame is {sheet.frames - 1}"
            )
        cues[cue.track], places[cue.track] = cue, row.place
    return cues


def _cue(row: _Entry) -> Cue:
    whole = {name: _whole(row, name) for name in ("shot", "track", "first_frame", "last_frame", "faces")}
    _number(row, "mean_size")
    strength = _number(row, "strength")
    if strength is not None and not 0 <= strength <= 1:
        raise ConfigError(f"{row.place}: strength is {row.values['strength']}; write 0 to 1")
    track = whole["track"]
    if track is None:
        raise ConfigError(f"{row.place}: which track? Its number is missing")
    return Cue(track, 1.0 if strength is None else strength, _keyframes(row), whole["first_frame"])


def _whole(row: _Entry, name: str) -> int | None:
    value = _number(row, name)
    if value is not None and (value < 0 or value != int(value)):
        raise ConfigError(f"{row.place}: {name} is {row.values[name]!r}; write a whole number")
    return None if value is None else int(value)


def _number(row: _Entry, name: str) -> float | None:
    """`None` where nothing is written."""
    value = row.values.get(name, "")
    if value == "":
        return None
    try:
        if isinstance(value, str):
            number = float(_point(value) if row.decimal_comma else value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
        else:
            raise ValueError(value)
        if not math.isfinite(number):
            raise ValueError(value)
    except (ValueError, OverflowError):
        raise ConfigError(f"{row.place}: {name} is {value!r}, which is no number") from None
    return number


def _keyframes(row: _Entry) -> tuple[Keyframe, ...]:
    value = row.values.get("keyframes", "")
    if not isinstance(value, str):
        raise ConfigError(f'{row.place}: keyframes are text: write "120:1 150:0.3"')
    return tuple(_rising(row.place, value))


def _rising(place: str, text: str) -> Iterator[Keyframe]:
    last = -1
    for pair in text.split():
        found = _KEYFRAME.fullmatch(pair)
        if found is None:
            raise ConfigError(f"{place}: {pair!r} is no keyframe; write frame:strength, as in 120:1 150:0.3")
        frame, strength = int(found[1]), float(_point(found[2]))
        if not 0 <= strength <= 1:
            raise ConfigError(f"{place}: keyframe {pair}: its strength is not within 0 to 1")
        if frame <= last:
            raise ConfigError(f"{place}: keyframe {pair} comes after one at frame {last}; frames must rise")
        yield frame, strength
        last = frame


def _point(number: str) -> str:
    return number.replace(",", ".")
