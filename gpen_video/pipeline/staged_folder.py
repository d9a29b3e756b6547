"""A folder that appears under its name whole or not at all."""

import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from gpen_video.errors import OutputError, system_reason
from gpen_video.media.staging import publish_folder

OwnName = Callable[[str], bool]
"""Whether a file of this name may be replaced: one that an earlier run wrote."""


def check_folder(folder: Path, owns: OwnName, *, overwrite: bool) -> None:
    """Check, without writing anything, whether a folder may be written: new, empty, or nothing but an older one.

    Raises:
        OutputError: It may not.
    """
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"{folder}: the folder {folder.absolute().parent} does not exist; create it first")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder")
    held = sorted(entry.name for entry in folder.iterdir())
    if held and not overwrite:
        raise OutputError(f"{folder} is not empty; choose another folder, or replace what is in it with --overwrite")
    if (other := next((name for name in held if not owns(name)), None)) is not None:
        raise OutputError(f"{folder} holds {other}, which was not written by this command; choose another folder")


@contextmanager
def staged_folder(folder: Path, owns: OwnName, *, overwrite: bool) -> Generator[Path]:
    """Write into a hidden folder beside it; it takes the name when the block ends, and is removed when the block fails.

    Raises:
        OutputError: See `check_folder`; or it cannot be written, for one on a full disk.
    """
    check_folder(folder, owns, overwrite=overwrite)
    place = folder.resolve()
    part = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with _told(place):
            part.mkdir()
        yield part
        publish_folder(part, place, lambda: check_folder(folder, owns, overwrite=overwrite))
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _told(place: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{place} cannot be written: {system_reason(error)}") from error
