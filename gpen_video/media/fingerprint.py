"""Telling whether a film, or a result, is still the one it was; without reading all of it."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from gpen_video.errors import InputError, system_reason
from gpen_video.media.images_out import folder_of
from gpen_video.media.sequence import find_sequence

_BLOCK: Final = 2**16
_BLOCKS: Final = 17
"""Read from a film: first, last, middle and others evenly between them, about a megabyte; of many images, two each."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of a file, or of several that are one film.

    Equal fingerprints are taken for equal content: a film that is edited in place, and keeps its size, still gets
    another time. A copy may have another time and the same content: whoever lets it pass compares the others alone.
    """

    size: int
    """Bytes of all files."""
    modified_ns: int
    """Since 1970; of the file that changed last."""
    sample_sha256: str
    """Of the files' sizes and of blocks of them; of a folder also of their names."""

    def data(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: dict[str, Any]) -> Self:
        """Back from `data`."""
        return cls(int(data["size"]), int(data["modified_ns"]), str(data["sample_sha256"]))


def fingerprint(film: Path) -> Fingerprint:
    """Of a film, whatever it is called: a file, or an image sequence as `sequence.find_sequence` takes it.

    Raises:
        ProbeError: It is an image sequence that is not whole.
        InputError: It is not there, or cannot be read.
    """
    with _told(film):
        images = find_sequence(film)
        return _taken([film] if images is None else list(images.files()))


def result_fingerprint(target: Path) -> Fingerprint:
    """Of what lies where a result is to be, film or not: a file; or all files of a folder, and what they are called.

    Args:
        target: A file, or an image sequence by its pattern or folder.

    Raises:
        InputError: It is not there, or cannot be read.
    """
    with _told(target):
        place = folder_of(target)
        if not place.is_dir():
            return _taken([place])
        files = sorted(file for file in place.iterdir() if file.is_file() and not file.name.startswith("."))
        return _taken(files, [file.name for file in files])


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {system_reason(error)}") from error


def _taken(files: Sequence[Path], names: Sequence[str] = ()) -> Fingerprint:
    stats = [file.stat() for file in files]
    sizes = [stat.st_size for stat in stats]
    digest = hashlib.sha256("".join(f"{size}\n" for size in sizes).encode())
    digest.update(os.fsencode("".join(f"{name}\0" for name in names)))
    looked_at = _spread(len(files), _BLOCKS)
    for index in looked_at:
        _sample(files[index], sizes[index], max(2, _BLOCKS // len(looked_at)), digest)
    return Fingerprint(sum(sizes), max((stat.st_mtime_ns for stat in stats), default=0), digest.hexdigest())


def _sample(file: Path, size: int, blocks: int, digest: "hashlib._Hash") -> None:
    with file.open("rb") as data:
        for start in _spread(max(1, size - _BLOCK + 1), blocks):
            data.seek(start)
            digest.update(data.read(_BLOCK))


def _spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers from 0 to `count` - 1, evenly, the first and the last among them."""
    return sorted({(count - 1) * place // (most - 1) for place in range(most)}) if count else []
