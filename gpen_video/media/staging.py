"""The result under a temporary name beside its own, until it is whole: a file, or the folder of an image sequence."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from gpen_video.errors import OutputError, UsageError, system_reason
from gpen_video.media.assemble import container_of
from gpen_video.media.images_out import check_folder, folder_of, image_names

Announce = Callable[[Path, Path], None]
"""Takes a finished part, and the place that it is about to get."""


@dataclass(frozen=True, slots=True)
class StagedOutput:
    """Where to write."""

    target: Path
    part: Path
    """Becomes the target when the block ends without an error; of an image sequence, its folder."""


@contextmanager
def staged_output(
    target: Path,
    *,
    overwrite: bool,
    source: Path | None = None,
    folder: Path | None = None,
    announce: Announce | None = None,
) -> Iterator[StagedOutput]:
    """Check where the result is to go, then stage it; the target appears whole or not at all.

    Temporary files are removed however the block ends, Ctrl-C included.

    Args:
        target: The result: a file, or an image sequence by its pattern or folder (`images_out.image_names`).
        overwrite: Whether a file of that name, or images of these names, may be replaced; that happens at the very end.
        source: The film that is read, which must not be the target.
        folder: A hidden one to write in, if it is on the target's file system; whoever owns it removes what a run that
            is killed leaves there. Else, a hidden file beside the target is written.
        announce: Is told, just before, of a finished part that is given its name.

    Raises:
        UsageError: The target is the source, or its ending is unknown.
        OutputError: The target's folder is missing or cannot be written to, the target is a folder or exists, or the
            finished file cannot be given its name.
    """
    check_target(target, overwrite=overwrite, source=source)
    names = image_names(target, source)
    place = place_of_result(target, source)
    name = f".{place.name[:100]}.{secrets.token_hex(4)}.part"  # short enough for any file system
    staged = StagedOutput(target, (folder if _is_beside(folder, place) else place.parent) / name)
    try:
        _check_writable(staged.part, is_folder=names is not None)
        yield staged
        if announce is not None:
            announce(staged.part, place)
        if names is None:
            _publish(staged, overwrite=overwrite)
        else:
            publish_folder(staged.part, place, lambda: check_folder(target, names, overwrite=overwrite, source=source))
    finally:
        if staged.part.is_dir():
            shutil.rmtree(staged.part, ignore_errors=True)
        else:
            staged.part.unlink(missing_ok=True)


def _is_beside(folder: Path | None, place: Path) -> TypeGuard[Path]:
    """Whether what is written there can be given that name."""
    return folder is not None and folder.stat().st_dev == place.parent.stat().st_dev


def place_of_result(target: Path, source: Path | None = None) -> Path:
    """The file, or the folder of an image sequence, that a result will be."""
    return target if image_names(target, source) is None else folder_of(target).absolute()


def check_target(target: Path, *, overwrite: bool, source: Path | None = None) -> None:
    """Check, without writing anything, whether a result may go there; see `staged_output`."""
    names = image_names(target, source)
    if names is not None:
        check_folder(target, names, overwrite=overwrite, source=source)
        return
    container_of(target)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: the folder {target.parent} does not exist; create it first")
    if target.is_dir():
        raise OutputError(f"{target} is a folder; name a file")
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} is the source itself; choose another name for the result")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already; choose another name, or replace it with --overwrite")


def _check_writable(part: Path, *, is_folder: bool) -> None:
    try:
        if is_folder:
            part.mkdir()
        else:
            part.touch(exist_ok=False)
    except OSError as error:
        raise OutputError(f"the folder {part.parent} cannot be written to: {system_reason(error)}") from error


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


def publish_folder(part: Path, folder: Path, check_again: Callable[[], None]) -> None:
    """Give a folder its name; one that is there under that name steps aside first, and comes back if that fails.

    Args:
        part: The finished folder, on the file system where it will be.
        folder: That name.
        check_again: Raises where something has appeared there meanwhile.

    Raises:
        OutputError: The name cannot be given.
    """
    try:
        if hasattr(os, "sync"):
            os.sync()  # the name must not reach the disk before the content; one call for many files
        check_again()
        aside = folder.with_name(f".{folder.name[:100]}.{secrets.token_hex(4)}.old")
        if folder.exists():
            folder.rename(aside)
        try:
            part.rename(folder)
        except OSError:
            if aside.exists():
                aside.rename(folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error
