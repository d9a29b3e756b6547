"""The files that a segment becomes, in the work folder: their names, and by what they are known to be whole."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpen_video.errors import OutputError, system_reason
from gpen_video.journal import sync_file
from gpen_video.pipeline.notes import SegmentNotes, write_notes
from gpen_video.pipeline.segments import Segment

NOTES: Final = "notes"
"""Kind of the file of `SegmentNotes`; the others are ``video``, ``matte`` and ``layer``."""


@dataclass(frozen=True, slots=True)
class Seal:
    """By which a finished file is known to be whole."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Seal":
        """Of a file, all of which is read.

        Raises:
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            return cls(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


@dataclass(frozen=True, slots=True)
class Finished:
    """A segment that is on disk."""

    number: int
    first: int
    end: int
    ends_at_cut: bool
    files: Mapping[str, Seal]
    """By kind."""

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(seal.bytes for seal in self.files.values())

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Finished":
        """From its entry in a journal."""
        files = {kind: Seal(**seal) for kind, seal in entry["files"].items()}
        return cls(entry["number"], entry["first"], entry["end"], entry["ends_at_cut"], files)


def segment_name(number: int, kind: str, attempt: str = "") -> str:
    """The name of a file of a segment; one that a worker makes is first called by its attempt too."""
    name = f"{number:05}.{kind}"
    return f"{name}.{attempt}" if attempt else name


def seal_segment(
    segment: Segment, notes: SegmentNotes, folder: Path, kinds: Iterable[str], attempt: str = ""
) -> Finished:
    """Write a segment's notes, and bring all its files to disk.

    Args:
        segment: Used up.
        notes: Of it.
        folder: The work folder.
        kinds: Of the other files, which have been written.
        attempt: See `segment_name`.

    Raises:
        OutputError: They cannot be written.
    """
    assert segment.end is not None
    with told(folder):
        write_notes(notes, folder / segment_name(segment.number, NOTES, attempt))
        files = {kind: sealed(folder / segment_name(segment.number, kind, attempt)) for kind in (*kinds, NOTES)}
    return Finished(segment.number, segment.first, segment.end, segment.ends_at_cut, files)


def sealed(path: Path) -> Seal:
    """Bring a file to disk, and seal it.

    Raises:
        OSError: That cannot be done.
    """
    sync_file(path)
    return Seal.of(path)


def is_whole(path: Path, seal: Seal) -> bool:
    """Whether a file is there, and is still the one that was sealed."""
    try:
        return Seal.of(path) == seal
    except OSError:
        return False


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Make a user's error of what the system says when something cannot be written there."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to: {system_reason(error)}") from error
