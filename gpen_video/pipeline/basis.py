"""What work on a film holds for: the film, the settings, the program; and how two of these differ, in words."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gpen_video.config import Settings
from gpen_video.errors import InputError
from gpen_video.media.sequence import find_sequence

Value = bool | int | float | str

_SAMPLE_BYTES: Final = 2**18
_PLACES: Final = 3


@dataclass(frozen=True, slots=True)
class FilmFingerprint:
    """By which a film is known again without reading all of it."""

    bytes: int
    """Of all its files."""
    sample_sha256: str
    """Of the sizes of its files, and of parts of it: start, middle and end."""


def film_fingerprint(path: Path) -> FilmFingerprint:
    """Read a few parts of a film's files.

    Raises:
        InputError: They cannot be read.
    """
    images = find_sequence(path)
    try:
        files = [path] if images is None else list(images.files())
        sizes = [file.stat().st_size for file in files]
        digest = hashlib.sha256("".join(f"{size}\n" for size in sizes).encode())
        for file in dict.fromkeys(files[place * (len(files) - 1) // (_PLACES - 1)] for place in range(_PLACES)):
            for part in _parts(file):
                digest.update(part)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return FilmFingerprint(sum(sizes), digest.hexdigest())


def setting_values(settings: Settings, sections: Iterable[str], beside: Collection[str] = ()) -> dict[str, Value]:
    """All settings of some sections by dotted key, so that a new one cannot be forgotten; ``"none"`` for unset ones.

    Args:
        settings: Of a run.
        sections: Their names.
        beside: Keys to leave out.
    """
    values: dict[str, Value] = {}
    for section in sections:
        for name, value in getattr(settings, section).model_dump().items():
            if (key := f"{section}.{name}") not in beside:
                values[key] = _plain(value)
    return values


def changed_values(before: Mapping[str, Value], now: Mapping[str, Value]) -> list[str]:
    """What differs, as ``detect.score = 0.6 (now 0.5)``."""
    return [
        f"{key} = {before.get(key, 'none')} (now {now.get(key, 'none')})"
        for key in dict.fromkeys((*before, *now))
        if before.get(key, "none") != now.get(key, "none")
    ]


def shown_name(path: Path) -> str:
    """The name, with broken bytes written out."""
    return path.name.encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> Value:
    if isinstance(value, dict):
        return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none"
    return value if isinstance(value, bool | int | float | str) else "none"


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        spare = max(path.stat().st_size - _SAMPLE_BYTES, 0)
        for place in range(_PLACES):
            file.seek(place * spare // (_PLACES - 1))
            yield file.read(_SAMPLE_BYTES)
