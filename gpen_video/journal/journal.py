"""An append-only journal: what is in it has happened, and is on disk.

Each line is the CRC-32 of its text, eight hexadecimal digits, a space, and the text, one JSON object. The first line
says what the journal is about. A line counts when it is written and `os.fsync` has returned; a process that is killed,
or a power cut, can therefore leave a broken end and nothing else, and that end is dropped.
"""

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from gpen_video.errors import JournalError, OutputError, system_reason

FORMAT: Final = "gpen-video/journal/1"
"""What the first line says under ``format``; the number rises with every change that an older reader misunderstands."""

_FAMILY, _, _VERSION = FORMAT.rpartition("/")
_START_ANEW: Final = "start anew with --resume never"


@dataclass(frozen=True, slots=True)
class Written:
    """What a journal holds."""

    header: dict[str, Any]
    entries: tuple[dict[str, Any], ...]
    whole_bytes: int
    """Length of the file up to its last whole line."""
    is_cut_off: bool
    """Whether something behind that was dropped."""


class Journal:
    """A journal that is being written; `append` returns when the entry is on disk."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Takes over a file that is open for appending; see `start_journal` and `go_on`."""
        self.path = path
        self._descriptor = descriptor
        self._length = os.fstat(descriptor).st_size

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry, of whatever JSON can hold.

        Raises:
            OutputError: It cannot be written.
        """
        line = _line(entry)
        try:
            _write(self._descriptor, line)
        except OSError as error:
            with suppress(OSError):  # what is left of the line would be dropped when read, if nothing came behind it
                os.ftruncate(self._descriptor, self._length)
            raise _write_error(self.path, error) from error
        self._length += len(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def start_journal(path: Path, header: Mapping[str, Any]) -> Journal:
    """Begin a journal, replacing what is there.

    Args:
        path: Its file.
        header: What the journal is about; ``format`` is added.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        _write(descriptor, _line({"format": FORMAT, **header}))
        sync_folder(path.parent)
    except OSError as error:
        raise _write_error(path, error) from error
    return Journal(path, descriptor)


def go_on(path: Path, written: Written) -> Journal:
    """Go on with a journal that was read, behind its last whole line.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.ftruncate(descriptor, written.whole_bytes)
        os.fsync(descriptor)
    except OSError as error:
        raise _write_error(path, error) from error
    return Journal(path, descriptor)


def read_journal(path: Path, *, advice: str = _START_ANEW) -> Written | None:
    """Read a journal; `None` where there is none, or not even its first line reached the disk.

    Args:
        path: Its file.
        advice: What to do where it cannot be used; for the error.

    Raises:
        JournalError: It is damaged within, is something else, or of a newer version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path}: the journal cannot be read: {error.strerror}") from error
    lines = data.split(b"\n")
    parsed = [_parsed(line) for line in lines[:-1]]  # the last one has no end: nothing, or cut off
    good = next((place for place, entry in enumerate(parsed) if entry is None), len(parsed))
    if any(entry is not None for entry in parsed[good:]):
        raise JournalError(f"{path}: line {good + 1} of the journal is damaged; {advice}")
    entries = [entry for entry in parsed[:good] if entry is not None]
    if not entries:
        if data and not _may_be_ours(data):
            raise JournalError(f"{path} is no journal of gpen-video; {advice}")
        return None
    _check_version(path, entries[0].get("format"), advice)
    whole = sum(len(line) + 1 for line in lines[:good])
    return Written(entries[0], tuple(entries[1:]), whole, is_cut_off=whole < len(data))


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk, where the system can (not on Windows, which does so by itself)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Bring a file's content to disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _line(entry: Mapping[str, Any]) -> bytes:
    text = json.dumps(entry, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The entry of a line without its end; `None` where its checksum is wrong."""
    checksum, space, text = line[:8], line[8:9], line[9:]
    if space != b" " or checksum != b"%08x" % zlib.crc32(text):
        return None
    entry = json.loads(text)
    return entry if isinstance(entry, dict) else None


def _may_be_ours(data: bytes) -> bool:
    """Whether a file without a whole first line is the beginning of one, or zeros that a power cut left."""
    start = data[:9].strip(b"\0")
    return b"\n" not in data.rstrip(b"\n\0") and all(byte in b"0123456789abcdef " for byte in start)


def _check_version(path: Path, name: object, advice: str) -> None:
    family, _, version = name.rpartition("/") if isinstance(name, str) else ("", "", "")
    if family != _FAMILY or not version.isdecimal():
        raise JournalError(f"{path} is no journal of gpen-video; {advice}")
    if int(version) > int(_VERSION):
        raise JournalError(
            f"{path} was written by a newer gpen-video ({name}; this one reads up to {FORMAT}); update the program, or "
            f"{advice}"
        )


def _write(descriptor: int, line: bytes) -> None:
    written = os.write(descriptor, line)
    if written < len(line):  # the disk is full, or nearly
        os.write(descriptor, line[written:])
    os.fsync(descriptor)


def _write_error(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: the journal cannot be written: {system_reason(error)}")
