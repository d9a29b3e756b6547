"""The films that a job's ``inputs`` name: files, patterns of files, image sequences; ``!`` before one takes out."""

import glob
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

from gpen_video.errors import GpenVideoError, UsageError
from gpen_video.jobs.patterns import Pattern
from gpen_video.media.sequence import ENCODERS, ImageSequence, find_sequence, is_pattern, names_in

Tell = Callable[[int, str], None]
"""Is told what is wrong with which of the texts."""

_TAKES_OUT: Final = "!"
_NUMBERED: Final = re.compile(r"(.*?)\d+\.[^.]*", re.DOTALL)
_AROUND_NUMBERS: Final = " ._-"


@dataclass(frozen=True, slots=True)
class FoundFilm:
    """A film, and how it was found."""

    source: Path
    """A file; or an image sequence, by its pattern or folder."""
    base: Path
    """The folders of its pattern that have no wildcard, for `relative`."""
    images: ImageSequence | None = None

    @property
    def place(self) -> Path:
        """The file, or the folder of an image sequence."""
        return self.source if self.images is None else self.images.folder

    @property
    def fields(self) -> dict[str, str]:
        """What `template.FIELDS` says of the film itself."""
        source, images = self.source, self.images
        stem, folder = source.stem, source.parent
        if images is not None:
            stem = images.names.prefix.rstrip(_AROUND_NUMBERS) or images.folder.name
            folder = images.folder
            if source == folder:
                stem, folder = folder.name, folder.parent
        below = folder.relative_to(self.base).as_posix() if folder.is_relative_to(self.base) else "."
        return {
            "stem": stem,
            "name": source.name,
            "ext": (source.suffix if images is None else images.names.suffix).removeprefix("."),
            "parent": folder.name,
            "relative": "" if below == "." else below,
        }


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a job's ``inputs`` came to."""

    films: tuple[FoundFilm, ...] = ()
    """In the order of their paths, each once."""
    patterns: tuple[Pattern, ...] = ()
    """That take in."""
    taken_out: tuple[Pattern, ...] = ()
    idle: tuple[int, ...] = ()
    """Which texts take out nothing."""

    def would_take(self, path: Path) -> Pattern | None:
        """The pattern by which a file, which need not exist, would be an input; see `Pattern.matches`."""
        if any(pattern.covers(path) for pattern in self.taken_out):
            return None
        return next((pattern for pattern in self.patterns if pattern.parts and pattern.matches(path)), None)


def find_films(root: Path, texts: Sequence[str], tell: Tell, *, hot: Path | None = None) -> Inputs:
    """Look for films; none is opened.

    Args:
        root: The folder to which the texts are relative; absolute.
        texts: As the user wrote them.
        tell: Is told what is wrong, by the number of the text.
        hot: A folder in which nothing need be yet.
    """
    patterns: dict[int, Pattern] = {}
    for index, text in enumerate(texts):
        try:
            patterns[index] = Pattern.below(root, text.removeprefix(_TAKES_OUT))
        except ValueError as error:
            tell(index, f"{text}: {error}")
    out = {index: pattern for index, pattern in patterns.items() if texts[index].startswith(_TAKES_OUT)}
    kept = {index: pattern for index, pattern in patterns.items() if index not in out}
    found = [film for index, pattern in kept.items() for film in _told(pattern, partial(tell, index), hot)]
    films: dict[Path, FoundFilm] = {}
    busy: set[int] = set()
    resolved = cache(Path.resolve)
    for film in found:
        place = resolved(film.place.parent) / film.place.name
        taking = [index for index, pattern in out.items() if pattern.covers(place)]
        busy.update(taking)
        if not taking:
            films.setdefault(film.source, film)
    in_order = tuple(sorted(films.values(), key=lambda film: film.source.parts))
    return Inputs(
        in_order, tuple(kept.values()), tuple(out.values()), tuple(index for index in out if index not in busy)
    )


def _told(pattern: Pattern, tell: Callable[[str], None], hot: Path | None) -> list[FoundFilm]:
    """The films of a pattern; what is wrong with it is told."""
    films: list[FoundFilm] = []
    told: list[str] = []
    try:
        films += _films(pattern, told.append)
        if not films and not told and not (hot is not None and pattern.looks_into(hot)):
            told.append(_nothing(pattern))
    except OSError as error:
        told.append(f"{error.filename}: cannot be read: {error.strerror}")
    except GpenVideoError as error:
        told.append(str(error))
    for message in told:
        tell(message)
    return films


def _films(pattern: Pattern, tell: Callable[[str], None]) -> Iterator[FoundFilm]:
    whole = pattern.base.joinpath(*pattern.parts)
    if is_pattern(whole):
        yield from _sequences(pattern, whole.name, tell)
        return
    if not pattern.parts:
        if pattern.base.exists():
            images = find_sequence(pattern.base)
            yield FoundFilm(pattern.base, pattern.base.parent, images)
        return
    files = list(pattern.found())
    images_there = Counter(_kind_of_image(file) for file in files if file.suffix.lower() in ENCODERS)
    for (folder, prefix), count in images_there.items():
        if prefix is not None and count > 1:
            raise UsageError(
                f"{pattern.text} finds the {count} images {folder}/{prefix}… one by one; name a sequence as a whole, "
                "as in scans/*/frame_%04d.png"
            )
    for file in files:
        yield FoundFilm(file, pattern.base, find_sequence(file) if file.suffix.lower() in ENCODERS else None)


def _kind_of_image(file: Path) -> tuple[Path, str | None]:
    found = _NUMBERED.fullmatch(file.name)
    return file.parent, found[1] if found else None


def _sequences(pattern: Pattern, name: str, tell: Callable[[str], None]) -> Iterator[FoundFilm]:
    """One film for every folder in which there are images of that name."""
    names = names_in(Path(name))
    files = f"{glob.escape(names.prefix)}*{glob.escape(names.suffix)}"
    base, parts = (pattern.base, pattern.parts[:-1]) if pattern.parts else (pattern.base.parent, ())
    found = Pattern(pattern.text, base, (*parts, files)).found()
    for folder in dict.fromkeys(file.parent for file in found if names.number_of(file.name) is not None):
        try:
            yield FoundFilm(folder / name, base, find_sequence(folder / name))
        except GpenVideoError as error:
            tell(str(error))


def _nothing(pattern: Pattern) -> str:
    if not pattern.parts and not is_pattern(pattern.base):
        return f"{pattern.text}: there is no such file"
    advice = "; braces are not understood, write a pattern for each" if "{" in pattern.text else ""
    return f"{pattern.text}: no file is called so{advice}"
