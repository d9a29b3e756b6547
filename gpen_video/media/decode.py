"""From a film to its frames: every picture, at its own time, or a clear word on where the film is damaged."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress

import av

from gpen_video.errors import DecodeError
from gpen_video.media import formats
from gpen_video.media.clock import Clock
from gpen_video.media.flaws import DamageError, SuspicionError, Watch
from gpen_video.media.picture import picture_of
from gpen_video.media.pictures import Look, decoded_pictures
from gpen_video.media.place import Place, check_consecutive, place_of
from gpen_video.media.probe import opened_source, time_base_of, video_stream
from gpen_video.media.side_data import side_data_of
from gpen_video.types import Frame, Timestamp, VideoInfo

# Decoders conceal damage unless told otherwise; archives want to know of it. Checked against good films of many kinds:
# none of them is refused (tests/media/test_odd_files.py).
_STRICT = {"err_detect": "crccheck+explode"}
_REFUSES_UNKNOWN_TAGS = ("tiff",)  # when strict, though such tags are no damage; without, it tells of missing data

_Pictures = Generator[tuple[Timestamp, int | None, av.VideoFrame], None, None]


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
            if look is not Look.EXACT and made > first:
                continue  # what looked wrong behind its place would again
            pictures = _timed(info, None if since else on_warning, look, since[0].pts if since else None)
            with closing(pictures), suppress(*look.leaves_open):
                for frame in _frames(pictures, info, look, made):
                    if frame.index in places and place_of(frame) != places[frame.index]:
                        raise SuspicionError if look.is_sought else _changed(info, frame.index)
                    made += 1
                    yield frame
                if made in places:
                    raise SuspicionError if look.is_sought else _changed(info, made)
                return
    except DamageError as damage:
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
        with closing(pictures), suppress(SuspicionError, DamageError):
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


def _looks(*, sought: bool) -> tuple[Look, ...]:
    return tuple(Look) if sought else (Look.THREADED, Look.EXACT)


def _frames(pictures: _Pictures, info: VideoInfo, look: Look, first: int) -> Iterator[Frame]:
    """Frames from number `first` on, which is that of the first picture of a sought look."""
    for index, (time, duration, picture) in enumerate(pictures, first if look.is_sought else 0):
        if index >= first:
            yield Frame(index, time, picture_of(picture, info.colour), duration)


def _timed(info: VideoInfo, on_warning: Callable[[str], None] | None, look: Look, since: int | None) -> _Pictures:
    """Pictures with their times and durations: where `look` is sought from the one shown at `since`, else all.

    Raises `DamageError`, and `SuspicionError` unless the look is exact.
    """
    with opened_source(info) as container:
        stream = video_stream(container, info)
        stream.thread_type = "AUTO" if look in (Look.SOUGHT, Look.THREADED) else "SLICE"
        stream.codec_context.options = _STRICT if info.codec not in _REFUSES_UNKNOWN_TAGS else {}
        clock = Clock(info, time_base_of(stream, info.path))
        watch = Watch(container, stream)
        index = 0
        try:
            for decoded in decoded_pictures(container, stream, watch, look, since):
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


def _check_sameness(frame: av.VideoFrame, info: VideoInfo) -> None:
    name = formats.planar_equivalent(frame.format.name)
    if (frame.width, frame.height) != (info.width, info.height):
        raise DamageError(
            f"is {frame.width}x{frame.height}, the film began as {info.width}x{info.height}: "
            "a change of size within a film is not supported, cut the film there"
        )
    if name != info.format.name:
        raise DamageError(
            f"is {name}, the film began as {info.format.name}: "
            "a change of pixel format within a film is not supported, cut the film there"
        )
