"""A hot folder: films are taken when they are wholly there, and not before."""

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gpen_video.errors import GpenVideoError, InputError
from gpen_video.jobs.job import Batch, Job
from gpen_video.media import probe

UNFINISHED_ENDINGS: Final = frozenset(
    {".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".opdownload", ".!qb", ".aria2"}
)
"""Of names under which browsers, copying programs and transfers write."""

_Identity = tuple[int, int, int]
"""Bytes, time of change in nanoseconds, inode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotFolder:
    """Where films arrive, and when one is taken to be whole."""

    folder: Path
    reload: Callable[[], Batch]
    """Reads the batch file again, so that its patterns find what has arrived."""
    settle: float = 10.0
    """Seconds for which size and time must stay as they are."""
    patience: float = 600.0
    """Seconds after which a film that is whole by that measure, and still cannot be opened, is reported as failed."""
    interval: float = 2.0
    """Seconds between two looks."""

    def holds(self, source: Path) -> bool:
        """Whether a film lies in the folder, or deeper."""
        return source.parent.resolve().is_relative_to(self.folder.resolve())


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A film that has been lying there for long and cannot be opened."""

    job: Job
    error: InputError


@dataclass(slots=True)
class _Seen:
    identity: _Identity
    since: float
    is_dealt_with: bool = False


@dataclass(eq=False)
class Watcher:
    """Looks into a hot folder again and again, and remembers what it saw."""

    hot: HotFolder
    on_warning: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Path, _Seen] = field(default_factory=dict)
    _complained: str = ""

    def arrivals(self, busy: Collection[Path] = ()) -> Iterator[Job | Unreadable]:
        """The films that are wholly there since the last look, and those that are given up.

        A film that is replaced by another of its name is a new one.

        Args:
            busy: sources that are being restored, or wait for it; they are looked at another time.
        """
        for job in self._jobs():
            if job.source in busy or not self.hot.holds(job.source) or is_unfinished_name(job.source):
                continue
            found = self._looked_at(job)
            if found is not None:
                yield found

    def _jobs(self) -> tuple[Job, ...]:
        try:
            jobs = self.hot.reload().jobs
        except GpenVideoError as error:  # an arrival, or somebody at the batch file, has made it wrong for now
            if str(error) != self._complained:
                self._complained = str(error)
                self.on_warning(f"nothing new is taken until this is put right: {error}")
            return ()
        self._complained = ""
        self._seen = {job.source: self._seen[job.source] for job in jobs if job.source in self._seen}
        return jobs

    def _looked_at(self, job: Job) -> Job | Unreadable | None:
        try:
            identity = _identity(job.source)
        except OSError:
            self._seen.pop(job.source, None)  # gone again; or the storage is away, and may come back
            return None
        seen = self._seen.get(job.source)
        if seen is None or seen.identity != identity:
            self._seen[job.source] = seen = _Seen(identity, self.clock())
        waited = self.clock() - seen.since
        if seen.is_dealt_with or waited < self.hot.settle or is_being_written(job.source):
            return None
        try:
            probe(job.source, job.settings.settings.media.frame_rate)
        except InputError as error:
            seen.is_dealt_with = waited >= self.hot.settle + self.hot.patience
            return Unreadable(job, error) if seen.is_dealt_with else None
        seen.is_dealt_with = True
        return job


def is_unfinished_name(path: Path) -> bool:
    """Whether a name says that something is still being written, or is hidden."""
    return path.name.startswith((".", "~")) or path.suffix.lower() in UNFINISHED_ENDINGS


def is_being_written(path: Path) -> bool:
    """Whether a process on this machine has the file open for writing, as far as Linux shows; elsewhere False.

    Writers on other machines, and of other users unless this runs as root, are not seen.
    """
    if not sys.platform.startswith("linux"):
        return False
    with suppress(OSError):
        wanted = path.stat()
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            with suppress(OSError, ValueError, IndexError):  # processes and files come and go
                if link.readlink().name != path.name:  # spares a look at storage that may not answer
                    continue
                found = link.stat()
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino) and _is_open_for_writing(link):
                    return True
    return False


def _is_open_for_writing(link: Path) -> bool:
    """By proc(5): fdinfo has the flags of open(2), in octal."""
    text = (link.parents[1] / "fdinfo" / link.name).read_text(encoding="ascii")
    (flags,) = (line.split()[1] for line in text.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _identity(source: Path) -> _Identity:
    """Of a film; of an image sequence, of its pictures together."""
    place = source if source.exists() else source.parent
    stats = [entry.stat() for entry in place.iterdir()] if place.is_dir() else [place.stat()]
    return (
        sum(stat.st_size for stat in stats),
        max((stat.st_mtime_ns for stat in stats), default=0),
        stats[0].st_ino if len(stats) == 1 else len(stats),
    )
