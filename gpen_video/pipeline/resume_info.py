"""What runs that were stopped have left."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpen_video.errors import InUseError, OutputError, UsageError
from gpen_video.journal import WorkFolder, held, read_journal, work_folder_of, work_folders_in
from gpen_video.pipeline.basis import Value
from gpen_video.pipeline.ledger import replayed
from gpen_video.pipeline.segment_files import told


@dataclass(frozen=True, slots=True)
class ResumeInfo:
    """Of one result that is not made yet."""

    folder: Path
    """Where the work lies."""
    film: str
    result: str
    frames: int
    """Finished."""
    total_frames: int | None
    """As far as the film's header tells."""
    segments: int
    bytes: int
    """Of what is finished."""
    restored: bool
    """Whether the whole film is restored, and has only to be put together."""
    in_use: bool
    """Whether a run is at work on it now."""
    basis: Mapping[str, Value]
    """What it holds for: another run goes on with it only where all of this is the same."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folder": str(self.folder),
            "film": self.film,
            "result": self.result,
            "frames": self.frames,
            "total_frames": self.total_frames,
            "segments": self.segments,
            "bytes": self.bytes,
            "restored": self.restored,
            "in_use": self.in_use,
            "basis": dict(self.basis),
        }


def resume_info(path: str | Path) -> tuple[ResumeInfo, ...]:
    """What is finished for a result, or for all results in a folder and those below it; nothing is changed.

    Args:
        path: The result, which need not be there, or a folder.

    Raises:
        UsageError: There is neither such a folder nor work for a result of that name.
        JournalError: A journal is damaged, or of a newer version.
    """
    found = [_info(folder) for folder in _folders(Path(path))]
    return tuple(info for info in found if info is not None)


def remove_work(info: ResumeInfo) -> None:
    """Throw away what is finished of a film.

    Raises:
        InUseError: A run is at work on it.
        OutputError: It cannot be removed.
    """
    with held(info.folder) as folder, told(info.folder):
        folder.clear()


def _folders(path: Path) -> list[Path]:
    own = work_folder_of(path)
    if own.is_dir():
        return [own]
    if not path.is_dir():
        raise UsageError(f"{path}: no run for a result of that name was stopped, and it is no folder")
    try:
        return work_folders_in(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error


def _info(path: Path) -> ResumeInfo | None:
    work = WorkFolder(path)
    written = read_journal(work.journal)
    if written is None:
        return None
    progress = replayed(work.journal, written)
    sizes = [seal.bytes for _, seal in progress.files().values()]
    header = written.header
    return ResumeInfo(
        folder=path,
        film=str(header.get("film", "")),
        result=str(header.get("result", "")),
        frames=progress.frames,
        total_frames=header.get("frames"),
        segments=len(progress.finished),
        bytes=sum(sizes),
        restored=progress.is_whole,
        in_use=_is_held(path),
        basis=header.get("basis", {}),
    )


def _is_held(path: Path) -> bool:
    try:
        with held(path):
            return False
    except InUseError:
        return True
