"""Boxes added to the sample entry of a finished MOV or MP4 file, for which PyAV has no call."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_VIDEO_ENTRY = 86  # bytes of a VisualSampleEntry before its own boxes (ISO/IEC 14496-12, 12.1.3)
_DOWN_TO_ENTRIES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def add_to_sample_entry(path: Path, boxes: bytes) -> None:
    """Add boxes to the sample entry of a film with one track, whose index is the last box of the file.

    Because it is the last, no position that the index states changes.

    Raises:
        ValueError: The file is not laid out so.
        OSError: It cannot be written.
    """
    with path.open("rb+") as file:
        start = _index_of(file)
        file.seek(start)
        movie = _with_boxes(bytearray(file.read()), boxes)
        file.seek(start)
        file.write(movie)


def _index_of(file: BinaryIO) -> int:
    """Where the last box begins, which has to be ``moov``."""
    end = file.seek(0, 2)
    place, kind = 0, b""
    start = place
    while place + 8 <= end:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
        start, place = place, place + (size or end - place)
        if size and size < 8:
            break
    if kind != b"moov" or place != end:
        raise ValueError("the index of the film is not at its end")
    return start


def _with_boxes(movie: bytearray, boxes: bytes) -> bytearray:
    parents, start, stop = [], 0, len(movie)
    for kind in _DOWN_TO_ENTRIES:
        start, stop = next(
            (box for box in _boxes(movie, start, stop) if movie[box[0] + 4 : box[0] + 8] == kind), (0, 0)
        )
        if not stop:
            raise ValueError(f"the index of the film has no {kind.decode()}")
        parents.append(start)
        start += 16 if kind == b"stsd" else 8
    entry, entry_stop = next(_boxes(movie, start, stop))
    if entry_stop - entry < _VIDEO_ENTRY:
        raise ValueError("the sample entry is not a video's")
    for box in (*parents, entry):
        size = struct.unpack_from(">I", movie, box)[0]
        struct.pack_into(">I", movie, box, size + len(boxes))
    first = entry + _VIDEO_ENTRY  # not behind the others: QuickTime's may end in four zero bytes
    movie[first:first] = boxes
    return movie


def _boxes(data: bytearray, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where the boxes between two places begin and end."""
    while start + 8 <= stop:
        size = struct.unpack_from(">I", data, start)[0]
        if size < 8:
            return
        yield start, start + size
        start += size
