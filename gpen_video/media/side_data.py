"""What decoded pictures carry beside their samples: HDR metadata, captions, the active format."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from gpen_video.types import Timestamp

UNNAMED = "UNNAMED"
"""Stands for side data that cannot be read, because a kind among them (EXIF) is newer than PyAV."""

_CHROMATICITY = 50_000  # the unit of SMPTE ST 2086 and of CIE 1931 coordinates in files: 1/50000
_LUMINANCE = 10_000  # 1/10000 cd/m2, and lux

_CAPTIONS_HEAD = b"\xb5\x00\x31GA94\x03"
_FORMAT_HEAD = b"\xb5\x00\x31DTG1"
_TRIPLET = 3  # bytes of a caption construct


@dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """The display on which an HDR film was graded (SMPTE ST 2086), in the units in which files state it."""

    red_xy: tuple[int, int]
    """CIE 1931 chromaticity, in 1/50000; so are the next three."""
    green_xy: tuple[int, int]
    blue_xy: tuple[int, int]
    white_xy: tuple[int, int]
    brightest: int
    """In 1/10000 cd/m2; so is the next."""
    darkest: int


@dataclass(frozen=True, slots=True)
class ContentLight:
    """The light level of an HDR film (CTA-861.3), in cd/m2."""

    brightest_pixel: int
    """MaxCLL."""
    brightest_average: int
    """MaxFALL."""


@dataclass(frozen=True, slots=True)
class AmbientViewing:
    """The room for which an HDR film was graded (ITU-T H.274, 8.5)."""

    illuminance: int
    """In 1/10000 lux."""
    white_xy: tuple[int, int]
    """CIE 1931 chromaticity, in 1/50000."""


@dataclass(frozen=True, slots=True)
class HdrMetadata:
    """What holds for the whole film; `None` for what the source does not state."""

    mastering: MasteringDisplay | None = None
    light: ContentLight | None = None
    ambient: AmbientViewing | None = None

    def __bool__(self) -> bool:
        return any((self.mastering, self.light, self.ambient))


def side_data_of(frame: av.VideoFrame) -> dict[str, bytes]:
    """The side data of a decoded frame by FFmpeg's names of its kinds, or `UNNAMED` alone."""
    try:
        parts: Any = frame.side_data  # PyAV's stubs call it a dictionary; it iterates over its values
    except ValueError:  # PyAV 18.1 gives out none at all where it has no name for one
        return {UNNAMED: b""}
    return {part.type.name: bytes(part) for part in parts}


def hdr_metadata(data: dict[str, bytes]) -> HdrMetadata:
    """From side data as `side_data_of` gives it: FFmpeg's structures of these names."""
    mastering, light, ambient = (
        data.get(name) for name in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "AMBIENT_VIEWING_ENVIRONMENT")
    )
    return HdrMetadata(
        _mastering_display(mastering) if mastering else None,
        ContentLight(*struct.unpack_from("=2I", light)) if light else None,
        _ambient_viewing(ambient) if ambient else None,
    )


def _mastering_display(data: bytes) -> MasteringDisplay | None:
    *rationals, has_primaries, has_luminance = struct.unpack_from("=22i", data)
    if not (has_primaries and has_luminance):  # the boxes and messages of all formats have a place for both only
        return None
    values = _fractions(rationals)
    red, green, blue, white = (_xy(values[place : place + 2]) for place in (0, 2, 4, 6))
    return MasteringDisplay(red, green, blue, white, round(values[9] * _LUMINANCE), round(values[8] * _LUMINANCE))


def _ambient_viewing(data: bytes) -> AmbientViewing:
    illuminance, *white = _fractions(struct.unpack_from("=6i", data))
    return AmbientViewing(round(illuminance * _LUMINANCE), _xy(white))


def _fractions(numbers: Sequence[int]) -> list[Fraction]:
    return [Fraction(num, den or 1) for num, den in zip(numbers[::2], numbers[1::2], strict=True)]


def _xy(pair: Sequence[Fraction]) -> tuple[int, int]:
    return round(pair[0] * _CHROMATICITY), round(pair[1] * _CHROMATICITY)


