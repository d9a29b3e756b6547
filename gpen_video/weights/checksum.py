"""SHA-256 of files, and lists of them in the form that ``sha256sum --check`` reads."""

import hashlib
from pathlib import Path

from gpen_video.errors import ChecksumError, WeightsError
from gpen_video.weights.parts import part_beside


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None


def read_sums(path: Path) -> dict[str, str]:
    """File name -> SHA-256, from lines of ``hash  name``.

    Raises:
        WeightsError: the list cannot be read.
        ChecksumError: the list is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read: {error}") from None
    sums: dict[str, str] = {}
    for line in filter(None, lines):
        digest, _, name = line.partition(" ")
        if len(digest) != 64 or not name.strip():
            raise ChecksumError(f"{path}: this list of checksums is damaged; a line of it reads {line!r}")
        sums[name.strip().removeprefix("*")] = digest.lower()
    return sums


def write_sum(path: Path, name: str, digest: str) -> None:
    """Write a list of one checksum, whole or not at all.

    Raises:
        WeightsError: the list cannot be written.
    """
    part = part_beside(path)
    try:
        part.write_text(f"{digest}  {name}\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise WeightsError(f"{path}: the checksum of {name} cannot be recorded: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
