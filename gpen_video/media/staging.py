"""The result under a temporary name beside its own, until it is whole."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpen_video.errors import OutputError, UsageError
from gpen_video.media.assemble import container_of


@dataclass(frozen=True, slots=True)
class StagedOutput:
    """Names to write to; all of them are hidden files beside the target."""

    target: Path
    part: Path
    """Becomes the target when the block ends without an error."""
    video: Path
    """For the restored pictures alone; removed in any case."""


@contextmanager
def staged_output(target: Path, *, overwrite: bool, source: Path | None = None) -> Iterator[StagedOutput]:
    """Check where the result is to go, then stage it; the target appears whole or not at all.

    Temporary files are removed however the block ends, Ctrl-C included.

    Args:
        target: The result.
        overwrite: Whether a file of that name may be replaced; that happens at the very end.
        source: The film that is read, which must not be the target.

    Raises:
        UsageError: The target is the source, or its ending is unknown.
        OutputError: The target's folder is missing or cannot be written to, the target is a folder or exists, or the
            finished file cannot be given its name.
    """
    check_target(target, overwrite=overwrite, source=source)
    stem = f".{target.name[:100]}.{secrets.token_hex(4)}"  # short enough for any file system
    staged = StagedOutput(target, target.with_name(f"{stem}.part"), target.with_name(f"{stem}.video.part"))
    try:
        _check_writable(staged.part)
        yield staged
        _publish(staged, overwrite=overwrite)
    finally:
        staged.part.unlink(missing_ok=True)
        staged.video.unlink(missing_ok=True)


def check_target(target: Path, *, overwrite: bool, source: Path | None = None) -> None:
    """Check, without writing anything, whether a result may go there; see `staged_output`."""
    container_of(target)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: the folder {target.parent} does not exist; create it first")
    if target.is_dir():
        raise OutputError(f"{target} is a folder; name a file")
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} is the source itself; choose another name for the result")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already; choose another name, or replace it with --overwrite")


def _check_writable(part: Path) -> None:
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise OutputError(f"the folder {part.parent} cannot be written to: {reason}") from error


def _publish(staged: StagedOutput, *, overwrite: bool) -> None:
    target = staged.target
    try:
        with staged.part.open("rb+") as part:
            os.fsync(part.fileno())  # the name must not reach the disk before the content
        if not overwrite and target.exists():
            raise OutputError(f"{target} appeared while the film was being restored; it is left as it is")
        staged.part.replace(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from error
