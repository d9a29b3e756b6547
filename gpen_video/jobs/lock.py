"""A lock that the system releases when its holder dies, and that says who holds it."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gpen_video.errors import InUseError, OutputError

_LONGEST_NAME = 255  # bytes, of nearly every file system


def lock_path(path: Path) -> Path:
    """The hidden file beside `path` that is locked for it."""
    place = path.absolute()
    name = f".{place.name}.lock"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{place.name[:40]}.{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]}.lock"
    return place.with_name(name)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file, which need not exist; the lock file goes away with the lock.

    Args:
        path: The file.
        what: It in words, for the error: ``the batch jobs.toml``.

    Raises:
        InUseError: Another process holds it; names that process and its machine.
        OutputError: The lock file cannot be made.
    """
    file = lock_path(path)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InUseError(f"{what} is in use by {_holder(file)}; wait for that run, or stop it") from None
    except OSError as error:
        raise OutputError(f"{file} cannot be locked: {error.strerror or error}") from error
    try:
        with suppress(OSError):  # a full disk: the lock holds all the same, only its holder has no name
            file.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):  # Windows keeps open files
            file.unlink(missing_ok=True)  # while it is held: whoever waits for this inode looks again
        lock.release()


def _holder(file: Path) -> str:
    try:
        held_by = json.loads(file.read_text(encoding="utf-8"))
        return f"process {int(held_by['pid'])} on {held_by['host']}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another run"
