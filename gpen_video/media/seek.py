"""Into the middle of a film, far enough before a picture that it, and all after it, decode as they do from the start.

Behind a seek, pictures may be broken: the first ones refer to what was not read (open groups of pictures; in ISO/IEC
14496-10 the recovery point, in 23008-2 RASL pictures). So decoding runs up over a whole group, and is relied on from a
second keyframe on, whose own leading pictures have all that they refer to.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from gpen_video.media.probe import as_fraction

_WITHOUT_TIMES = 0x80  # AVFMT_NOTIMESTAMPS, of raw streams
_IMAGES = "image2"  # counts them, though it says that it does not
_SETTLING = 18
"""Packets between the two keyframes: an error may be reported as many packets late as there are decoder threads, which
FFmpeg limits to 16."""
_DISTANCES = tuple(2**power for power in range(9))  # seconds before the picture; groups of pictures may last minutes
_LEAST = Fraction(1)
"""Seconds of the run-up: in MPEG streams not every picture states its time; one in each 0.7 s does (ISO/IEC 13818-1,
2.7.4), and the others are reckoned from it."""


@dataclass(slots=True)
class RunUp:
    """Is shown the film's packets behind a seek, and tells from which picture on decoding can be relied on."""

    stream: VideoStream
    first: int | None = None
    """Time of the first keyframe; what comes before it cannot be decoded."""
    relied_from: int | None = None
    """Time of the keyframe from which on every picture must come out, and be right; `None` until it was seen."""
    is_intra: bool = field(init=False)
    """Whether no picture refers to another, so that the first keyframe is as good as the second."""
    _count: int = 0

    def __post_init__(self) -> None:
        container = self.stream.container
        self.is_intra = container.format.name == _IMAGES or self.stream.codec_context.codec.intra_only

    def saw(self, packet: "Packet[VideoStream]") -> None:
        """Note the next packet."""
        if packet.is_keyframe and packet.pts is not None and not packet.is_corrupt:
            if self.first is None:
                self.first = packet.pts
            if self.relied_from is None and (self.is_intra or self._count >= _SETTLING):
                self.relied_from = packet.pts
        if self.first is not None:
            self._count += 1


def seek_before(container: InputContainer, stream: VideoStream, pts: int) -> bool:
    """Go to where decoding must begin for the picture of time `pts`, a short way before it if that will do.

    Finds the way by looking at packets, without decoding them. Also shows the decoder the film's first packet: it may
    hold what no later one repeats, such as the name of the encoder, for whose faults FFmpeg's decoders make up.

    Args:
        container: Just opened.
        stream: Of it.
        pts: In ticks of the stream.

    Returns:
        Whether there is such a way; if not, the container must be opened again.
    """
    if container.format.flags & _WITHOUT_TIMES and container.format.name != _IMAGES:
        return False
    tick = as_fraction(stream.time_base)
    try:
        _show_first_packet(container, stream)
        for seconds in (0, *_DISTANCES) if RunUp(stream).is_intra else _DISTANCES:
            target = pts - round(seconds / tick)
            if stream.start_time is not None and target <= stream.start_time:
                return False
            container.seek(target, stream=stream)
            if _leads_to(container, stream, pts, tick):
                container.seek(target, stream=stream)
                return True
    except av.FFmpegError:
        return False
    return False


def _show_first_packet(container: InputContainer, stream: VideoStream) -> None:
    packet = next((packet for packet in container.demux(stream) if packet.size), None)
    if packet is not None:
        try:
            packet.decode()
        except av.FFmpegError:
            return  # a recording that begins within a group of pictures


def _leads_to(container: InputContainer, stream: VideoStream, pts: int, tick: Fraction) -> bool:
    """Whether the packets from here on allow a run-up to the picture of time `pts`."""
    run_up = RunUp(stream)
    for packet in container.demux(stream):
        time = packet.dts if packet.dts is not None else packet.pts
        if not packet.size or time is None or time > pts:
            return False
        run_up.saw(packet)
        if run_up.first is not None and not run_up.is_intra and (pts - run_up.first) * tick < _LEAST:
            return False
        if run_up.relied_from is not None:
            return run_up.relied_from <= pts
    return False


def position_of(packet: "Packet[Stream]") -> int | None:
    """How many packets of its stream come before this one; 0 where the container does not count them.

    Returns:
        `None` where it does, but this one cannot be found.
    """
    stream = packet.stream
    if stream.container.format.name == _IMAGES:
        return packet.pts
    if "mp4" not in stream.container.format.name:
        return 0
    if packet.dts is None:
        return None
    position = stream.index_entries.search_timestamp(packet.dts, any_frame=True)
    if position < 0:
        return None
    entry = stream.index_entries[position]
    return position if (entry.timestamp, entry.pos) == (packet.dts, packet.pos) else None
