"""From segments that `encode` wrote one by one to one video-only file, without encoding anew."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from gpen_video.errors import OutputError
from gpen_video.media.binary import file_url
from gpen_video.media.encode import BITEXACT, muxer_options, write_error
from gpen_video.media.probe import as_fraction
from gpen_video.media.sample_entry import add_to_sample_entry
from gpen_video.media.side_data import HdrMetadata, sample_entry_boxes


def join(segments: Sequence[Path], target: Path, hdr: HdrMetadata | None = None) -> None:
    """Put segments of one film end to end.

    Times stay as they are, so segments must come in the film's order and not overlap. Decoding times are set anew over
    the whole film, since each segment's begin before its first frame. The segments' packets are copied.

    Args:
        segments: Files of `encode` with the same plan.
        target: The file, replaced if it is there, removed if joining fails. It has the segments' format, whatever its
            name.
        hdr: Of the encoder's plan; what a file's header says of it does not come along by itself.

    Raises:
        OutputError: A segment cannot be read or was encoded otherwise, or the target cannot be written.
        ValueError: There is no segment.
    """
    if not segments:
        raise ValueError("there is no segment to join")
    delay = max(_reordering(segment) for segment in segments)
    with _opened(segments[0]) as first:
        template = first.streams.video[0]
        try:
            with _created(target, first, template) as container:
                # "Opaque": after the decoder, which need not have an encoder of its name (libdav1d).
                stream = container.add_stream_from_template(template, opaque=True)
                stream.codec_context.codec_tag = template.codec_context.codec_tag
                stream.time_base = template.time_base
                for packet in _packets(segments, template, delay):
                    packet.stream = stream
                    container.mux(packet)
            if hdr and "mov" in first.format.name:
                add_to_sample_entry(target, sample_entry_boxes(hdr))
        except (av.FFmpegError, OSError) as error:
            target.unlink(missing_ok=True)
            raise write_error(target, error) from error
        except BaseException:
            target.unlink(missing_ok=True)
            raise


@contextmanager
def _opened(segment: Path) -> Iterator[InputContainer]:
    try:
        container = av.open(file_url(segment), "r")
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"the finished segment {segment} cannot be read; delete it to have it made again") from error
    with container:
        yield container


@contextmanager
def _created(target: Path, first: InputContainer, template: VideoStream) -> Iterator[OutputContainer]:
    # A demuxer goes by all its names ("mov,mp4,m4a,…"); MP4 is the one of these that holds FFV1 and AV1.
    name = first.format.name
    if "mov" in name:
        name = "mp4" if template.codec_context.codec.canonical_name in ("ffv1", "av1", "vp9") else "mov"
    options = muxer_options(name, as_fraction(template.time_base))
    container = av.open(file_url(target), "w", format=name, options=options)
    container.flags |= BITEXACT
    try:
        yield container
    except BaseException:
        with suppress(av.FFmpegError, OSError):
            container.close()
        raise
    container.close()


def _times(segment: Path) -> list[int]:
    """Presentation times in decoding order; a segment is short enough for that."""
    with _opened(segment) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        return [packet.pts for packet in packets if packet.pts is not None]


def _reordering(segment: Path) -> int:
    """Frames by which decoding must run ahead, so that nothing is decoded after it is to be shown."""
    times = _times(segment)
    place = {pts: index for index, pts in enumerate(sorted(times))}
    return max((index - place[pts] for index, pts in enumerate(times)), default=0)


def _packets(segments: Sequence[Path], template: VideoStream, delay: int) -> "Iterator[Packet[VideoStream]]":
    """All packets; each is decoded when the frame `delay` places before it, in order of time, is shown."""
    waiting: deque[int] = deque()
    last: int | None = None
    for segment in segments:
        times = sorted(_times(segment))
        if last is None:
            step = times[1] - times[0] if len(times) > 1 else 1
            waiting.extend(times[0] - step * count for count in range(delay, 0, -1))
        elif times[0] <= last:
            raise OutputError(f"the finished segment {segment} does not follow the one before; start again")
        waiting.extend(times)
        last = times[-1]
        with _opened(segment) as container:
            stream = container.streams.video[0]
            _check_sameness(stream, template, segment)
            for packet in container.demux(stream):
                if packet.size:
                    packet.dts = waiting.popleft()
                    yield packet


def _check_sameness(stream: VideoStream, template: VideoStream, segment: Path) -> None:
    have, want = stream.codec_context, template.codec_context
    same = (
        have.codec.name == want.codec.name
        and (have.width, have.height, have.pix_fmt) == (want.width, want.height, want.pix_fmt)
        and have.extradata == want.extradata
        and as_fraction(stream.time_base) == as_fraction(template.time_base)
    )
    if not same:
        raise OutputError(f"the finished segment {segment} was encoded with other settings; delete it and start again")
