"""Treatment records on disk: JSON with one row of numbers on each line, whole or not there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gpen_video.errors import RecordError
from gpen_video.report.record import IN_PIXELS, MAY_BE_NULL, SCHEMA, WHOLE_NUMBERS, Column, TreatmentRecord
from gpen_video.report.schema import adapter
from gpen_video.whole_file import whole_file

_FAMILY: Final = SCHEMA.rpartition("/")[0]
_VERSION: Final = int(SCHEMA.rpartition("/")[2])
_DECIMALS: Final = 2  # of a pixel
_FINE_DECIMALS: Final = 6  # of a mask, and of a mean: so one sample among half a million shows


def write_record(record: TreatmentRecord, path: Path) -> None:
    """Write a record, replacing the file if it is there; whole or not at all.

    Names that are not text (broken bytes) are written with backslashes.

    Raises:
        OutputError: It cannot be written.
    """
    with whole_file(path, overwrite=True) as file:
        file.writelines(piece.encode() for piece in _json(record))
        file.write(b"\n")


def read_record(path: Path) -> TreatmentRecord:
    """Read a record and check all of it.

    Raises:
        RecordError: It cannot be read, is damaged, is something else, or is of a newer version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: the treatment record cannot be read: {error.strerror}") from None
    try:
        return adapter().validate_json(data, strict=True)
    except ValidationError as error:
        raise RecordError(f"{path}: {_explanation(data, error)}") from None


def _explanation(data: bytes, error: ValidationError) -> str:
    """What is wrong with a file that is no record of this version."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "is damaged, or no treatment record: it is not JSON"
    name = value.get("schema") if isinstance(value, dict) else None
    family, _, number = name.rpartition("/") if isinstance(name, str) else ("", "", "")
    if family != _FAMILY or not number.isdecimal():
        return f"is no treatment record of gpen-video: its schema is {json.dumps(name)[:80]}, not {SCHEMA}"
    if int(number) > _VERSION:
        return f"was written by a newer gpen-video ({name}; this one reads up to {SCHEMA}); update the program"
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the record"
    return f"this treatment record is damaged: {where}: {first['msg']}".replace("\n", " ")


def _json(value: object, indent: str = "") -> Iterator[str]:
    """The text in pieces; lists of plain values, and rows of numbers, take one line each."""
    if is_dataclass(value):
        yield from _block("{}", [(field.name, getattr(value, field.name)) for field in fields(value)], indent)
    elif isinstance(value, Mapping):
        yield from _block("{}", list(value.items()), indent)
    elif isinstance(value, np.ndarray):
        yield from _table(value, indent)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        nested = any(is_dataclass(item) for item in value)
        lines = nested or (len(value) > 0 and all(isinstance(item, str) for item in value))
        yield from _block("[]", [(None, item) for item in value], indent) if lines else (_plain(value),)
    else:
        yield _plain(value)


def _block(brackets: str, items: list[tuple[str | None, Any]], indent: str) -> Iterator[str]:
    if not items:
        yield brackets
        return
    inner = indent + "  "
    separator = brackets[0]
    for name, item in items:
        yield f"{separator}\n{inner}" + ("" if name is None else f"{_plain(name)}: ")
        yield from _json(item, inner)
        separator = ","
    yield f"\n{indent}{brackets[1]}"


def _table(table: NDArray[Any], indent: str) -> Iterator[str]:
    inner, separator = indent + "  ", "["
    for row in table:
        numbers = [_number(column, number) for column, number in zip(Column, row.tolist(), strict=True)]
        yield f"{separator}\n{inner}{_plain(numbers)}"
        separator = ","
    yield f"\n{indent}]" if len(table) else "[]"


def _number(column: Column, number: float) -> float | int | None:
    if column in MAY_BE_NULL and np.isnan(number):
        return None
    if column in WHOLE_NUMBERS:
        return int(number)
    return round(number, _DECIMALS if column in IN_PIXELS else _FINE_DECIMALS)


def _plain(value: object) -> str:
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
