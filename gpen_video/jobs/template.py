"""Names of files that are to be written, with fields for what is known of the film: ``out/{relative}/{stem}.mkv``.

They look like Python's format strings but reach into nothing: a field is a name from `FIELDS`, with a width at most
(``{index:04}``). What comes from the name of a film can neither leave the folder that the template states nor make an
absolute path of it; what the user writes out, ``../`` among it, is the user's will.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

from gpen_video.errors import ConfigError

FIELDS: Final = {
    "stem": "the film's name without its ending; of an image sequence, what stands before the number",
    "name": "the film's name; of an image sequence, its pattern",
    "ext": "its ending, without the dot",
    "parent": "the name of the folder that it is in",
    "relative": "the folders between it and the part of its pattern that has no wildcard; may be empty",
    "root": "the folder of the batch file; only at the beginning",
    "job": "the name of the job",
    "preset": "the names of the presets, with + between; default where there is none",
    "index": "the film's number within its job, from 1",
}
"""What may stand in braces, and what it is."""
OUTPUT: Final = "output"
"""One field more, in the names of side files: the whole path of the result; of an image sequence, of its folder."""
LONGEST_NAME: Final = 255
"""Bytes of a file's or folder's name, in all common file systems."""

_WHOLE_PATHS: Final = ("root", OUTPUT)
_NUMBER_FORMAT: Final = re.compile(r"(0?[1-9]\d?d?)?")
_TEXT_FORMAT: Final = re.compile(r"((.?[<>^])?[1-9]\d{0,2})?(\.[1-9]\d{0,2})?")
_FORMATS: Final = {"index": (_NUMBER_FORMAT, "{index:04}")}

Value = str | int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text as it is written, or a field."""

    literal: str = ""
    field: str | None = None
    format: str = ""

    def rendered(self, values: Mapping[str, Value]) -> str:
        return self.literal if self.field is None else format(values[self.field], self.format)


@dataclass(frozen=True, slots=True)
class Template:
    """A pattern for names, checked as far as that goes without a film."""

    text: str
    """As it was written."""
    parts: tuple[tuple[_Piece, ...], ...]
    """What stands between slashes."""

    @classmethod
    def parse(cls, text: str, *, side_file: bool = False) -> "Template":
        """Read a template.

        Args:
            text: As the user wrote it.
            side_file: Whether it names a file beside the result, so that ``{output}`` may be in it.

        Raises:
            ConfigError: A field is unknown, stands where it may not, or has a format that does not go with it; or the
                text names no file.
        """
        if not text or text.endswith("/") or not text.isprintable():
            raise ConfigError(f"{text!r} names no file")
        if text.startswith("~"):
            raise ConfigError(f"{text}: ~ is not understood here; write the folder out")
        parts: list[list[_Piece]] = [[]]
        for piece in _pieces(text, (*FIELDS, OUTPUT) if side_file else tuple(FIELDS)):
            if piece.field in _WHOLE_PATHS and (len(parts) > 1 or parts[0]):
                raise ConfigError(f"{text}: {{{piece.field}}} is a whole path and can only stand at the beginning")
            if piece.field is not None:
                parts[-1].append(piece)
                continue
            first, *others = (_Piece(literal) for literal in piece.literal.split("/"))
            parts[-1].append(first)
            parts += [[other] for other in others]
        return cls(text, tuple(tuple(part) for part in parts))

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it has."""
        return frozenset(piece.field for part in self.parts for piece in part if piece.field is not None)

    def render(self, values: Mapping[str, Value]) -> str:
        """The name for one film: an absolute path where the template begins with one, else a relative path.

        Args:
            values: For every field that the template has; none but ``relative``, ``root`` and ``output`` holds a slash.

        Raises:
            ConfigError: With these values a part of the path would be ``..`` or too long, or nothing is left as a name.
        """
        made = ["".join(piece.rendered(values) for piece in part) for part in self.parts]
        if not made[-1]:
            raise ConfigError(f"{self.text} leaves no name for this film")
        begins = [made.pop(0)] if self._begins_with_path else []
        parts = self.parts[len(begins) :]
        for part, path in zip(parts, made, strict=True):
            begins += [name for name in path.split("/") if name and self._is_name(name, part)]
        _check_length(begins[-1].rpartition("/")[2])
        return ("/" if self.text.startswith("/") else "") + "/".join(begins)

    @property
    def _begins_with_path(self) -> bool:
        return bool(self.parts[0]) and self.parts[0][0].field in _WHOLE_PATHS

    def _is_name(self, name: str, part: tuple[_Piece, ...]) -> bool:
        """Whether it counts: a dot alone does not."""
        if name == ".." and any(piece.field for piece in part):
            raise ConfigError(f"{self.text} leaves its folder: a field of this film's name becomes '..'")
        _check_length(name)
        return name != "."


def _check_length(name: str) -> None:
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ConfigError(f"the name {name[:40]}… is longer than {LONGEST_NAME} bytes, which no file system takes")


def _pieces(text: str, known: tuple[str, ...]) -> Iterator[_Piece]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError:
        raise ConfigError(f"{text}: a brace is left open or closed; for a brace itself, write {{{{ or }}}}") from None
    for literal, field, form, conversion in parsed:
        if literal:
            yield _Piece(literal)
        if field is None:
            continue
        if field not in known:
            raise ConfigError(f"{text}: unknown field {{{field}}}; {_advice(field, known)}")
        pattern, example = _FORMATS.get(field, (_TEXT_FORMAT, f"{{{field}:.40}}"))
        if conversion or not pattern.fullmatch(form or ""):
            raise ConfigError(f"{text}: the format of {{{field}}} is not understood; {example} would be")
        yield _Piece("", field, form or "")


def _advice(field: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(field, known, n=1)
    return f"did you mean {{{close[0]}}}?" if close else f"there are {', '.join(known)}"
