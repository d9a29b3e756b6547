"""The hidden folder beside a result in which its run keeps what is finished, and the lock on it."""

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from gpen_video.errors import InUseError, OutputError, system_reason

_ENDING: Final = ".gpen-work"
_LOCK: Final = "lock"
_OWNER: Final = "owner"
_JOURNAL: Final = "journal"
_LONGEST_NAME: Final = 100  # with what is added, short enough for any file system


def work_folder_of(target: Path) -> Path:
    """Where the run for a result keeps its work: the same for every run."""
    name = target.name
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
    return target.with_name(f".{name}{_ENDING}")


def work_folders_in(folder: Path) -> list[Path]:
    """All work folders in a folder and those below it, by name.

    Raises:
        OSError: The folder cannot be read.
    """
    found = []
    for place, names, _ in os.walk(folder, onerror=_raised):
        found += [Path(place) / name for name in names if name.startswith(".") and name.endswith(_ENDING)]
        names[:] = [name for name in names if not name.endswith(_ENDING)]
    return sorted(found)


def _raised(error: OSError) -> None:
    raise error


class WorkFolder:
    """A work folder that this process holds the lock of."""

    def __init__(self, path: Path) -> None:
        """See `held`."""
        self.path = path

    @property
    def journal(self) -> Path:
        """Where its journal is."""
        return self.path / _JOURNAL

    def clear(self) -> None:
        """Remove everything but the lock; the journal first, since what it tells of is no longer all there then."""
        self.journal.unlink(missing_ok=True)
        for entry in self.path.iterdir():
            if entry.name not in (_LOCK, _OWNER):
                _remove(entry)

    def tidy(self, wanted: frozenset[str]) -> None:
        """Remove files that no journal entry speaks of: what was being written when a run was killed."""
        for entry in self.path.iterdir():
            if entry.name not in wanted | {_LOCK, _OWNER, _JOURNAL}:
                _remove(entry)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept here."""
        return not any(entry.name not in (_LOCK, _OWNER) for entry in self.path.iterdir())


@contextmanager
def held(path: Path) -> Iterator[WorkFolder]:
    """Make a work folder if it is not there, and lock it; the system lets go of the lock however the process ends.

    When the block ends the folder is removed if nothing is kept in it.

    Raises:
        InUseError: Another run holds it; names its process and machine.
        OutputError: It cannot be made.
    """
    lock = _locked(path)
    try:
        folder = WorkFolder(path)
        with suppress(OSError):  # only to tell others who it is
            (path / _OWNER).write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        try:
            yield folder
        finally:
            with suppress(OSError):  # the storage may be gone; what is there is told by the error on its way
                if folder.is_empty:
                    shutil.rmtree(path)
    finally:
        lock.release()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _locked(path: Path) -> FileLock:
    lock = FileLock(path / _LOCK, timeout=0)
    while True:
        try:
            path.mkdir(exist_ok=True)
            lock.acquire()
        except Timeout:
            raise InUseError(
                f"{path}: another run is at work on this result ({_owner(path)}); wait for it, or stop it"
            ) from None
        except FileNotFoundError as error:
            if not path.parent.is_dir():
                raise OutputError(f"{path.parent}: the folder does not exist; create it first") from error
            continue  # the run that held it has just removed it
        except OSError as error:
            raise OutputError(f"the folder {path.parent} cannot be written to: {system_reason(error)}") from error
        if (path / _LOCK).exists():
            return lock
        lock.release()  # of a file that the run before removed with its folder


def _owner(path: Path) -> str:
    try:
        return (path / _OWNER).read_text(encoding="utf-8")
    except OSError:
        return "an unknown process"
