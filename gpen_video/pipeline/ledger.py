"""What of a film is finished, by its journal; and whether a run may go on with it."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Literal

from gpen_video.errors import JournalError
from gpen_video.journal import Journal, WorkFolder, Written, go_on, read_journal, start_journal, sync_folder
from gpen_video.pipeline.basis import Value, changed_values
from gpen_video.pipeline.notes import SegmentNotes, read_notes
from gpen_video.pipeline.segment_files import NOTES, Finished, Seal, is_whole, sealed, segment_name, told

Resume = Literal["auto", "never", "require"]
"""Go on where an earlier run got to if there is one, or start anew, or refuse to start anew."""


@dataclass(frozen=True, slots=True)
class Named:
    """By which a file, or folder, is known to be the one that was given its name: no renaming changes these."""

    inode: int
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Named":
        """Of what is there.

        Raises:
            OSError: Nothing is.
        """
        found = path.lstat()
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class Progress:
    """What the entries of a journal come to."""

    finished: dict[int, Finished] = field(default_factory=dict)
    """By number; there may be gaps where several workers share a film."""
    is_whole: bool = False
    """Whether these are all segments of the film."""
    joined: dict[str, Seal] = field(default_factory=dict)
    """Kinds of which the segments have been put together, and are gone."""
    named: dict[str, Named] = field(default_factory=dict)
    """Outputs that are finished, and have their names or were about to get them; by path."""

    @property
    def segments(self) -> list[Finished]:
        """From the film's first one to the first gap."""
        return [self.finished[number] for number in takewhile(self.finished.__contains__, count())]

    @property
    def frames(self) -> int:
        """In all that is finished."""
        return sum(one.end - one.first for one in self.finished.values())

    def take(self, entry: Mapping[str, Any]) -> None:
        """Go on by an entry."""
        match entry["what"]:
            case "segment":
                finished = Finished.of(entry)
                self.finished[finished.number] = finished
            case "film":
                self.is_whole = True
            case "joined":
                self.joined[entry["kind"]] = Seal(entry["bytes"], entry["sha256"])
            case "named":
                self.named[entry["path"]] = Named(entry["inode"], entry["bytes"], entry["modified_ns"])
            case "dropped":
                for number in entry["segments"]:
                    del self.finished[number]
                self.is_whole, self.joined = False, {}
            case what:
                raise KeyError(what)

    def files(self) -> dict[str, tuple[frozenset[int], Seal]]:
        """Every file that should be there, by name, with the segments that are in it."""
        everything = frozenset(self.finished)
        files = {_joined_name(kind): (everything, seal) for kind, seal in self.joined.items()}
        for finished in self.finished.values():
            for kind, seal in finished.files.items():
                if kind not in self.joined:
                    files[segment_name(finished.number, kind)] = (frozenset({finished.number}), seal)
        return files


class Ledger:
    """A film's finished segments, in its work folder; every change is on disk when a method returns."""

    def __init__(self, folder: WorkFolder, journal: Journal, threads: int, progress: Progress | None = None) -> None:
        """See `open_ledger`."""
        self._folder, self._journal = folder, journal
        self.threads = threads
        """Of the networks on a CPU, with which the film was begun."""
        self.progress = progress or Progress()

    @property
    def folder(self) -> Path:
        """Where everything is."""
        return self._folder.path

    def file(self, number: int, kind: str) -> Path:
        """Where a file of a segment is, or is to be."""
        return self._folder.path / segment_name(number, kind)

    def joined_file(self, kind: str) -> Path:
        """Where all of a kind is, or is to be."""
        return self._folder.path / _joined_name(kind)

    def finish(self, finished: Finished) -> None:
        """Count a segment as finished whose files are on disk; see `segment_files.seal_segment`.

        Raises:
            OutputError: That cannot be written.
        """
        with told(self._folder.path):
            sync_folder(self._folder.path)
        self._append({"what": "segment", **asdict(finished)})

    def finish_film(self) -> None:
        """Note that these are all segments."""
        self._append({"what": "film"})

    def finish_joining(self, kind: str) -> None:
        """Note that all of a kind has been put together, and remove its parts.

        Raises:
            OutputError: It cannot be brought to disk.
        """
        with told(self._folder.path):
            seal = sealed(self.joined_file(kind))
            sync_folder(self._folder.path)
        self._append({"what": "joined", "kind": kind, **asdict(seal)})
        for number in self.progress.finished:
            self.file(number, kind).unlink(missing_ok=True)

    def announce(self, part: Path, path: Path) -> None:
        """Note that a finished output is about to be given its name.

        Args:
            part: It, under the name that it has.
            path: Its place.

        Raises:
            OutputError: That cannot be written.
        """
        with told(self._folder.path):
            named = Named.of(part)
        self._append({"what": "named", "path": path_text(path), **asdict(named)})

    def notes_of(self, number: int) -> SegmentNotes:
        """Of a finished segment.

        Raises:
            JournalError: They cannot be read.
        """
        return read_notes(self.file(number, NOTES))

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget finished segments; what was put together of them too."""
        self._append({"what": "dropped", "segments": sorted(numbers)})

    def drop_damaged(self) -> list[int]:
        """Forget the segments of which a file is not whole any more, and give their numbers."""
        damaged = {
            number
            for name, (numbers, seal) in self.progress.files().items()
            if not is_whole(self._folder.path / name, seal)
            for number in numbers
        }
        if damaged:
            self.drop(damaged)
        return sorted(damaged)

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._journal.append(entry)
        self.progress.take(entry)

    def release(self) -> None:
        """The result is where it should be: nothing of this is needed any more."""
        self.progress = Progress()

    def close(self) -> None:
        """Close the journal; keep what is finished, and nothing else."""
        self._journal.close()
        with suppress(OSError):  # the storage may be gone, and then that is what is told
            if self.progress.finished:
                self._folder.tidy(frozenset(self.progress.files()))
            else:
                self._folder.clear()


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a work folder is for."""

    film: Path
    result: Path
    frames: int | None
    """Of the film, as far as its header tells."""
    basis: Mapping[str, Value]
    """What the work holds for."""
    threads: int
    """Of the networks on a CPU, for a film that is begun."""


