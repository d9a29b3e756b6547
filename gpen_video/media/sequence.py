"""Image sequences: numbered DPX, TIFF or PNG files of one folder, which are a film together."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from gpen_video.errors import ConfigError, ProbeError, UsageError
from gpen_video.media.image_headers import DpxHeader, image_size

ENCODERS = {".dpx": "dpx", ".tif": "tiff", ".tiff": "tiff", ".png": "png"}
"""FFmpeg's encoder for an ending, in lower case."""

_NUMBER_IN_PATTERN = re.compile(r"%(?:0(\d{1,2}))?d")
_NUMBERED = re.compile(r"(.*?)(\d+)(\.[^.]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ImageNames:
    """How the files of a sequence are called."""

    prefix: str
    digits: int
    """At least so many, filled up with zeros."""
    suffix: str
    """With the dot, as it is written."""
    first: int = 1
    """The number of the first file."""

    def name(self, index: int) -> str:
        """Of the file of frame `index`, which counts from 0."""
        return f"{self.prefix}{self.first + index:0{self.digits}d}{self.suffix}"

    @property
    def pattern(self) -> str:
        """As users write it: ``scan_%06d.dpx``."""
        return f"{self.prefix}%{f'0{self.digits}' if self.digits > 1 else ''}d{self.suffix}"

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder for such files."""
        return ENCODERS[self.suffix.lower()]

    def number_of(self, name: str) -> int | None:
        """The number of a file; `None` if it is not called so."""
        inside = name[len(self.prefix) : len(name) - len(self.suffix)]
        if not (name.startswith(self.prefix) and name.endswith(self.suffix) and inside.isascii() and inside.isdigit()):
            return None
        return int(inside) if f"{int(inside):0{self.digits}d}" == inside else None


@dataclass(frozen=True, slots=True)
class ImageSequence:
    """Files that are there, numbered without a gap."""

    folder: Path
    names: ImageNames
    count: int

    @property
    def path(self) -> Path:
        """Folder and pattern."""
        return self.folder / self.names.pattern

    @property
    def url(self) -> str:
        """As FFmpeg's image2 demuxer takes it."""
        names = self.names
        escaped = [part.replace("%", "%%") for part in (f"{self.folder}/{names.prefix}", names.suffix)]
        return f"file:{escaped[0]}%0{names.digits}d{escaped[1]}"

    def files(self) -> Iterator[Path]:
        """All files, in order."""
        return (self.folder / self.names.name(index) for index in range(self.count))

    def demuxer_options(self, rate: Fraction) -> dict[str, str]:
        """Of FFmpeg's image2 demuxer."""
        return {
            "pattern_type": "sequence",
            "start_number": str(self.names.first),
            "start_number_range": "1",
            "framerate": f"{rate.numerator}/{rate.denominator}",
        }


def is_pattern(path: Path) -> bool:
    """Whether a name stands for numbered image files, as ``scan_%06d.dpx`` does."""
    return bool(_NUMBER_IN_PATTERN.search(path.name)) and path.suffix.lower() in ENCODERS and not path.exists()


def names_in(path: Path) -> ImageNames:
    """The names that a pattern stands for.

    Raises:
        UsageError: It has more than one number.
    """
    numbers = list(_NUMBER_IN_PATTERN.finditer(path.name))
    if len(numbers) != 1:
        raise UsageError(f"{path}: a pattern of image files has one number, as in scan_%06d.dpx")
    found, suffix = numbers[0], path.suffix
    if found.end() != len(path.name) - len(suffix):
        raise UsageError(f"{path}: the number of image files stands just before the ending, as in scan_%06d.dpx")
    return ImageNames(path.name[: found.start()], int(found.group(1) or 1), suffix)


def find_sequence(path: Path) -> ImageSequence | None:
    """The sequence that a path stands for; `None` if it stands for an ordinary film, or for nothing.

    Args:
        path: A folder of numbered images, a pattern (``scan_%06d.dpx``), or the first of the files. An image without
            a number, or without a neighbour, is a film of one frame and no sequence.

    Raises:
        ProbeError: A number is missing, no file fits, files of several sequences lie in the folder, or the file is
            not the first.
    """
    if is_pattern(path):
        return _whole(path, path.parent, names_in(path))
    if path.is_dir():
        return _in_folder(path)
    found = _NUMBERED.fullmatch(path.name)
    if path.suffix.lower() not in ENCODERS or not found or not path.is_file():
        return None
    prefix, number, suffix = found.groups()
    sequence = _whole(path, path.parent, ImageNames(prefix, len(number) if number.startswith("0") else 1, suffix))
    if sequence.count == 1:
        return None
    if sequence.names.first != int(number):
        first = sequence.names.name(0)
        raise ProbeError(
            f"{path} is not the first image of its sequence, {first} is; name that one, or {sequence.path}"
        )
    return sequence


def _in_folder(folder: Path) -> ImageSequence:
    kinds: dict[tuple[str, str], list[str]] = {}
    for entry in folder.iterdir():
        found = _NUMBERED.fullmatch(entry.name)
        if found and entry.suffix.lower() in ENCODERS and not entry.name.startswith("."):
            kinds.setdefault((found[1], found[3]), []).append(found[2])
    if not kinds:
        raise ProbeError(
            f"{folder} is a folder without numbered DPX, TIFF or PNG images; name a film, or the file in it"
        )
    if len(kinds) > 1:
        (one, other) = sorted(f"{prefix}…{suffix}" for prefix, suffix in kinds)[:2]
        raise ProbeError(
            f"{folder} holds several image sequences ({one}, {other}); name one by its pattern or first file"
        )
    ((prefix, suffix), numbers), *_ = kinds.items()
    padded = any(number.startswith("0") and len(number) > 1 for number in numbers)
    names = ImageNames(prefix, min(map(len, numbers)) if padded else 1, suffix)
    return _whole(folder, folder, names)


def _whole(asked: Path, folder: Path, names: ImageNames) -> ImageSequence:
    if not folder.is_dir():
        raise ProbeError(f"{asked}: there is no folder {folder}")
    numbers = sorted(n for entry in folder.iterdir() if (n := names.number_of(entry.name)) is not None)
    if not numbers:
        raise ProbeError(f"{asked}: there are no such images")
    missing = next((before + 1 for before, after in pairwise(numbers) if after != before + 1), None)
    if missing is not None:
        name = ImageNames(names.prefix, names.digits, names.suffix, missing).name(0)
        raise ProbeError(f"{asked}: image {name} is missing between {numbers[0]} and {numbers[-1]}")
    return ImageSequence(folder, ImageNames(names.prefix, names.digits, names.suffix, numbers[0]), len(numbers))


def check_sizes(sequence: ImageSequence) -> None:
    """See that all images are of one size, by their headers.

    Raises:
        ProbeError: One is of another size than the first, or is empty.
    """
    first: tuple[int, int] | None = None
    for file in sequence.files():
        try:
            size = image_size(file)
        except (OSError, ValueError) as error:
            raise ProbeError(f"{file} cannot be read: {error}") from error
        if file.stat().st_size == 0:
            raise ProbeError(f"{file} is empty (0 bytes); copy or export it again")
        first = first or size
        if size is not None and first is not None and size != first:
            raise ProbeError(
                f"{file} is {size[0]}x{size[1]}, the images before it are {first[0]}x{first[1]}: "
                "all images of a sequence must have one size"
            )


def frame_rate_of(sequence: ImageSequence, wish: str | None) -> Fraction:
    """Frames a second: as asked for, else as the first DPX header says.

    Raises:
        ConfigError: `wish` is no rate.
        ProbeError: Nothing is asked for and no header says it.
    """
    if wish is not None:
        return parse_rate(wish)
    header = DpxHeader.of(next(sequence.files()))
    stated = header.frame_rate if header else None
    if stated is None:
        raise ProbeError(f"{sequence.path} states no frame rate; set media.frame_rate to 24, 24000/1001 …")
    return stated


def parse_rate(text: str) -> Fraction:
    """A frame rate as ``24``, ``23.976`` or ``24000/1001``.

    Raises:
        ConfigError: It is none, or out of range.
    """
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise ConfigError(f"media.frame_rate: {text!r} is no frame rate; write 24 or 24000/1001")
    return rate
