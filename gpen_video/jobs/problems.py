"""Everything that is wrong with a file, told at once: a line each, with the line of the file."""

from collections import Counter
from pathlib import Path
from typing import Final

from gpen_video.errors import JobFileError

_TOLD_OF_A_KIND: Final = 5
"""For one line of the file; 5,000 films without a folder to go to are one mistake."""


class Problems:
    """Collects what is wrong; `path` is how the file is called in messages."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: set[tuple[int, str]] = set()
        self._kinds: Counter[tuple[int, str]] = Counter()

    def add(self, line: int, message: str, *, kind: str = "") -> None:
        """Note something that is wrong.

        Args:
            line: Of the file, from 1.
            message: What is wrong and what to do. What cannot be printed is escaped.
            kind: Where it may come up for each of many films, a word for it; only the first are told, and their number.
        """
        if kind:
            self._kinds[line, kind] += 1
            if self._kinds[line, kind] > _TOLD_OF_A_KIND:
                return
        self._told.add((line, printable(message)))

    def raise_if_any(self) -> None:
        """Raise what there is.

        Raises:
            JobFileError: Something was added.
        """
        if self._told:
            raise self.error()

    def error(self) -> JobFileError:
        """All of it, sorted by line."""
        more = [
            (line, f"… and {count - _TOLD_OF_A_KIND} more like these")
            for (line, _), count in self._kinds.items()
            if count > _TOLD_OF_A_KIND
        ]
        told = sorted([*sorted(self._told), *sorted(more)], key=lambda each: each[0])  # stable: what is counted is last
        return JobFileError("\n".join(f"{printable(str(self._path))}:{line}: {message}" for line, message in told))


def printable(text: str) -> str:
    """One line, with what cannot be seen or encoded as an escape, as in Python's source."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
