"""Short pieces of a film put together, its pictures copied as they are: something to try settings on."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, islice
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from gpen_video.errors import OutputError
from gpen_video.media.binary import file_url
from gpen_video.media.probe import as_fraction, opened_source, video_stream
from gpen_video.media.sequence import find_sequence
from gpen_video.types import VideoInfo

_CONTAINERS = {".mkv": "matroska", ".mov": "mov", ".nut": "nut"}
"""Tried in turn: none of them holds every codec."""
_REORDERED = 48
"""Packets looked ahead; twice as many as a decoder may hold back (16, in ISO/IEC 14496-10 and 23008-2) and some."""


def cut(info: VideoInfo, folder: Path, *, places: Sequence[float], frames: int) -> Path:
    """Copy about that many pictures at each of some places into one film, without sound or anything else.

    At each place it begins at the keyframe before. Nothing is decoded. Where groups of pictures are open (in H.264: do
    not begin with an IDR picture), a decoder may lose count at a joint: ``media.tolerant`` reads it up to there.
    Pictures that the edit list of a MOV cuts off are shown in the piece.

    Args:
        info: The film.
        folder: For the piece; an empty one.
        places: As parts of the film's length, 0 to 1, in rising order.
        frames: How many pictures at each; fewer where the film ends, or their order of decoding does not let it end
            there.

    Returns:
        A file, or the pattern of images, which are links.

    Raises:
        ProbeError: The film is no longer what it was.
        OutputError: Its pictures cannot be copied.
    """
    if find_sequence(info.path) is not None:
        return _linked(info, folder, places, frames)
    reason = ""
    for ending, container in _CONTAINERS.items():
        piece = folder / f"piece{ending}"
        try:
            _copy(info, piece, container, places, frames)
        except (av.FFmpegError, ValueError) as error:
            reason = str(error)
            piece.unlink(missing_ok=True)
        else:
            return piece
    raise OutputError(f"{info.path}: no piece can be cut out of it: {reason}")


def _copy(info: VideoInfo, piece: Path, container: str, places: Sequence[float], frames: int) -> None:
    with opened_source(info) as source, av.open(file_url(piece), "w", format=container) as result:
        stream = video_stream(source, info)
        copied = result.add_stream_from_template(stream, opaque=True)  # as packets, with no encoder of its codec
        shown = decoded = -1  # of the last packets, in ticks of the piece
        for place, count in _groups(source, stream, info, places):
            packets = _piece(source, stream, info, place, count * frames)
            shown_at = [_time(packet) for packet in packets]
            decoded_at = _decoding_times(shown_at)
            step = max(1, packets[0].duration or 1)
            shift = max(shown + step - shown_at[0], decoded + 1 - decoded_at[0])
            for packet, pts, dts in zip(packets, shown_at, decoded_at, strict=True):
                packet.pts, packet.dts, packet.stream = pts + shift, dts + shift, copied
                result.mux(packet)
            shown, decoded = max(shown_at) + shift, decoded_at[-1] + shift


def _decoding_times(shown_at: Sequence[int]) -> list[int]:
    """Rising times that are never later than those at which pictures are shown; after a seek, not all are stated."""
    rising = sorted(shown_at)
    ahead = max(time - shown for time, shown in zip(rising, shown_at, strict=True))
    return [time - ahead for time in rising]


def _groups(
    source: InputContainer, stream: VideoStream, info: VideoInfo, places: Sequence[float]
) -> list[tuple[float, int]]:
    """The first place of each group of pictures, and how many of the places are in it."""
    groups: dict[int, list[float]] = {}
    for place in places:
        for packet in islice(_packets_from(source, stream, info, place), 1):
            groups.setdefault(_time(packet), []).append(place)
    if not groups:
        raise ValueError("there are no packets")
    return [(inside[0], len(inside)) for _, inside in sorted(groups.items())]


def _piece(
    source: InputContainer, stream: VideoStream, info: VideoInfo, place: float, frames: int
) -> "list[Packet[VideoStream]]":
    """Packets from a keyframe on, in order of decoding, so many that all that is shown between them is among them."""
    packets = list(islice(_packets_from(source, stream, info, place), frames + _REORDERED))
    packets = [packet for packet in packets if _time(packet) >= _time(packets[0])]  # others refer to what is before
    times = [_time(packet) for packet in packets]
    latest = list(accumulate(times, max))
    soonest = list(accumulate(reversed(times), min))[::-1]
    counts = (*range(min(frames, len(times)), 0, -1), *range(frames + 1, len(times) + 1))
    whole = (count for count in counts if count == len(times) or latest[count - 1] < soonest[count])
    return packets[: next(whole)]


def _packets_from(
    source: InputContainer, stream: VideoStream, info: VideoInfo, place: float
) -> "Iterator[Packet[VideoStream]]":
    """Packets from the keyframe before a place; from the film's first where a damaged index leads behind the last."""
    tick = as_fraction(stream.time_base) if stream.time_base else info.time_base
    length = info.duration_from_header or Fraction(0)
    start = stream.start_time or 0
    for time in (start + int(Fraction(place) * length / tick), start):
        source.seek(time, stream=stream)
        begun = False
        for packet in source.demux(stream):
            begun = begun or packet.is_keyframe
            if packet.size and begun:
                yield packet
        if begun:
            return


def _time(packet: "Packet[VideoStream]") -> int:
    time = packet.pts if packet.pts is not None else packet.dts
    if time is None:
        raise ValueError("its packets state no times")
    return time


def _linked(info: VideoInfo, folder: Path, places: Sequence[float], frames: int) -> Path:
    images = find_sequence(info.path)
    assert images is not None
    files = list(images.files())
    firsts = (int(place * len(files)) for place in places)
    chosen = sorted({number for first in firsts for number in range(first, min(first + frames, len(files)))})
    for index, number in enumerate(chosen):
        (folder / images.names.name(index)).symlink_to(files[number].absolute())
    return folder / images.names.pattern
