"""A film's pictures out of its packets: quickly, from mid-film, or one by one where something looks wrong."""

from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, auto
from itertools import chain
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from gpen_video.media.flaws import DamageError, SuspicionError, Watch
from gpen_video.media.seek import RunUp, seek_before

_PREDICTED = (PictureType.P, PictureType.B, PictureType.S)


class Look(Enum):
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
        return (SuspicionError, DamageError) if self.is_sought else (SuspicionError,)

    @property
    def is_sought(self) -> bool:
        """Whether the beginning of the film is left out."""
        return self in (Look.SOUGHT, Look.SOUGHT_SINGLY)


def decoded_pictures(
    container: InputContainer, stream: VideoStream, watch: Watch, look: Look, since: int | None
) -> Iterator[av.VideoFrame]:
    """The pictures of a film, by one of the ways to look at it.

    Args:
        container: The film, from its start.
        stream: Of its pictures.
        watch: Is told of every packet.
        look: The way.
        since: Time of the first picture of a sought look, in ticks.

    Raises:
        DamageError: The film is damaged.
        SuspicionError: It may be; a slower look can tell.
    """
    if look is Look.EXACT:
        return _pictures_exact(container, stream, watch)
    if look is Look.THREADED or since is None:
        return _pictures_fast(_packets(container, stream, watch), watch)
    return _pictures_sought(container, stream, watch, since)


def _packets(container: InputContainer, stream: VideoStream, watch: Watch) -> Iterator["Packet[VideoStream]"]:
    """The film's packets, at last an empty one; those of other streams only show how far the file reaches."""
    try:
        for packet in container.demux():
            watch.saw_packet(packet)
            if packet.stream.index == stream.index:  # packet.stream_index is not set in the last, empty packets
                yield cast("Packet[VideoStream]", packet)
    except av.FFmpegError as error:
        raise DamageError(f"cannot be read from the file: {error.strerror}") from error


def _pictures_fast(
    packets: Iterator["Packet[VideoStream]"], watch: Watch, relied_from: int | None = None
) -> Iterator[av.VideoFrame]:
    """Decoded by as many threads as there are; raises `SuspicionError` when anything looks wrong.

    PyAV keeps quiet about a packet that a thread refuses while others deliver, so the times of the pictures that come
    out are struck off those of the packets that went in. What is shown before `relied_from` is not looked at.
    """
    awaited: set[int] = set()  # bounded by the decoder's delay
    last_pts: int | None = None
    for packet in packets:
        if watch.flaw(packet) is not None:
            raise SuspicionError
        is_shown = packet.size and not packet.is_discard
        if is_shown and packet.pts is not None and (relied_from is None or packet.pts >= relied_from):
            awaited.add(packet.pts)
        try:
            pictures = packet.decode()
        except av.FFmpegError as error:
            raise SuspicionError from error
        for picture in pictures:
            if picture.pts is None:  # only one thread gives reliable times to it
                raise SuspicionError
            if relied_from is not None and picture.pts < relied_from:
                continue
            awaited.discard(picture.pts)
            is_late = last_pts is not None and picture.pts <= last_pts
            if picture.is_corrupt or is_late or any(pts < picture.pts for pts in awaited):
                raise SuspicionError  # pictures come in order: an earlier one was lost
            last_pts = picture.pts
            yield picture
    if awaited:
        raise SuspicionError


def _pictures_sought(
    container: InputContainer, stream: VideoStream, watch: Watch, since: int
) -> Iterator[av.VideoFrame]:
    """Pictures from the one shown at `since`; raises `SuspicionError` also where there is none, or no way to it."""
    if not seek_before(container, stream, since):
        raise SuspicionError
    watch.packets = None
    packets = _packets(container, stream, watch)
    keyframe = _run_up(packets, stream, watch)
    pictures = _pictures_fast(chain((keyframe,), packets), watch, keyframe.pts)
    picture = next(pictures, None)
    if picture is None or picture.pict_type in _PREDICTED:  # the middle of a picture that is renewed bit by bit
        raise SuspicionError
    while picture is not None and (picture.pts is None or picture.pts < since):
        picture = next(pictures, None)
    if picture is None or picture.pts != since:
        raise SuspicionError
    yield picture
    yield from pictures


def _run_up(packets: Iterator["Packet[VideoStream]"], stream: VideoStream, watch: Watch) -> "Packet[VideoStream]":
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
    raise SuspicionError


def _pictures_exact(container: InputContainer, stream: VideoStream, watch: Watch) -> Iterator[av.VideoFrame]:
    """Decoded packet by packet; raises `DamageError` at the first that is damaged.

    What cannot be decoded before the first good picture is skipped: a recording may begin within a group of pictures.
    """
    first_pts: int | None = None
    begun = False
    awaited: set[int] = set()
    for packet in _packets(container, stream, watch):
        flaw = watch.flaw(packet)
        if flaw is not None and not packet.size:  # the end came early; pictures after it may have lost some before them
            yield from _pending(stream, awaited, before=None if watch.last_dts is None else watch.last_dts + 1)
            raise DamageError(flaw)
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
            raise DamageError(flaw)
        for picture in pictures:
            if picture.is_corrupt:
                raise DamageError("is damaged: its data are incomplete")
            if not begun:
                begun, first_pts = True, picture.pts
            if picture.pts is not None:
                awaited = {pts for pts in awaited if pts > picture.pts}
            yield picture
    if not begun:
        raise DamageError("cannot be decoded: its data are damaged")


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
