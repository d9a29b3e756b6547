"""Fetching one file over HTTP: streamed beside its place, checked, then renamed into it."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from gpen_video.errors import ChecksumError, DownloadError
from gpen_video.weights.parts import part_beside

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and, where known, the bytes of the whole."""

_CHUNK: Final = 1 << 18
_TIMEOUT_SECONDS: Final = 30.0
_HEADERS: Final = {"User-Agent": "gpen-video", "Accept-Encoding": "identity"}


def download(
    url: str, target: Path, *, size: int | None = None, sha256: str | None = None, progress: Progress | None = None
) -> str:
    """Fetch `url` to `target`, which appears only when it is whole; returns its SHA-256.

    Args:
        url: http or https.
        target: the file to make; its folder is made where missing.
        size: its size in bytes, where known.
        sha256: its hash, where known.
        progress: called after every chunk.

    Raises:
        DownloadError: the server cannot be reached or breaks off, or the file cannot be written.
        ChecksumError: what came is not what was asked for.
    """
    _make_folder(target.parent)
    part = part_beside(target)
    try:
        with _create(part) as file:
            count, digest = _stream(url, file, size, progress)
            _check(url, count, digest, size, sha256)
            _settle(file, part, target)
        return digest
    finally:
        part.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{folder}: cannot be made: {error.strerror}") from None


def _create(part: Path) -> IO[bytes]:
    try:
        return part.open("xb")
    except OSError as error:
        raise DownloadError(f"{part.parent}: cannot be written: {error.strerror}") from None


def _stream(url: str, file: IO[bytes], size: int | None, progress: Progress | None) -> tuple[int, str]:
    hasher = hashlib.sha256()
    count = 0
    for chunk, whole in _chunks(url):
        hasher.update(chunk)
        try:
            file.write(chunk)
        except OSError as error:
            raise DownloadError(f"{file.name}: cannot be written: {error.strerror}") from None
        count += len(chunk)
        if size is not None and count > size:
            raise ChecksumError(f"{url}: more than the {size} bytes that it should have")
        if progress is not None:
            progress(count, whole or size)
    return count, hasher.hexdigest()


def _chunks(url: str) -> Iterator[tuple[bytes, int | None]]:
    """The body in chunks, each with the length that the server announced for the whole."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=_HEADERS), timeout=_TIMEOUT_SECONDS) as reply:
            announced = reply.headers.get("Content-Length")
            whole = int(announced) if announced is not None else None
            count = 0
            while chunk := reply.read(_CHUNK):
                count += len(chunk)
                yield chunk, whole
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DownloadError(f"{url}: cannot be fetched: {reason}") from None
    if whole is not None and count != whole:
        raise DownloadError(f"{url}: broke off after {count} of {whole} bytes; try again")


def _check(url: str, count: int, digest: str, size: int | None, sha256: str | None) -> None:
    if size is not None and count != size:
        raise ChecksumError(f"{url}: {count} bytes came, {size} were expected")
    if sha256 is not None and digest != sha256:
        raise ChecksumError(f"{url}: what came has sha256 {digest}, {sha256} was expected; it was thrown away")


def _settle(file: IO[bytes], part: Path, target: Path) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
        file.close()  # Windows renames no open file
        part.replace(target)
    except OSError as error:
        raise DownloadError(f"{target}: cannot be written: {error.strerror}") from None
