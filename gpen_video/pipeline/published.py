"""What a run that was killed had given its name already, so that the next one does not take it for somebody else's."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gpen_video.errors import JournalError
from gpen_video.journal import WorkFolder, read_journal, work_folder_of
from gpen_video.media import place_of_result
from gpen_video.pipeline.extras import Extras
from gpen_video.pipeline.ledger import Named, path_text, replayed


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files of a run."""

    result: Path
    """Or the folder of an image sequence."""
    films: tuple[Path, ...]
    """Beside it; the journal tells of each, and of the result, before it gets its name."""
    texts: tuple[Path, ...]
    """Which are written when the result is there."""

    @classmethod
    def of(cls, source: Path, target: Path, extras: Extras) -> Self:
        """Of the run with these arguments."""
        films = tuple(path for path in (extras.matte, extras.layer) if path is not None)
        texts = (*((extras.report,) if extras.report is not None else ()), *extras.sidecars(target))
        return cls(place_of_result(target, source), films, texts)

    @property
    def work_folder(self) -> Path:
        """Where the run keeps what is finished."""
        return work_folder_of(self.result)

    @property
    def are_half_published(self) -> bool:
        """Whether all that is there of them was put there by a run that was killed before it had cleared up."""
        there = [path for path in (self.result, *self.films) if os.path.lexists(path)]
        if not there or (self.result not in there and any(map(os.path.lexists, self.texts))):
            return False
        journal = WorkFolder(self.work_folder).journal
        try:
            written = read_journal(journal)
            named = {} if written is None else replayed(journal, written).named
        except JournalError:
            return False  # it is told where the journal is gone on with
        return all(named.get(path_text(path)) == Named.of(path) for path in there)
