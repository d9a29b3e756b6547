"""Patterns of files: ``reels/**/*.mov``. One meaning for finding files and for telling whether one would be found.

``*``, ``?`` and ``[abc]`` stand for part of a name, ``**`` for any number of folders. Names that begin with a dot are
found only by a pattern that states the dot: unfinished files have such names. ``**`` does not follow symbolic links,
which may lead in circles. A text that is the name of something that is there means just that, whatever it looks like.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Final

_WILD: Final = re.compile(r"[*?\[]")
_ANY_FOLDERS: Final = "**"

_Names = Sequence[re.Pattern[str] | None]
"""What each part of a pattern means; `None` for any folders."""


@dataclass(frozen=True)
class Pattern:
    """What a text of the user means."""

    text: str
    base: Path
    """The folders before the first wildcard, absolute; without wildcards, all of it."""
    parts: tuple[str, ...]
    """What is below; ``**`` is never the last."""

    @classmethod
    def below(cls, root: Path, text: str) -> "Pattern":
        """Read a pattern.

        Args:
            root: An absolute folder, to which it is relative.
            text: With slashes.

        Raises:
            ValueError: ``..`` stands behind a wildcard.
        """
        whole = Path(os.path.normpath(root / text))
        if not _WILD.search(text) or whole.exists():
            return cls(text, whole, ())
        parts = [part for part in text.split("/") if part not in ("", ".")]
        fixed = list(takewhile(lambda part: not _WILD.search(part), parts))
        rest = parts[len(fixed) :]
        if ".." in rest:
            raise ValueError("'..' cannot stand behind a wildcard")
        if rest[-1] == _ANY_FOLDERS:
            rest.append("*")
        return cls(text, Path(os.path.normpath(Path(root, "/" * text.startswith("/"), *fixed))), tuple(rest))

    def found(self) -> Iterator[Path]:
        """The files that match; in any order, each once.

        Raises:
            OSError: A folder on the way cannot be read.
        """
        if not self.parts:
            return iter([self.base] if self.base.is_file() else [])
        return iter(dict.fromkeys(_found(self.base, self._names)))

    def matches(self, path: Path) -> bool:
        """Whether that file, which need not be there, would be found.

        Args:
            path: Absolute, its folder without symbolic links.
        """
        base = self.real_base
        return path.is_relative_to(base) and _fits(path.relative_to(base).parts, self._names)

    def covers(self, path: Path) -> bool:
        """Whether it matches that path or a folder that it is in."""
        return any(self.matches(each) for each in (path, *path.parents))

    def looks_into(self, folder: Path) -> bool:
        """Whether it has wildcards, and could find files in that folder or below."""
        real = folder.resolve()
        return bool(self.parts) and (self.real_base.is_relative_to(real) or real.is_relative_to(self.real_base))

    @cached_property
    def real_base(self) -> Path:
        """`base` without symbolic links."""
        return self.base.resolve() if self.parts else self.base.parent.resolve() / self.base.name

    @cached_property
    def _names(self) -> _Names:
        return [None if part == _ANY_FOLDERS else _name_pattern(part) for part in self.parts]


def _name_pattern(part: str) -> re.Pattern[str]:
    return re.compile(("" if part.startswith(".") else r"(?!\.)") + translate(part))


def _found(folder: Path, names: _Names) -> Iterator[Path]:
    head, rest = names[0], names[1:]
    if head is None:
        yield from _found(folder, rest)
    for entry in _entries(folder):
        if head is None:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield from _found(Path(entry.path), names)
        elif head.match(entry.name):
            path = Path(entry.path)
            if rest:
                yield from _found(path, rest) if path.is_dir() else ()
            elif path.is_file():
                yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _fits(parts: Sequence[str], names: _Names) -> bool:
    if not names:
        return not parts
    head, rest = names[0], names[1:]
    if head is None:
        return _fits(parts, rest) or (bool(parts) and not parts[0].startswith(".") and _fits(parts[1:], names))
    return bool(parts) and head.match(parts[0]) is not None and _fits(parts[1:], rest)
