"""Files that appear under their name whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gpen_video.errors import OutputError


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a ``.part`` beside the file; it takes the name when the block ends, and is removed when the block fails.

    Args:
        path: the file; its folder must exist.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: the file exists already or cannot be written, for one on a full disk.
    """
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name, or replace it with --overwrite")
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the name must not reach the disk before the content
        part.replace(path)
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    finally:
        part.unlink(missing_ok=True)