@contextmanager
def open_ledger(folder: WorkFolder, purpose: Purpose, resume: Resume, tell: Callable[[str], None]) -> Iterator[Ledger]:
    """Go on with what is in a work folder, or clear it and begin.

    When the block ends, what is finished is kept, and nothing else.

    Args:
        folder: Held.
        purpose: Of the run.
        resume: See `Resume`.
        tell: Is told why something is not gone on with.

    Raises:
        JournalError: It is asked for that a run is gone on with, and there is none, or it cannot be; or the journal is
            damaged, or of a newer version.
        OutputError: The folder cannot be written to.
    """
    written = None if resume == "never" else read_journal(folder.journal)
    if written is not None and not _is_of_a_film(written):
        raise JournalError(f"{folder.journal} is not the journal of a film; start anew with --resume never")
    reason = _why_not(written, purpose.basis)
    if reason is not None and resume == "require":
        raise JournalError(f"{purpose.result}: there is nothing to go on with: {reason}; start anew with --resume auto")
    if written is None or reason is not None:
        if written is not None and written.entries:
            tell(f"{purpose.result}: starting anew, what an earlier run finished is not used: {reason}")
        with told(folder.path):
            folder.clear()
        ledger = Ledger(folder, start_journal(folder.journal, _header(purpose)), purpose.threads)
    else:
        progress = replayed(folder.journal, written)
        ledger = Ledger(folder, go_on(folder.journal, written), written.header["threads"], progress)
    try:
        if damaged := ledger.drop_damaged():
            numbers = ", ".join(map(str, damaged))
            tell(f"{purpose.result}: segment {numbers} of an earlier run is damaged, and is made anew")
        with told(folder.path):
            folder.tidy(frozenset(ledger.progress.files()))
        yield ledger
    finally:
        ledger.close()


def _header(purpose: Purpose) -> dict[str, Any]:
    return {
        "what": "film",
        "film": path_text(purpose.film),
        "result": path_text(purpose.result),
        "frames": purpose.frames,
        "threads": purpose.threads,
        "basis": dict(purpose.basis),
    }


def path_text(path: Path) -> str:
    """A path as the journal has it: absolute, with broken bytes written out."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def _is_of_a_film(written: Written) -> bool:
    header = written.header
    whole = isinstance(header.get("basis"), dict) and isinstance(header.get("threads"), int)
    return header.get("what") == "film" and whole


def replayed(path: Path, written: Written) -> Progress:
    """What a journal says.

    Raises:
        JournalError: It says what this program does not know.
    """
    progress = Progress()
    try:
        for entry in written.entries:
            progress.take(entry)
    except (KeyError, TypeError) as error:
        raise JournalError(
            f"{path} holds an entry that cannot be understood; start anew with --resume never"
        ) from error
    return progress


def _why_not(written: Written | None, basis: Mapping[str, Value]) -> str | None:
    if written is None:
        return "no earlier run was stopped there"
    changes = changed_values(written.header.get("basis", {}), basis)
    return f"it was made with {', '.join(changes)}" if changes else None


def _joined_name(kind: str) -> str:
    return f"joined.{kind}"
