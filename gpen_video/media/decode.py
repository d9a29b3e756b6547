"""From a film to its frames: every picture, at its own time, or a clear word on where the film is damaged."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from fractions import Fraction
from itertools import chain
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import PictureType
from av.video.stream import VideoStream

from gpen_video.errors import DecodeError
from gpen_video.media import formats
from gpen_video.media.picture import picture_of
from gpen_video.media.place import Place, check_consecutive, place_of
from gpen_video.media.probe import as_fraction, duration_tag, opened_source, time_base_of, video_stream
from gpen_video.media.seek import RunUp, position_of, seek_before
from gpen_video.media.side_data import side_data_of
from gpen_video.media.slice_crc import SliceCrc
from gpen_video.types import Frame, Timestamp, VideoInfo

# Decoders conceal damage unless told otherwise; archives want to know of it. Checked against good films of many kinds:
# none of them is refused (tests/media/test_odd_files.py).
_STRICT = {"err_detect": "crccheck+explode"}
_REFUSES_UNKNOWN_TAGS = ("tiff",)  # when strict, though such tags are no damage; without, it tells of missing data
_PREDICTED = (PictureType.P, PictureType.B, PictureType.S)
_LEAST_TOLERANCE = Fraction(1, 10)
"""Seconds by which a whole film may end before its header says; at least two of its longest frames."""


_Pictures = Generator[tuple[Timestamp, int | None, av.VideoFrame], None, None]


class _DamageError(Exception):
    """The film cannot be decoded as it should be; the text says what is wrong, without naming the frame."""


class _SuspicionError(Exception):
    """A picture did not come out as it should; a slower look has to tell whether it is damage."""


class _Look(Enum):
    """The ways to decode, the fastest first. What looks wrong in one, the next one judges."""

    SOUGHT = auto()
    """By several threads, from a keyframe before the place that was asked for."""
    SOUGHT_SINGLY = auto()
    """By one thread from there: several never get over references that are missing behind a seek (open H.264)."""
    THREADED = auto()
    """By several threads, from the start."""
    EXACT = auto()
    """By one thread, from the start, so that the last good frame is known."""

    @property
    def leaves_open(self) -> tuple[type[Exception], ...]:
        """What the next look has to judge."""
        return (_SuspicionError, _DamageError) if self.is_sought else (_SuspicionError,)

    @property
    def is_sought(self) -> bool:
        """Whether the beginning of the film is left out."""
        return self in (_Look.SOUGHT, _Look.SOUGHT_SINGLY)


def decode(
    info: VideoInfo,
    *,
    tolerant: bool = False,
    on_warning: Callable[[str], None] | None = None,
    since: Sequence[Place] = (),
) -> Generator[Frame, None, None]:
    """Decode the film that `info` describes, frame by frame.

    Times are the container's own. Where it states none for a picture (raw streams, some AVI files), decoding order
    and duration give it. They always increase. The file is closed when the generator ends or is closed.

    Damage is found in four ways: a packet is cut off or fails its checksum (FFV1); the decoder refuses a packet or
    marks a picture; a picture is missing; the film ends before its index or header says. MPEG program and transport
    streams, raw streams, NUT and GIF promise no length, so that one cut between two pictures looks whole. Several
    threads decode at first; as soon as anything looks wrong, one thread looks again, so that the last good frame is
    known exactly, and decodes the rest.

    With `since`, frames are those of a decode from the start without the first ones. The file is read from somewhat
    before the place where that gives the very frames of `since`, else from its start.

    Args:
        info: From `probe`.
        tolerant: End the film after its last good frame, with a warning, instead of raising.
        on_warning: Takes warnings, one line each. What concerns the beginning of the film is not told with `since`.
        since: Places of frames that follow one another, from an earlier decode of the film; the first one is the first
            frame that is given. A few make surer than one. Times and samples are compared; the number of the first is
            taken at its word unless the film has to be read from its start.

    Yields:
        Frames with read-only planes, all of `info.format` and of one size.

    Raises:
        DecodeError: The film is damaged, breaks off, or changes its size or format; the message names the frame. Or it
            does not hold the frames of `since`, whether `tolerant` or not.
        ProbeError: The file is no longer there.
        ValueError: The places of `since` do not follow one another.
    """
    check_consecutive(since)
    places = {place.index: place for place in since}
    made = first = min(places, default=0)
    try:
        for look in _looks(sought=first > 0):
            if look is not _Look.EXACT and made > first:
                continue  # what looked wrong behind its place would again
            pictures = _timed(info, None if since else on_warning, look, since[0].pts if since else None)
            with closing(pictures), suppress(*look.leaves_open):
                for frame in _frames(pictures, info, look, made):
                    if frame.index in places and place_of(frame) != places[frame.index]:
                        raise _SuspicionError if look.is_sought else _changed(info, frame.index)
                    made += 1
                    yield frame
                if made in places:
                    raise _SuspicionError if look.is_sought else _changed(info, made)
                return
    except _DamageError as damage:
        if made in places:
            raise _changed(info, made) from damage
        good = f"frames 0 to {made - 1} are good" if made else "no frame before it is good"
        message = f"{info.path}: frame {made} {damage} ({good})"
        if not tolerant:
            raise DecodeError(f"{message}; --tolerant restores the film up to there") from damage
        if on_warning is not None:
            on_warning(f"{message}; the result ends there")


def decode_side_data(
    info: VideoInfo, since: Timestamp | None = None
) -> Generator[tuple[Timestamp, dict[str, bytes]], None, None]:
    """What every picture carries beside its samples, by FFmpeg's names of its kinds, at the times that `decode` gives.

    A damaged film ends where its damage begins, without a word: `decode` has told of it.

    Args:
        info: From `probe`.
        since: What is shown before this time is left out. The file is read from somewhat before it if a picture is
            found there that is shown at exactly this time, else from its start.

    Raises:
        ProbeError: The file is no longer there.
    """
    ticks = since.seconds / info.time_base if since is not None else None
    last: int | None = None
    for look in _looks(sought=ticks is not None and ticks.denominator == 1):
        pictures = _timed(info, None, look, None if ticks is None else int(ticks))
        with closing(pictures), suppress(_SuspicionError, _DamageError):
            for time, _, picture in pictures:
                if (ticks is None or time.pts >= ticks) and (last is None or time.pts > last):
                    last = time.pts
                    yield time, side_data_of(picture)
            return


def _changed(info: VideoInfo, index: int) -> DecodeError:
    return DecodeError(
        f"{info.path}: frame {index} is not the one that it was: the film has changed since the run began; "
        "start anew with --resume never"
    )


def _looks(*, sought: bool) -> tuple[_Look, ...]:
    return tuple(_Look) if sought else (_Look.THREADED, _Look.EXACT)


def _frames(pictures: _Pictures, info: VideoInfo, look: _Look, first: int) -> Iterator[Frame]:
    """Frames from number `first` on, which is that of the first picture of a sought look."""
    for index, (time, duration, picture) in enumerate(pictures, first if look.is_sought else 0):
        if index >= first:
            yield Frame(index, time, picture_of(picture, info.colour), duration)


def _timed(info: VideoInfo, on_warning: Callable[[str], None] | None, look: _Look, since: int | None) -> _Pictures:
    """Pictures with their times and durations: where `look` is sought from the one shown at `since`, else all.

    Raises `_DamageError`, and `_SuspicionError` unless the look is exact.
    """
    with opened_source(info) as container:
        stream = video_stream(container, info)
        stream.thread_type = "AUTO" if look in (_Look.SOUGHT, _Look.THREADED) else "SLICE"
        stream.codec_context.options = _STRICT if info.codec not in _REFUSES_UNKNOWN_TAGS else {}
        clock = _Clock(info, time_base_of(stream, info.path))
        watch = _Watch(container, stream)
        index = 0
        try:
            for decoded in _decoded(container, stream, watch, look, since):
                if index == 0 and watch.skipped and on_warning is not None:
                    on_warning(
                        f"{info.path} begins within a group of pictures: its first {watch.skipped} packets cannot be "
                        "decoded, so that the result starts with the first picture that can"
                    )
                _check_sameness(decoded, info)
                time, duration = clock.time(decoded)
                watch.saw(time, clock.step)
                yield time, duration, decoded
                index += 1
        finally:
            # Frees the decoder's threads before the container is closed, without Python's lock in their way.
            stream.codec_context.flush_buffers()


def _decoded(
    container: InputContainer, stream: VideoStream, watch: "_Watch", look: _Look, since: int | None
) -> Iterator[av.VideoFrame]:
    if look is _Look.EXACT:
        return _pictures_exact(container, stream, watch)
    if look is _Look.THREADED or since is None:
        return _pictures_fast(_packets(container, stream, watch), watch)
    return _pictures_sought(container, stream, watch, since)


def _packets(container: InputContainer, stream: VideoStream, watch: "_Watch") -> Iterator["Packet[VideoStream]"]:
    """The film's packets, at last an empty one; those of other streams only show how far the file reaches."""
    try:
        for packet in container.demux():
            watch.saw_packet(packet)
            if packet.stream.index == stream.index:  # packet.stream_index is not set in the last, empty packets
                yield cast("Packet[VideoStream]", packet)
    except av.FFmpegError as error:
        raise _DamageError(f"cannot be read from the file: {error.strerror}") from error


