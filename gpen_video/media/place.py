"""Where a frame is in its film, and how it is known again."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gpen_video.types import Frame


@dataclass(frozen=True, slots=True)
class Place:
    """A frame of a film, by number, time and samples."""

    index: int
    """Counts decoded frames in presentation order, from 0."""
    pts: int
    """In ticks of the film's time base."""
    crc: int
    """CRC-32 of the samples, see `place_of`."""


def place_of(frame: Frame) -> Place:
    """The place of a frame that `decode` gave.

    Its checksum runs over the shape of each plane and over the samples, row by row, as little-endian words if they have
    more than 8 bits: it does not depend on the machine, nor on how the rows lie in memory.
    """
    crc = 0
    for plane in frame.picture.planes:
        crc = zlib.crc32(f"{plane.shape[0]}x{plane.shape[1]};".encode(), crc)
        samples = np.ascontiguousarray(plane, np.uint8 if plane.dtype == np.uint8 else "<u2")
        crc = zlib.crc32(samples.data, crc)
    return Place(frame.index, frame.time.pts, crc)


def check_consecutive(places: Sequence[Place]) -> None:
    """See that places are those of frames that follow one another.

    Raises:
        ValueError: They are not.
    """
    if places and places[0].index < 0:
        raise ValueError(f"frames are numbered from 0, not from {places[0].index}")
    for one, next_one in pairwise(places):
        if next_one.index != one.index + 1 or next_one.pts <= one.pts:
            raise ValueError(f"{next_one} does not follow {one}")
