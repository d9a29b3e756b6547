"""Telling whether a film, or a file, is still the one it was; without reading all of it."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from gpen_video.errors import InputError

_BLOCK: Final = 1 << 16
_BLOCKS: Final = 18
"""Read from each file: the first, the last and others evenly between them, about a megabyte."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of a file, or of a folder of pictures.

    Equal fingerprints are taken for equal content: a film that is edited in place, and keeps its size, still gets
    another time. The reverse does not hold: a copy may have another time and the same content.
    """

    size: int
    """Bytes."""
    modified_ns: int
    """Since 1970; of a folder, of the picture that changed last."""
    sample_sha256: str
    """Of size and blocks, and of a folder's names."""

    def data(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: dict[str, Any]) -> Self:
        """Back from `data`."""
        return cls(int(data["size"]), int(data["modified_ns"]), str(data["sample_sha256"]))


def fingerprint(path: Path) -> Fingerprint:
    """Take a film's fingerprint; of an image sequence that is named by its pattern, that of its folder.

    Raises:
        InputError: It is not there, or cannot be read.
    """
    try:
        place = path if path.exists() else path.parent
        files = sorted(file for file in place.iterdir() if _counts(file)) if place.is_dir() else [place]
        stats = [file.stat() for file in files]
        digest = hashlib.sha256()
        for file, stat in zip(files, stats, strict=True):
            digest.update(f"{file.name if place.is_dir() else ''}\0{stat.st_size}\0".encode("utf-8", "surrogateescape"))
        for file, stat in zip(files, stats, strict=True) if len(files) <= _BLOCKS else ():
            _sample(file, stat.st_size, digest)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return Fingerprint(
        sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0), digest.hexdigest()
    )


def _counts(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".")


def _sample(file: Path, size: int, digest: "hashlib._Hash") -> None:
    last = max(0, size - _BLOCK)
    with file.open("rb") as data:
        for place in range(_BLOCKS):
            data.seek(last * place // (_BLOCKS - 1))
            digest.update(data.read(_BLOCK))