def _pictures_fast(
    packets: Iterator["Packet[VideoStream]"], watch: "_Watch", relied_from: int | None = None
) -> Iterator[av.VideoFrame]:
    """Decoded by as many threads as there are; raises `_SuspicionError` when anything looks wrong.

    PyAV keeps quiet about a packet that a thread refuses while others deliver, so the times of the pictures that come
    out are struck off those of the packets that went in. What is shown before `relied_from` is not looked at.
    """
    awaited: set[int] = set()  # bounded by the decoder's delay
    last_pts: int | None = None
    for packet in packets:
        if watch.flaw(packet) is not None:
            raise _SuspicionError
        is_shown = packet.size and not packet.is_discard
        if is_shown and packet.pts is not None and (relied_from is None or packet.pts >= relied_from):
            awaited.add(packet.pts)
        try:
            pictures = packet.decode()
        except av.FFmpegError as error:
            raise _SuspicionError from error
        for picture in pictures:
            if picture.pts is None:  # only one thread gives reliable times to it
                raise _SuspicionError
            if relied_from is not None and picture.pts < relied_from:
                continue
            awaited.discard(picture.pts)
            is_late = last_pts is not None and picture.pts <= last_pts
            if picture.is_corrupt or is_late or any(pts < picture.pts for pts in awaited):
                raise _SuspicionError  # pictures come in order: an earlier one was lost
            last_pts = picture.pts
            yield picture
    if awaited:
        raise _SuspicionError


