"""On which line of a TOML file each key, table and array element begins; `tomllib` does not say.

The text has been read by `tomllib` before, so that it is known to be TOML: what is a string, a comment, a bracket is
all that is decided here (TOML 1.0, https://toml.io; line ends within inline tables are put up with, as in 1.1).
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

Key = tuple[str | int, ...]
"""Where a value is: ``("job", 0, "inputs", 2)``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[^\s.=\]\"'#]+")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{1,2}(?!"))?'  # up to two quotes may stand before the closing three
    r"|'''.*?'''(?:'{1,2}(?!'))?"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^\s,\]}#](?:[^,\]}#\n]*[^\s,\]}#])?")


def key_lines(text: str) -> dict[Key, int]:
    """The line, counted from 1, of every key, table header and element of an array.

    A table that is only implied, as ``a`` is by ``[a.b]`` or ``a.b = 1``, has the line of what implies it first. A
    table that is stated has the line of its header.

    Args:
        text: Valid TOML, less deeply nested than Python's recursion.
    """
    scan = _Scan(text)
    scan.document()
    return scan.lines


@dataclass(slots=True)
class _Scan:
    text: str
    place: int = 0
    counted: int = 0
    """Up to where line ends are counted, so that counting them all takes one pass."""
    line: int = 1
    lines: dict[Key, int] = field(default_factory=dict)
    tables: dict[Key, int] = field(default_factory=dict)
    """How many tables each array of tables has so far."""

    def document(self) -> None:
        header: Key = ()
        while self.skip(_BLANK) is not None and self.place < len(self.text):
            if self.text.startswith("[", self.place):
                header = self.header()
            else:
                self.pair(header)

    def header(self) -> Key:
        line, double = self.here(), self.text.startswith("[[", self.place)
        self.place += 2 if double else 1
        *parents, last = self.dotted()
        self.place += 2 if double else 1
        key: Key = ()
        for part in parents:
            key = self.within((*key, part), line)
        key = (*key, last)
        if double:
            self.tables[key] = self.tables.get(key, 0) + 1
            self.lines.setdefault(key, line)
            key = self.within(key, line)
        self.lines[key] = line
        return key

    def within(self, key: Key, line: int) -> Key:
        """The table that a header means: of an array of tables, the last."""
        self.lines.setdefault(key, line)
        return (*key, self.tables[key] - 1) if key in self.tables else key

    def pair(self, parent: Key) -> None:
        line, key = self.here(), parent
        for part in self.dotted():
            key = (*key, part)
            self.lines.setdefault(key, line)
        self.place += 1  # the equals sign
        self.value(key)

    def dotted(self) -> list[str]:
        parts = [self.name()]
        while self.text.startswith(".", self.place):
            self.place += 1
            parts.append(self.name())
        return parts

    def name(self) -> str:
        """One part of a key, with the blanks around it."""
        self.skip(_BLANK)
        quoted = self.skip(_STRING)
        name = self.skip(_BARE_KEY) if quoted is None else tomllib.loads(f"key = {quoted}")["key"]
        self.skip(_BLANK)
        return str(name)

    def value(self, key: Key) -> None:
        self.skip(_BLANK)
        if self.text.startswith("[", self.place):
            self.items("]", lambda index: self.element((*key, index)))
        elif self.text.startswith("{", self.place):
            self.items("}", lambda _: self.pair(key))
        elif self.skip(_STRING) is None:
            self.skip(_SCALAR)

    def items(self, end: str, item: Callable[[int], None]) -> None:
        """What stands between brackets, with commas between."""
        self.place += 1
        index = 0
        while self.skip(_BLANK) is not None and not self.text.startswith(end, self.place):
            item(index)
            index += 1
            self.skip(_BLANK)
            self.place += self.text.startswith(",", self.place)
        self.place += 1

    def element(self, key: Key) -> None:
        self.lines[key] = self.here()
        self.value(key)

    def skip(self, pattern: re.Pattern[str]) -> str | None:
        """Go past what the pattern matches here; nothing happens where it does not."""
        found = pattern.match(self.text, self.place)
        if found is None:
            return None
        self.place = found.end()
        return found[0]

    def here(self) -> int:
        self.line += self.text.count("\n", self.counted, self.place)
        self.counted = self.place
        return self.line
