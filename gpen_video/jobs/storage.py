"""Storage that machines reach which see none of each other's disks: whatever fsspec knows, an object store above all.

Names in it are flat and begin with what belongs together, so that no folders are needed, which object stores do not
have; and each film's names begin differently, which is what object stores spread their load by.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from gpen_video.errors import ClusterError, UsageError, system_reason

_FileSystem: TypeAlias = Any
"""fsspec's; it has no types."""
BLOCK: Final = 2**23
"""Bytes that are fetched at once where a film is read in pieces."""
_SAMPLE: Final = b"gpen-video was here"


@dataclass(frozen=True, slots=True)
class Storage:
    """A folder or a bucket, or a place in one; can be pickled."""

    url: str
    """As fsspec has it: ``s3://bucket/place``, ``sftp://host/folder``, ``file:///mnt/store``."""

    def check(self) -> None:
        """See that it can be written to and read from.

        Raises:
            UsageError: It is none that is known here.
            ClusterError: It cannot be.
        """
        name = f"check-{socket.gethostname()}"
        system, root = self._opened()
        with self._told("written to"):
            system.pipe_file(f"{root}/{name}", _SAMPLE)
        with self._told("read from"):
            came_back = system.cat_file(f"{root}/{name}") == _SAMPLE
        if not came_back:
            raise ClusterError(f"the storage {self.url} gives back something else than was put there")
        self.remove(name)

    def put(self, path: Path, name: str) -> None:
        """Copy a file there.

        Raises:
            ClusterError: That cannot be done.
        """
        system, root = self._opened()
        with self._told("written to"):
            system.put_file(str(path), f"{root}/{name}")

    def open(self, name: str) -> "StoredFile":
        """Read a file in pieces.

        Raises:
            ClusterError: It is not there, or cannot be read.
        """
        system, root = self._opened()
        with self._told("read from"):
            return StoredFile(self, system.open(f"{root}/{name}", "rb", block_size=BLOCK))

    def size(self, name: str) -> int | None:
        """Bytes of a file; `None` where there is none.

        Raises:
            ClusterError: The storage cannot be reached.
        """
        system, root = self._opened()
        with self._told("read from"), suppress(FileNotFoundError):
            system.invalidate_cache()
            return int(system.info(f"{root}/{name}")["size"])
        return None

    def names(self, beginning: str) -> list[str]:
        """All whose names begin so.

        Raises:
            ClusterError: The storage cannot be reached.
        """
        system, root = self._opened()
        with self._told("read from"):
            system.invalidate_cache()
            return [path.rpartition("/")[2] for path in system.glob(f"{root}/{beginning}*")]

    def remove(self, *names: str) -> None:
        """Take files away, those that are there.

        Raises:
            ClusterError: That cannot be done.
        """
        system, root = self._opened()
        with self._told("written to"):
            for name in names:
                with suppress(FileNotFoundError):
                    system.rm_file(f"{root}/{name}")

    def _opened(self) -> tuple[_FileSystem, str]:
        with self._told("reached"):
            return _opened(self.url)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Make a user's error of what a file system raises; each has errors of its own, from whatever it is made of."""
        try:
            yield
        except (UsageError, ClusterError):
            raise
        except Exception as error:
            reason = system_reason(error) if isinstance(error, OSError) else str(error)
            where = f"the storage {self.url} cannot be {what} from {socket.gethostname()}"
            raise ClusterError(f"{where}: {reason.strip().partition(chr(10))[0] or type(error).__name__}") from error


class StoredFile:
    """An open file of a storage (`FilmBytes`)."""

    def __init__(self, storage: Storage, file: Any) -> None:  # noqa: ANN401  (fsspec's)
        """See `Storage.open`."""
        self._storage, self._file = storage, file

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; all that are left where it is not said.

        Raises:
            ClusterError: The storage is not there any more.
        """
        with self._storage._told("read from"):
            return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Where it stands."""
        return int(self._file.tell())

    def close(self) -> None:
        """Be done with it."""
        self._file.close()


@cache
def _opened(url: str) -> tuple[_FileSystem, str]:
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise UsageError(f"--storage {url}: {error}") from error
    return system, root.rstrip("/")