def _pictures_sought(
    container: InputContainer, stream: VideoStream, watch: "_Watch", since: int
) -> Iterator[av.VideoFrame]:
    """Pictures from the one shown at `since`; raises `_SuspicionError` also where there is none, or no way to it."""
    if not seek_before(container, stream, since):
        raise _SuspicionError
    watch.packets = None
    packets = _packets(container, stream, watch)
    keyframe = _run_up(packets, stream, watch)
    pictures = _pictures_fast(chain((keyframe,), packets), watch, keyframe.pts)
    picture = next(pictures, None)
    if picture is None or picture.pict_type in _PREDICTED:  # the middle of a picture that is renewed bit by bit
        raise _SuspicionError
    while picture is not None and (picture.pts is None or picture.pts < since):
        picture = next(pictures, None)
    if picture is None or picture.pts != since:
        raise _SuspicionError
    yield picture
    yield from pictures


def _run_up(packets: Iterator["Packet[VideoStream]"], stream: VideoStream, watch: "_Watch") -> "Packet[VideoStream]":
    """Decode behind a seek, whatever comes out, until a packet that can be relied on, which is returned."""
    run_up = RunUp(stream)
    for packet in packets:
        if not packet.size:
            break
        watch.flaw(packet)  # learns from it what is right
        run_up.saw(packet)
        if run_up.relied_from is not None:
            return packet
        if run_up.first is not None:
            with suppress(av.FFmpegError):  # it may refer to what was not read
                packet.decode()
    raise _SuspicionError


