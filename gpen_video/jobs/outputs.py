"""All files that a batch will write, held against one another and against all that it reads."""

import os
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final, Literal

from gpen_video.errors import OutputError, UsageError
from gpen_video.jobs.inputs import FoundFilm, Inputs
from gpen_video.jobs.problems import Problems
from gpen_video.jobs.template import LONGEST_NAME
from gpen_video.media import check_target, container_of
from gpen_video.media.images_out import folder_of, image_names

Kind = Literal["result", "report", "matte", "layer", "checksums"]

SIDE_FILMS: Final[dict[Kind, tuple[str, ...]]] = {"matte": (".mkv",), "layer": (".mkv", ".mov")}
"""The endings that `media.check_side_targets` takes."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that is to be written, or an image sequence."""

    kind: Kind
    path: Path
    """Of an image sequence, its pattern or folder."""
    place: Path
    """The file itself; of an image sequence, its folder."""
    line: int
    """Of its template."""
    source: Path
    """The film from which it is made, for messages."""


def target_place(target: Path, film: FoundFilm) -> Path:
    """The file that a result is; of an image sequence, its folder.

    Raises:
        GpenVideoError: Its name says nothing to FFmpeg, or something else is there.
    """
    names = image_names(target, film.source)
    place = target if names is None else folder_of(target)
    if place.parent.is_dir():
        check_target(target, overwrite=True, source=film.source)
    elif names is None:
        container_of(target)
    return place


def check_side_file(kind: Kind, path: Path) -> None:
    """Check a file beside the result by itself.

    Raises:
        GpenVideoError: Its name has another ending than such a file has, or is a folder's.
    """
    endings = SIDE_FILMS.get(kind)
    if endings is not None and path.suffix.lower() not in endings:
        raise UsageError(f"{path}: the name of a {kind} ends in {' or '.join(endings)}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")


class Outputs:
    """Finds what would be written twice, over something that is read, or where nothing can be written.

    Two names that differ in case or in Unicode's normal form alone count as one: on macOS, Windows and most network
    storage they are, and a batch means the same everywhere.
    """

    def __init__(self, problems: Problems, read: Iterable[tuple[Path, str]]) -> None:
        """Begin.

        Args:
            problems: Are told.
            read: Files that must not be written, or folders of image sequences, and what each is.
        """
        self._problems = problems
        self._real = cache(Path.resolve)  # thousands of films lie in a few folders
        self._keys_above = cache(partial(_keys_above, self._real))
        self._written: dict[str, Output] = {}
        self._read = {self._key(path): what for path, what in read}
        self._bad_folders: set[Path] = set()

    def add(self, output: Output) -> None:
        """Take in one file."""
        path, source = output.place, output.source
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            self._tell(output, f"{path.name[:40]}… is longer than {LONGEST_NAME} bytes, which no file system takes")
        key = self._key(path)
        if key in self._read:
            self._tell(output, f"{path}: the {output.kind} of {source} would be written over {self._read[key]}")
        elif key in self._written:
            other = self._written[key]
            same = "" if other.place == path else f", which is {other.place} where case does not count"
            self._tell(output, f"{path}{same}: the {output.kind} of {source} and the {other.kind} of {other.source}")
        else:
            self._written[key] = output

    def check_folders(self) -> None:
        """Once all are there: look at the folders that they go to."""
        for output in self._written.values():
            folder = output.place.parent
            above = next((key for key in self._keys_above(folder) if key in self._written), None)
            if above is not None:
                other = self._written[above]
                self._tell(
                    output, f"{output.place} lies within {other.place}, which is the {other.kind} of {other.source}"
                )
            trouble = _trouble(folder)
            if trouble is not None and folder not in self._bad_folders:
                self._bad_folders.add(folder)
                self._tell(output, trouble)

    def check_inputs(self, inputs: Iterable[tuple[Inputs, int]]) -> None:
        """Tell which results the next run would take for films.

        Args:
            inputs: Of every job, and the line that begins them.
        """
        by_base: dict[Path, dict[int, Inputs]] = {}
        for each, line in inputs:
            for pattern in each.patterns:
                if pattern.parts:
                    by_base.setdefault(pattern.real_base, {})[line] = each
        for output in self._written.values():
            path = self._real(output.path.parent) / output.path.name
            near = ((each, line) for folder in path.parents for line, each in by_base.get(folder, {}).items())
            taking = next(
                (f"{taken.text!r} of line {line}" for each, line in near if (taken := each.would_take(path))), ""
            )
            if taking:
                self._tell(
                    output,
                    f"{path}: the {output.kind} would be an input of the next run, by {taking}; write it elsewhere, or "
                    "take it out there with '!'",
                )

    def _tell(self, output: Output, message: str) -> None:
        self._problems.add(output.line, message, kind=output.kind)

    def _key(self, path: Path) -> str:
        """The same for all ways to write a path."""
        return _normal(self._real(path.parent) / path.name)


def _keys_above(real: Callable[[Path], Path], folder: Path) -> tuple[str, ...]:
    """The keys of a folder and of those that it is in."""
    return tuple(_normal(each) for each in (real(folder), *real(folder).parents))


def _normal(path: Path) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _trouble(folder: Path) -> str | None:
    """Why nothing can be written into a folder, which need not be there yet."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), None)
    if there is not None and not there.is_dir():
        return f"{folder} cannot be made: {there} is a file"
    if there is not None and not os.access(there, os.W_OK | os.X_OK):
        return f"{folder} cannot be written to: permission denied at {there}"
    return None
