"""Numbers of tracks as they are typed: ``1,3-5``, or ``not:2`` for all but these."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from gpen_video.errors import UsageError

_ALL_BUT = "not:"
_PART = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrackNumbers:
    """Some tracks, or all but some."""

    ranges: tuple[range, ...]
    """In rising order; they neither overlap nor touch."""
    excluded: bool = False
    """All tracks but these are meant."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what was typed.

        Args:
            text: Numbers and ranges (both ends included) with commas between them, such as ``1,3-5``; with ``not:``
                before them all others are meant.

        Raises:
            UsageError: The text is something else.
        """
        excluded = text.strip().startswith(_ALL_BUT)
        parts = text.strip().removeprefix(_ALL_BUT).split(",")
        return cls(_merged(_range(part, text) for part in parts), excluded)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Self:
        """Exactly these tracks."""
        return cls(_merged(range(number, number + 1) for number in numbers))

    def __contains__(self, track: int) -> bool:
        return any(track in part for part in self.ranges) != self.excluded

    def without(self, tracks: Iterable[int]) -> tuple[range, ...]:
        """What is left of `ranges` without some tracks."""
        left: list[range] = []
        taken = sorted(set(tracks))
        for part in self.ranges:
            start = part.start
            for track in taken:
                if start <= track < part.stop:
                    left.append(range(start, track))
                    start = track + 1
            left.append(range(start, part.stop))
        return tuple(part for part in left if part)

    def __str__(self) -> str:
        return (_ALL_BUT if self.excluded else "") + numbers_text(self.ranges)


def numbers_text(ranges: Iterable[range]) -> str:
    """As it is typed: ``1,3-5``."""
    return ",".join(str(part.start) if len(part) == 1 else f"{part.start}-{part.stop - 1}" for part in ranges)


def _range(part: str, text: str) -> range:
    found = _PART.fullmatch(part)
    if found is None:
        raise UsageError(f"--faces {text}: {part.strip()!r} is no track number; write 1,3-5, or not:2 for all but one")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise UsageError(f"--faces {text}: {part.strip()} runs backwards; write {last}-{first}")
    return range(first, last + 1)


def _merged(ranges: Iterable[range]) -> tuple[range, ...]:
    return tuple(_joined(sorted(ranges, key=lambda part: part.start)))


def _joined(ranges: list[range]) -> Iterator[range]:
    if not ranges:
        return
    last = ranges[0]
    for part in ranges[1:]:
        if part.start > last.stop:
            yield last
            last = part
        else:
            last = range(last.start, max(last.stop, part.stop))
    yield last
