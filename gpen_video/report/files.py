"""Size and hash of a film on disk."""

import hashlib
from pathlib import Path

from gpen_video.errors import InputError
from gpen_video.report.record import FilmFile


def film_file(path: Path, frames: int, *, called: Path | None = None) -> FilmFile:
    """Measure a file, or a folder that holds an image sequence; reads all of it.

    Args:
        path: Where it is.
        frames: Pictures in it.
        called: The name to record, where it has not got its own yet.

    Raises:
        InputError: It cannot be read.
    """
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files)
        digests = [_sha256(file) for file in files]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if path.is_dir():
        lines = (f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True))
        digests = [hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()]
    return FilmFile(str(called or path), size, digests[0], frames)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