def sample_entry_boxes(hdr: HdrMetadata) -> bytes:
    """As boxes of a sample entry of MOV and MP4: ``mdcv``, ``clli`` (ISO/IEC 14496-12:2020, 12.1.6) and ``amve``."""
    boxes = b""
    if hdr.mastering is not None:
        display = hdr.mastering
        points = [*display.green_xy, *display.blue_xy, *display.red_xy, *display.white_xy]
        boxes += _box(b"mdcv", struct.pack(">8H2I", *points, display.brightest, display.darkest))
    if hdr.light is not None:
        levels = (min(level, 0xFFFF) for level in (hdr.light.brightest_pixel, hdr.light.brightest_average))
        boxes += _box(b"clli", struct.pack(">2H", *levels))
    if hdr.ambient is not None:
        boxes += _box(b"amve", struct.pack(">I2H", hdr.ambient.illuminance, *hdr.ambient.white_xy))
    return boxes


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", 8 + len(payload)) + kind + payload


def encoder_parameters(codec: str, hdr: HdrMetadata) -> tuple[str, ...]:
    """The ``key=value`` with which an encoder writes HDR metadata into its stream; none where it cannot.

    Args:
        codec: FFmpeg's name; libx264, libx265 and libsvtav1 can.
        hdr: The source's.
    """
    names = {
        "libx264": ("mastering-display", "cll"),
        "libx265": ("master-display", "max-cll"),
        "libsvtav1": ("mastering-display", "content-light"),
    }
    if codec not in names:
        return ()
    display_name, light_name = names[codec]
    parameters = []
    if hdr.mastering is not None:
        parameters.append(f"{display_name}={_display_text(hdr.mastering, as_decimals=codec == 'libsvtav1')}")
    if hdr.light is not None:
        parameters.append(f"{light_name}={hdr.light.brightest_pixel},{hdr.light.brightest_average}")
    return tuple(parameters)


def _display_text(display: MasteringDisplay, *, as_decimals: bool) -> str:
    """``G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)``, in units of the file or, for SVT-AV1, as decimals."""
    points = {"G": display.green_xy, "B": display.blue_xy, "R": display.red_xy, "WP": display.white_xy}
    pairs = [(name, xy, _CHROMATICITY) for name, xy in points.items()]
    pairs.append(("L", (display.brightest, display.darkest), _LUMINANCE))
    if as_decimals:
        return "".join(f"{name}({pair[0] / unit:.5f},{pair[1] / unit:.5f})" for name, pair, unit in pairs)
    return "".join(f"{name}({pair[0]},{pair[1]})" for name, pair, _ in pairs)


def registered_messages(data: dict[str, bytes]) -> tuple[bytes, ...]:
    """Captions and active format as ITU-T T.35 messages of ATSC A/53 part 4 (6.2.3) and ETSI TS 101 154 (annex B).

    The same bytes, but for the first three, are MPEG-2's user data.
    """
    messages = []
    if captions := data.get("A53_CC"):
        constructs = captions[: 31 * _TRIPLET]  # the count has five bits
        count = len(constructs) // _TRIPLET
        messages.append(_CAPTIONS_HEAD + bytes((0xC0 | count, 0xFF)) + constructs[: count * _TRIPLET] + b"\xff")
    if described := data.get("AFD"):
        messages.append(_FORMAT_HEAD + bytes((0x41, 0xF0 | described[0] & 0x0F)))
    return tuple(messages)


class TimedMessages:
    """The messages of the pictures of a film, asked for in the order of presentation."""

    def __init__(self, side_data: Iterator[tuple[Timestamp, dict[str, bytes]]]) -> None:
        """Takes side data in the order of presentation; they are read as far as they are asked for."""
        self._side_data = side_data
        self._next: tuple[Timestamp, dict[str, bytes]] | None = next(side_data, None)

    def at(self, time: Timestamp) -> tuple[bytes, ...]:
        """Those of the picture of that time; none where there is no such picture."""
        while self._next is not None and self._next[0].pts < time.pts:
            self._next = next(self._side_data, None)
        if self._next is None or self._next[0].pts != time.pts:
            return ()
        return registered_messages(self._next[1])
