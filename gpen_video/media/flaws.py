"""What may be wrong with a film: how it is told, and what can be seen of it from outside the pictures."""

from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from gpen_video.media.probe import as_fraction, duration_tag
from gpen_video.media.seek import position_of
from gpen_video.media.slice_crc import SliceCrc
from gpen_video.types import Timestamp

_LEAST_TOLERANCE = Fraction(1, 10)
"""Seconds by which a whole film may end before its header says; at least two of its longest frames."""


class DamageError(Exception):
    """The film cannot be decoded as it should be; the text says what is wrong, without naming the frame."""


class SuspicionError(Exception):
    """A picture did not come out as it should; a slower look has to tell whether it is damage."""


@dataclass(slots=True)
class Watch:
    """Follows how far the file reaches, to tell at its end whether it is whole."""

    container: InputContainer
    stream: VideoStream
    packets: int | None = 0
    """How many of the film came, those before a seek included; `None` between a seek and the next packet."""
    last_dts: int | None = None
    skipped: int = 0
    """Packets before the first picture that cannot be decoded."""
    ends: dict[int, Fraction] = field(default_factory=dict)
    earliest: Fraction = Fraction(0)
    """Below zero where a stream, such as sound that an edit list hides, begins before the film."""
    longest: Fraction = Fraction(0)
    checksums: SliceCrc = field(default_factory=SliceCrc)

    def saw_packet(self, packet: "Packet[Stream]") -> None:
        """Note how far a packet of any stream reaches, and count those of the film's own."""
        if not packet.size:
            return
        index = packet.stream.index
        if index == self.stream.index:
            if self.packets is None:
                self.packets = position_of(packet)
            if self.packets is None:
                raise SuspicionError
            self.packets += 1
            self.last_dts = packet.dts if packet.dts is not None else self.last_dts
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None:
            tick = as_fraction(packet.time_base)
            self.earliest = min(self.earliest, time * tick)
            end = (time + (packet.duration or 0)) * tick
            self.ends[index] = max(end, self.ends.get(index, end))

    def saw(self, time: Timestamp, step: int) -> None:
        """Note a picture that came out."""
        self.longest = max(self.longest, step * time.time_base)

    def flaw(self, packet: "Packet[VideoStream]") -> str | None:
        """What is wrong with a packet of the film, before it is decoded; for the last, empty one: with the end."""
        if not packet.size:
            return self._shortfall()
        if packet.is_corrupt:
            return "is cut off: the file ends within it, or part of it is missing"
        is_ffv1 = self.stream.codec_context.codec.name == "ffv1"
        if is_ffv1 and self.checksums.is_damaged(bytes(packet)):
            return "is damaged: its checksum is wrong"
        return None

    def _shortfall(self) -> str | None:
        """Compare what came with what the file promised."""
        name = self.container.format.name
        if "mp4" in name:
            indexed = len(self.stream.index_entries)
            if (self.packets or 0) < indexed:
                return f"is missing: the file breaks off, its index lists {indexed} pictures"
        if name == "image2" and (self.packets or 0) < (self.stream.duration or 0):
            return f"is missing: there were {self.stream.duration} images when the sequence was opened"
        own_end = self.ends.get(self.stream.index, Fraction(0))
        promises: list[tuple[Fraction, Fraction]] = []  # (how far the file reaches, how far it says that it does)
        if name == "avi":
            promises.append((own_end, self.stream.frames * as_fraction(self.stream.time_base)))
        elif name in ("matroska,webm", "flv"):
            promises.append((own_end, duration_tag(self.stream) or Fraction(0)))
            # The header speaks of the longest stream, whichever that is.
            longest = max(self.ends.values(), default=Fraction(0)) - self.earliest
            promises.append((longest, Fraction(self.container.duration or 0, av.time_base)))
        for reached, promised in promises:
            if reached < promised - max(2 * self.longest, _LEAST_TOLERANCE):
                return (
                    f"is missing: the film breaks off at {float(reached):.2f} s, "
                    f"its header promises {float(promised):.2f} s"
                )
        return None
