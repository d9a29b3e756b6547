"""What a batch consists of: films, each with everything that its restoration needs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gpen_video.config import ResolvedSettings
from gpen_video.media.images_out import folder_of

if TYPE_CHECKING:  # importing it loads the networks' library, which a batch file with an error need not wait for
    from gpen_video.pipeline import Extras


@dataclass(frozen=True, slots=True)
class Job:
    """One film of a batch. Every path is absolute; it can be pickled.

    No two films of a batch have the same `target`: it identifies a film, as `name` does not.
    """

    name: str
    """Of the ``[[job]]`` that it comes from; all films of one have it in common."""
    line: int
    """In the batch file, where that ``[[job]]`` begins."""
    source: Path
    """A film; or an image sequence, by its pattern or folder."""
    target: Path
    """A file, or an image sequence by its pattern or folder; the folder above need not exist, see `make_folders`."""
    settings: ResolvedSettings
    extras: "Extras"
    overwrite: bool = False
    retries: int = 1
    """How often it is tried again after an error that may pass."""

    @property
    def side_files(self) -> tuple[Path, ...]:
        """What is written beside the result."""
        extras = self.extras
        named = (extras.report, extras.matte, extras.layer)
        return (*(path for path in named if path is not None), *extras.sidecars(self.target))

    def make_folders(self) -> None:
        """Make the folders in which result and side files will lie; done when the film's turn comes, not before.

        Raises:
            OSError: One cannot be made.
        """
        for path in (folder_of(self.target), *self.side_files):
            path.parent.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch file that has passed every check."""

    path: Path
    """The file itself, absolute."""
    jobs: tuple[Job, ...]
    """In the order of the file; films of one ``[[job]]`` in the order of their paths."""
    warnings: tuple[str, ...] = field(default=())
    """For the user, one line each."""

    @property
    def root(self) -> Path:
        """The folder of the file, to which its paths are relative."""
        return self.path.parent
