"""What image files of a sequence say in their headers: their size, and DPX (SMPTE ST 268-1) its rate and timecode."""

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

_GENERIC, _WHOLE = 1664, 2048  # bytes of the DPX header without and with its industry part (film and television)
_ORIENTATION = 1408  # where this part of the generic header begins
_NUMBERS = (  # (place, bytes each, count) in what is carried over; all else there is text
    (1408, 4, 6),  # offset, centre, original size
    (1620, 2, 4),  # border
    (1712, 4, 5),  # position, length, held count, frame rate, shutter angle
    (1920, 4, 2),  # timecode, user bits
    (1928, 1, 4),  # interlace, field, signal, padding
    (1932, 4, 10),  # sampling rates to integration time
)
_FILM_RATE, _TV_TIMECODE, _TV_RATE = 1724, 1920, 1940
_OFFSET, _FILE_SIZE, _LENGTHS, _SIZE, _ELEMENT_OFFSET = 4, 16, 24, 772, 808
_NAME = slice(36, 136)
_ORIGIN = slice(136, 660)  # creation time, creator, project, copyright
_ASPECT = slice(1628, 1636)
_UNDEFINED = 0xFFFFFFFF
_LOWEST_RATE, _HIGHEST_RATE = 1, 1000  # other numbers are what was never set
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF_SHORT = 3  # a type
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags
_TIFF_OF_SAMPLES = {*range(254, 260), 262, 263, 266, 273, *range(277, 280), *range(282, 285), 296, 305, 317, 320}
_TIFF_OF_SAMPLES |= {*range(322, 326), 338, 339, 347, *range(529, 533)}


@dataclass(frozen=True, slots=True)
class DpxHeader:
    """The first 2048 bytes of a DPX file."""

    data: bytes

    @classmethod
    def of(cls, path: Path) -> "DpxHeader | None":
        """A file's header; `None` if it is no DPX file, or has no industry part."""
        with path.open("rb") as file:
            header = cls(file.read(_WHOLE))
        whole = len(header.data) == _WHOLE and header.data[:4] in (b"SDPX", b"XPDS")
        return header if whole and header._number("I", _OFFSET) >= _WHOLE else None

    @property
    def order(self) -> Literal[">", "<"]:
        """Of the bytes of numbers, as `struct` writes it."""
        return ">" if self.data[:4] == b"SDPX" else "<"

    @property
    def frame_rate(self) -> Fraction | None:
        """In frames a second, from the television header or else the film header; `None` where neither says."""
        for place in (_TV_RATE, _FILM_RATE):
            rate = self._number("f", place)  # undefined is no number
            if math.isfinite(rate) and _LOWEST_RATE <= rate <= _HIGHEST_RATE:
                return exact_rate(rate)
        return None

    @property
    def timecode(self) -> int | None:
        """Binary coded decimals, hours first (SMPTE ST 12-1); `None` where it is not set."""
        value = int(self._number("I", _TV_TIMECODE))
        return None if value == _UNDEFINED else value

    @property
    def timecode_text(self) -> str | None:
        """As ``01:00:00:00``."""
        if self.timecode is None:
            return None
        digits = f"{self.timecode:08x}"
        return ":".join(digits[place : place + 2] for place in range(0, 8, 2)) if digits.isdecimal() else None

    def _number(self, kind: str, place: int) -> float:
        number: float = struct.unpack_from(self.order + kind, self.data, place)[0]
        return number


def exact_rate(rate: float) -> Fraction:
    """The rate of film and television that a single-precision number stands for: 23.976 is 24000/1001."""
    for candidate in (Fraction(round(rate)), Fraction(round(rate * 1.001) * 1000, 1001)):
        if abs(float(candidate) - rate) < 2e-3:
            return candidate
    return Fraction(rate).limit_denominator(1000)


def dpx_with(image: bytes, source: DpxHeader | None, rate: Fraction | None, timecode: int | None, name: str) -> bytes:
    """A DPX file of FFmpeg's encoder, which writes the generic header only, with the whole of it.

    Args:
        image: The file.
        source: The header of the source's frame, whose origin, orientation, film (keycode) and television parts are
            taken over; what describes the samples stays the encoder's.
        rate: Frames a second, where the source's header does not say.
        timecode: Binary coded decimals, where the source's header does not say.
        name: Of the file.
    """
    order = DpxHeader(image[:_GENERIC]).order
    data = bytearray(image[:_GENERIC].ljust(_WHOLE, b"\0"))
    samples = image[struct.unpack_from(order + "I", image, _OFFSET)[0] :]
    if source is not None:
        data[_ORIGIN], data[_ORIENTATION:] = source.data[_ORIGIN], source.data[_ORIENTATION:]
        data[_ASPECT] = image[_ASPECT]
    for place, size, count in _NUMBERS:
        for start in range(place, place + size * count, size):
            number = slice(start, start + size)
            if source is None and start >= _GENERIC:
                data[number] = b"\xff" * size
            elif source is not None and source.order != order:
                data[number] = data[number][::-1]
    struct.pack_into(order + "I", data, _OFFSET, _WHOLE)
    struct.pack_into(order + "I", data, _FILE_SIZE, _WHOLE + len(samples))
    struct.pack_into(order + "2I", data, _LENGTHS, _GENERIC, _WHOLE - _GENERIC)
    struct.pack_into(order + "I", data, _ELEMENT_OFFSET, _WHOLE)
    if rate is not None and (source is None or source.frame_rate is None):
        for place in (_FILM_RATE, _TV_RATE):
            struct.pack_into(order + "f", data, place, float(rate))
    if timecode is not None and (source is None or source.timecode is None):
        struct.pack_into(order + "I", data, _TV_TIMECODE, timecode)
    data[_NAME] = name.encode("ascii", "replace")[:99].ljust(100, b"\0")
    return bytes(data) + samples


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height by the header of a DPX, PNG or TIFF file; `None` where it is none of these or is cut off."""
    with path.open("rb") as file:
        head = file.read(_SIZE + 8)
        if head[:4] in (b"SDPX", b"XPDS") and len(head) == _SIZE + 8:
            return struct.unpack_from(DpxHeader(head).order + "2I", head, _SIZE)
        if head.startswith(_PNG_SIGNATURE) and len(head) >= 24:
            return struct.unpack_from(">2I", head, 16)
    found = _tiff_entries(path)
    return (found[_TIFF_WIDTH], found[_TIFF_HEIGHT]) if {_TIFF_WIDTH, _TIFF_HEIGHT} <= found.keys() else None


def tiff_tags(path: Path) -> list[int]:
    """Tags of a TIFF image that do not describe its samples: artist, date, description …; none for other files."""
    return sorted(_tiff_entries(path).keys() - _TIFF_OF_SAMPLES)


def _tiff_entries(path: Path) -> dict[int, int]:
    """The first directory of a TIFF file: tags and values, or where these are; empty for other files."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in (b"II*\0", b"MM\0*") or len(head) < 8:
            return {}
        order = "<" if head[:2] == b"II" else ">"
        file.seek(struct.unpack_from(order + "I", head, 4)[0])
        count = int.from_bytes(file.read(2), "little" if order == "<" else "big")
        entries = file.read(12 * count)
    found = {}
    for start, end in pairwise(range(0, len(entries) + 1, 12)):
        tag, kind = struct.unpack_from(order + "2H", entries, start)
        found[tag] = struct.unpack_from(order + ("H" if kind == _TIFF_SHORT else "I"), entries[start:end], 8)[0]
    return found
