"""What a file holds beside the pictures, without decoding: packets, their times, chapters, tags, dispositions."""

import hashlib
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.packet import Packet
from av.stream import Disposition, Stream

from gpen_video.errors import DecodeError
from gpen_video.media.probe import as_fraction, opened

NO_TIME: Final = -(2**63)
"""In `StreamContents.pts`: the container states none."""

_ADTS_SYNC: Final = 0xFFF
_ADTS_HEADER, _ADTS_CHECKSUM = 7, 2  # bytes


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the film that has a name."""

    start: Fraction
    """In seconds, as `end`."""
    end: Fraction
    title: str


@dataclass(frozen=True, slots=True, eq=False)
class StreamContents:
    """One stream. A packet costs 20 bytes here, an hour of sound about 3 MB."""

    index: int
    kind: str
    codec: str
    tags: Mapping[str, str]
    disposition: frozenset[str]
    time_base: Fraction
    sha256: str
    """Over the payload of all packets, one after the other; of an attachment, over what is attached."""
    byte_count: int
    checksums: "array[int]"
    """CRC-32 of each packet's payload, to say which one differs."""
    pts: "array[int]"
    """Presentation time of each packet in ticks, else decoding time, else `NO_TIME`."""
    durations: "array[int]"
    """In ticks, 0 where the container states none."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What a file holds."""

    container: str
    """FFmpeg's name of the reader."""
    tags: Mapping[str, str]
    chapters: tuple[Chapter, ...]
    streams: tuple[StreamContents, ...]


def read_contents(path: Path, *, without: int | None = None, frame_rate: Fraction | None = None) -> Contents:
    """Read all packets of a file once.

    The header that ADTS puts before each AAC packet belongs to that container, not to the sound, and is not counted:
    it is taken off when the sound is copied to another.

    Args:
        path: The file.
        without: Index of a stream whose packets are passed over: the pictures that are compared otherwise.
        frame_rate: Of an image sequence.

    Raises:
        ProbeError: The file cannot be read.
        DecodeError: It breaks off in a way that leaves its packets unknown.
    """
    with opened(path, frame_rate) as container:
        streams = list(container.streams)
        gathered = {stream.index: _Gathered() for stream in streams}
        adts = {stream.index for stream in streams if _has_adts(stream)}
        try:
            for packet in container.demux(*(stream for stream in streams if stream.index != without)):
                if packet.size:
                    gathered[packet.stream.index].add(packet, strip=packet.stream.index in adts)
        except av.FFmpegError as error:
            raise DecodeError(f"{path}: packets cannot be read: {error.strerror}") from error
        return Contents(
            container.format.name,
            dict(container.metadata),
            tuple(_chapter(chapter) for chapter in container.chapters()),
            tuple(_stream(stream, gathered[stream.index]) for stream in streams),
        )


@dataclass(slots=True, eq=False)
class _Gathered:
    digest: Any = field(default_factory=hashlib.sha256)
    byte_count: int = 0
    checksums: "array[int]" = field(default_factory=lambda: array("I"))
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    durations: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, packet: "Packet[Stream]", *, strip: bool) -> None:
        """Take in a packet."""
        payload = _without_adts(bytes(packet)) if strip else bytes(packet)
        self.digest.update(payload)
        self.byte_count += len(payload)
        self.checksums.append(zlib.crc32(payload))
        time = packet.pts if packet.pts is not None else packet.dts
        self.pts.append(NO_TIME if time is None else time)
        self.durations.append(packet.duration or 0)


def _stream(stream: Stream, gathered: _Gathered) -> StreamContents:
    attached = getattr(stream, "data", None) if stream.type == "attachment" else None
    if attached is not None:
        gathered.digest.update(attached)
        gathered.byte_count += len(attached)
    context = stream.codec_context
    return StreamContents(
        index=stream.index,
        kind="data" if stream.type == "unknown" else stream.type,
        codec=context.codec.canonical_name if context else "unknown",
        tags=dict(stream.metadata),
        disposition=frozenset(flag.name for flag in Disposition if flag & stream.disposition and flag.name),
        time_base=as_fraction(stream.time_base) if stream.time_base else Fraction(1),
        sha256=gathered.digest.hexdigest(),
        byte_count=gathered.byte_count,
        checksums=gathered.checksums,
        pts=gathered.pts,
        durations=gathered.durations,
    )


def _chapter(chapter: Any) -> Chapter:  # noqa: ANN401  (a dictionary without a type)
    tick = as_fraction(chapter["time_base"])
    return Chapter(chapter["start"] * tick, chapter["end"] * tick, chapter["metadata"].get("title", ""))


def _has_adts(stream: Stream) -> bool:
    context = stream.codec_context
    return context is not None and context.codec.canonical_name == "aac" and not context.extradata


def _without_adts(payload: bytes) -> bytes:
    """ISO/IEC 14496-3, 1.A.2: 12 bits of sync, and a bit that says whether a checksum follows the header."""
    if len(payload) < _ADTS_HEADER or int.from_bytes(payload[:2], "big") >> 4 != _ADTS_SYNC:
        return payload
    has_checksum = not payload[1] & 1
    return payload[_ADTS_HEADER + _ADTS_CHECKSUM * has_checksum :]
