"""Files that appear under their name whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gpen_video.errors import OutputError, system_reason


@contextmanager
def whole_file(path: Path, *, overwrite: bool, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a hidden ``.part`` beside a file; it takes the name when the block ends, and is removed when it fails.

    Args:
        path: The file; its folder must exist.
        overwrite: Whether a file of that name may be replaced.
        sync: Bring the content to disk before the name, so that a power cut cannot leave an empty file; takes some
            milliseconds, which a report that is written again and again can save.

    Raises:
        OutputError: The file exists already, or by the end, or it cannot be written, for one on a full disk.
    """
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name, or replace it with --overwrite")
    part = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")  # short enough for any file system
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if path.exists() and not overwrite:
            raise OutputError(f"{path} appeared meanwhile; it is left as it is")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {system_reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)