def _pictures_exact(container: InputContainer, stream: VideoStream, watch: "_Watch") -> Iterator[av.VideoFrame]:
    """Decoded packet by packet; raises `_DamageError` at the first that is damaged.

    What cannot be decoded before the first good picture is skipped: a recording may begin within a group of pictures.
    """
    first_pts: int | None = None
    begun = False
    awaited: set[int] = set()
    for packet in _packets(container, stream, watch):
        flaw = watch.flaw(packet)
        if flaw is not None and not packet.size:  # the end came early; pictures after it may have lost some before them
            yield from _pending(stream, awaited, before=None if watch.last_dts is None else watch.last_dts + 1)
            raise _DamageError(flaw)
        if packet.size and packet.pts is not None and not packet.is_discard:
            awaited.add(packet.pts)
        try:
            pictures = [] if flaw else packet.decode()
        except av.FFmpegError:
            flaw, pictures = "cannot be decoded: its data are damaged", []
        is_leading = packet.pts is not None and first_pts is not None and packet.pts < first_pts
        if flaw and (is_leading or not begun):
            watch.skipped += 1
            continue
        if flaw:
            yield from _pending(stream, awaited, before=packet.pts)
            raise _DamageError(flaw)
        for picture in pictures:
            if picture.is_corrupt:
                raise _DamageError("is damaged: its data are incomplete")
            if not begun:
                begun, first_pts = True, picture.pts
            if picture.pts is not None:
                awaited = {pts for pts in awaited if pts > picture.pts}
            yield picture
    if not begun:
        raise _DamageError("cannot be decoded: its data are damaged")


def _pending(stream: VideoStream, awaited: set[int], before: int | None) -> Iterator[av.VideoFrame]:
    """Good pictures that are still in the decoder when a packet turns out to be damaged, or not to come.

    Up to the first gap: the decoder keeps the picture to itself that it should give out with the damaged packet.
    """
    try:
        frames = stream.decode(None)
    except av.FFmpegError:
        return  # nothing more can be had of it
    for frame in frames:
        if frame.is_corrupt or frame.pts is None or before is None or frame.pts >= before:
            return
        awaited.discard(frame.pts)
        if any(pts < frame.pts for pts in awaited):
            return
        yield frame


def _check_sameness(frame: av.VideoFrame, info: VideoInfo) -> None:
    name = formats.planar_equivalent(frame.format.name)
    if (frame.width, frame.height) != (info.width, info.height):
        raise _DamageError(
            f"is {frame.width}x{frame.height}, the film began as {info.width}x{info.height}: "
            "a change of size within a film is not supported, cut the film there"
        )
    if name != info.format.name:
        raise _DamageError(
            f"is {name}, the film began as {info.format.name}: "
            "a change of pixel format within a film is not supported, cut the film there"
        )


@dataclass(slots=True)
class _Clock:
    """Gives each picture its time, and sees that times increase."""

    info: VideoInfo
    time_base: Fraction
    last: int | None = None
    step: int = 1
    """Ticks between the last two pictures, or one frame by the film's rate."""

    def __post_init__(self) -> None:
        rate = self.info.average_frame_rate
        self.step = max(1, round(1 / (rate * self.time_base))) if rate else 1

    def time(self, frame: av.VideoFrame) -> tuple[Timestamp, int | None]:
        """The time and the stated duration of the next picture."""
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None:
            pts = 0 if self.last is None else self.last + self.step
        elif frame.pts is None and self.last is not None and pts <= self.last:
            pts = self.last + self.step  # decoding times may lag behind; stated times may not
        if self.last is not None:
            if pts <= self.last:
                raise _DamageError(
                    f"is shown at {float(pts * self.time_base):.3f} s, no later than the frame before it "
                    f"({float(self.last * self.time_base):.3f} s): the film's times are broken, remux it first"
                )
            self.step = pts - self.last
        self.last = pts
        return Timestamp(pts, self.time_base), frame.duration or None


@dataclass(slots=True)
class _Watch:
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
                raise _SuspicionError
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
