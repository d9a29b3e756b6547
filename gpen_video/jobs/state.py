"""What a batch has finished, in a journal beside the batch file: so that a second run does only what is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gpen_video.errors import JournalError
from gpen_video.jobs.lock import locked
from gpen_video.jobs.outcome import Figures
from gpen_video.journal import Journal, go_on, read_journal, start_journal
from gpen_video.media.fingerprint import Fingerprint

_KIND: Final = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedFilm:
    """A film that is done, and what it was made from."""

    target: Path
    source: Fingerprint
    result: Fingerprint
    settings: str
    """Digest of what the result depends on (`gpen_video.jobs.digest`)."""
    figures: Figures | None
    """`None` where it was taken over from a treatment record."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunFilm:
    """A film that was begun, and may have been finished by a run that was killed before it could say so."""

    source: Fingerprint
    settings: str
    replaces: Fingerprint | None
    """The result that was there, and was to be replaced."""


def state_path(batch: Path) -> Path:
    """The hidden file beside a batch file: ``.jobs.toml.state``."""
    place = batch.absolute()
    return place.with_name(f".{place.name}.state")


class BatchState:
    """The films that are done, by result; what is added is on disk when `add` returns."""

    def __init__(self, path: Path) -> None:
        """Read what is there; see `batch_state`."""
        self._path = path
        self._folder = path.parent
        self._journal: Journal | None = None
        self._films: dict[str, FinishedFilm] = {}
        self._begun: dict[str, BegunFilm] = {}
        written = _read(path)
        if written is None:
            return
        try:
            for entry in written:
                self._read(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{path} holds an entry that is not understood ({error}); {_ADVICE}") from None

    def film(self, target: Path) -> FinishedFilm | None:
        """What is known of a result."""
        return self._films.get(self._name(target))

    def begun(self, target: Path) -> BegunFilm | None:
        """What is known of a result that was begun, and of whose end nothing is known."""
        return self._begun.get(self._name(target))

    def begin(self, target: Path, source: Fingerprint, settings: str, replaces: Fingerprint | None) -> None:
        """Note that a film is about to be begun.

        Args:
            target: Its result.
            source: What it is made from.
            settings: Digest of what the result depends on.
            replaces: The result that is there, if there is one.

        Raises:
            OutputError: It cannot be written.
        """
        self._begun[self._name(target)] = BegunFilm(source=source, settings=settings, replaces=replaces)
        before = None if replaces is None else replaces.data()
        self._append(target, "begun", {"source": source.data(), "settings": settings, "replaces": before})

    def add(self, film: FinishedFilm) -> None:
        """Note a film that is done.

        Raises:
            OutputError: It cannot be written; the film is known until this run ends.
        """
        name = self._name(film.target)
        self._films[name] = film
        self._begun.pop(name, None)
        figures = None if film.figures is None else asdict(film.figures)
        entry = {"source": film.source.data(), "result": film.result.data(), "settings": film.settings}
        self._append(film.target, "done", entry | {"figures": figures, "warnings": list(film.warnings)})

    def close(self) -> None:
        """Close the file."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _append(self, target: Path, event: str, entry: dict[str, Any]) -> None:
        if self._journal is None:
            self._journal = _opened(self._path)
        self._journal.append({"event": event, "target": self._name(target), **entry})

    def _read(self, entry: dict[str, Any]) -> None:
        name, source, settings = str(entry["target"]), Fingerprint.of_data(entry["source"]), str(entry["settings"])
        if entry["event"] == "begun":
            before = entry["replaces"]
            replaces = None if before is None else Fingerprint.of_data(before)
            self._begun[name] = BegunFilm(source=source, settings=settings, replaces=replaces)
            return
        self._begun.pop(name, None)
        figures = entry["figures"]
        self._films[name] = FinishedFilm(
            target=self._folder / name,
            source=source,
            result=Fingerprint.of_data(entry["result"]),
            settings=settings,
            figures=None if figures is None else Figures(**figures),
            warnings=tuple(map(str, entry["warnings"])),
        )

    def _name(self, target: Path) -> str:
        """Relative within the batch file's folder, so that a collection can be moved together with its state."""
        return str(target.relative_to(self._folder) if target.is_relative_to(self._folder) else target)


@contextmanager
def batch_state(batch: Path) -> Iterator[BatchState]:
    """Hold a batch file's state; only one run at a time may.

    Raises:
        InUseError: Another run is at work on this batch file; names it.
        JournalError: The state is damaged, or of a newer version.
        OutputError: The folder of the batch file cannot be written to.
    """
    path = state_path(batch)
    with locked(path, f"the batch {batch}"):
        state = BatchState(path)
        try:
            yield state
        finally:
            state.close()


_ADVICE: Final = "delete it and run with --adopt, which takes over results that their treatment records prove"


def _read(path: Path) -> tuple[dict[str, Any], ...] | None:
    written = read_journal(path, advice=_ADVICE)
    if written is None:
        return None
    if written.header.get("kind") != _KIND:
        raise JournalError(f"{path} is not the state of a batch; {_ADVICE}")
    return written.entries


def _opened(path: Path) -> Journal:
    written = read_journal(path, advice=_ADVICE)
    return start_journal(path, {"kind": _KIND}) if written is None else go_on(path, written)
