"""The keys of ``[[job]]`` and ``[defaults]``: which there are, and what may be said."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST_RETRIES: Final = 100
_UNSET: Final = "none"
"""TOML has no null; in a job this takes back what the defaults say, as in settings."""

Check = Callable[[object], str | None]
"""What is wrong with a value; `None` for nothing."""


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value else "should be text"


def _texts(value: object) -> str | None:
    values = value if isinstance(value, list) else [value]
    return None if all(isinstance(each, str) and each for each in values) else "should be text, or a list of texts"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "should be true or false"


def _count(value: object) -> str | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_RETRIES
    return None if fits else f"should be a whole number from 0 to {MOST_RETRIES}"


def _name(value: object) -> str | None:
    plain = isinstance(value, str) and value.isprintable() and not {"/", "\\"} & set(value) and 0 < len(value) <= 100
    return None if plain and value not in (".", "..", " ") else "should be a name: at most 100 characters, no slash"


def _table(value: object) -> str | None:
    return None if isinstance(value, Mapping) else "is a table: [job.settings]"


KEYS: Final[Mapping[str, Check]] = {
    "name": _name,
    "inputs": _texts,
    "output": _text,
    "preset": _texts,
    "config": _text,
    "settings": _table,
    "faces": _text,
    "cues": _text,
    "report": _text,
    "matte": _text,
    "layer": _text,
    "framemd5": _flag,
    "verify": _flag,
    "overwrite": _flag,
    "retries": _count,
}
"""Of a ``[[job]]``."""
_NOT_IN_DEFAULTS: Final = {
    "name": "each job has its own",
    "inputs": "each job has its own",
    "settings": "write them in [settings]",
}
DEFAULT_KEYS: Final = tuple(key for key in KEYS if key not in _NOT_IN_DEFAULTS)
"""Of ``[defaults]``."""
_MAY_BE_UNSET: Final = ("preset", "config", "faces", "cues", "report", "matte", "layer")


@dataclass(frozen=True, slots=True)
class Stated:
    """A value, and the line on which it is written."""

    value: Any
    line: int

    @property
    def texts(self) -> tuple[str, ...]:
        """One text or several, as several."""
        return tuple(self.value) if isinstance(self.value, list) else (self.value,)


def wrong(key: str, value: object, *, in_defaults: bool = False) -> str | None:
    """What is wrong with a key or its value; `None` for nothing."""
    if key not in KEYS:
        return unknown(key, DEFAULT_KEYS if in_defaults else KEYS)
    if in_defaults and key in _NOT_IN_DEFAULTS:
        return f"{key} cannot be a default; {_NOT_IN_DEFAULTS[key]}"
    complaint = KEYS[key](value)
    return f"{key} = {shown(value)}: {complaint}" if complaint else None


def merged(defaults: Mapping[str, Stated], own: Mapping[str, Stated]) -> dict[str, Stated]:
    """A job's own words over the defaults; what is unset is left out."""
    both = {**defaults, **own}
    return {key: said for key, said in both.items() if not (key in _MAY_BE_UNSET and said.value == _UNSET)}


def unknown(key: str, known: Iterable[str]) -> str:
    """That there is no such key, and which was meant."""
    known = tuple(known)
    close = difflib.get_close_matches(key, known, n=1)
    return f"{key}: unknown key; " + (f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}")


def shown(value: object) -> str:
    """A value in a message: short, as TOML writes it where that is the same length."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
