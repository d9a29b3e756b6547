"""From a path to what is known of the film before work starts."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from gpen_video.errors import ProbeError
from gpen_video.media import formats
from gpen_video.media.binary import ffmpeg_binary, file_url
from gpen_video.media.colour_tags import colour_of
from gpen_video.types import StreamInfo, VideoInfo

_GENERATE_PTS = 1  # AVFMT_FLAG_GENPTS, which PyAV sets: times that the file does not state are made up, not always well
_PACKETS_TRIED = 300  # for the first picture
_TEXT_AS_VIDEO = "tty"  # the demuxer that takes any .txt for a film
_FIELD_ORDERS = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}  # AVFieldOrder, by the names of ffmpeg's -field_order
_MICROSECOND = Fraction(1, av.time_base)
_EMBEDDED = {
    "A53_CC": "closed captions embedded in the pictures (CEA-608/708)",
    "MASTERING_DISPLAY_METADATA": "HDR10 mastering display metadata",
    "CONTENT_LIGHT_LEVEL": "HDR10 content light level",
    "DYNAMIC_HDR_PLUS": "HDR10+ dynamic metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid dynamic metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "ICC_PROFILE": "the ICC profile in the pictures",
    "S12M_TIMECODE": "timecode embedded in the pictures (SMPTE 12M)",
    "GOP_TIMECODE": "timecode embedded in the pictures (GOP header)",
    "AFD": "the active format description",
}


@dataclass(frozen=True, slots=True)
class PictureDetails:
    """What the first picture and its stream say beyond `VideoInfo`, needed to carry it over."""

    rotation: int
    """Clockwise degrees by which the picture is turned for display: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether it is also mirrored, left to right, after it is turned."""
    field_order: str | None
    """``tt``, ``bb``, ``tb`` or ``bt``; `None` for progressive pictures or where nothing is said."""
    embedded: tuple[str, ...]
    """What is embedded in the pictures and does not survive their being encoded anew, in words."""


def as_fraction(rational: Any) -> Fraction:  # noqa: ANN401  (Fraction up to PyAV 18, AVRational from 19)
    """PyAV's rational as a `Fraction`."""
    return Fraction(int(rational.numerator), int(rational.denominator))


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The film, opened for reading.

    Raises:
        ProbeError: There is no such file, or FFmpeg cannot read it.
    """
    if not path.exists():
        raise ProbeError(f"{path}: there is no such file")
    if path.is_dir():
        raise ProbeError(f"{path} is a folder, not a film; name the file in it")
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise ProbeError(f"{path} is empty (0 bytes); copy or export it again")
        container = av.open(file_url(path), "r", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, PermissionError):
            raise ProbeError(f"{path} cannot be read: permission denied") from error
        raise ProbeError(
            f"{path} is not a film that FFmpeg can read, or it breaks off before its index; check that it plays"
        ) from error
    container.flags &= ~_GENERATE_PTS
    with container:
        yield container


def probe(path: Path) -> VideoInfo:
    """Look at a film: its main video stream, down to the first decoded picture, and what else it holds.

    The main stream is the first with the disposition "default", else the first; attached pictures do not count.

    Raises:
        ProbeError: The file cannot be read, holds no video, or its video cannot be decoded.
    """
    with opened(path) as container:
        stream = _main_stream(container, path)
        frame = first_frame(container, stream, path)
        try:
            name = formats.planar_equivalent(frame.format.name)
            pixel_format = formats.pixel_format(name)
        except ValueError as error:
            raise ProbeError(f"{path}: {error}; convert the film to a format such as yuv444p16le first") from error
        colour = colour_of(
            frame,
            is_rgb=pixel_format.family == "rgb",
            chroma_location=_chroma_location(path, stream.index) if any(formats.subsampling(name)) else None,
        )
        rate = stream.average_rate or stream.guessed_rate
        return VideoInfo(
            path=path,
            container=container.format.name,
            stream_index=stream.index,
            codec=stream.codec_context.codec.canonical_name,
            width=frame.width,
            height=frame.height,
            format=pixel_format,
            source_format_name=frame.format.name,
            colour=colour,
            time_base=time_base_of(stream, path),
            average_frame_rate=as_fraction(rate) if rate else None,
            start_pts=stream.start_time,
            duration_from_header=_duration_from_header(container, stream),
            frame_count_from_header=stream.frames or None,
            rotation=_orientation(frame)[0],
            sample_aspect_ratio=as_fraction(sar) if (sar := stream.sample_aspect_ratio) else None,
            streams=tuple(_describe(other) for other in container.streams),
            chapter_count=len(container.chapters()),
        )


def picture_details(info: VideoInfo) -> PictureDetails:
    """Read from the source what `VideoInfo` has no place for.

    Raises:
        ProbeError: The source is no longer what it was.
    """
    with opened(info.path) as container:
        stream = video_stream(container, info)
        frame = first_frame(container, stream, info.path)
        rotation, mirrored = _orientation(frame)
        embedded = {_EMBEDDED[kind] for kind in _side_data(frame) if kind in _EMBEDDED}
        if stream.metadata.get("alpha_mode") == "1" and not info.format.has_alpha:
            embedded.add("transparency (the alpha channel of VP8 or VP9)")
        order = _FIELD_ORDERS.get(int(stream.codec_context.field_order))
        return PictureDetails(rotation, mirrored, order, tuple(sorted(embedded)))


def video_stream(container: InputContainer, info: VideoInfo) -> VideoStream:
    """The stream that `info` speaks of.

    Raises:
        ProbeError: There is no such video stream: the file has changed.
    """
    streams = container.streams
    stream = streams[info.stream_index] if info.stream_index < len(streams) else None
    if not isinstance(stream, VideoStream):
        raise ProbeError(f"{info.path} has changed since it was looked at; start again")
    return stream


def time_base_of(stream: Stream, path: Path) -> Fraction:
    """The unit of the stream's times.

    Raises:
        ProbeError: The stream states none.
    """
    if not stream.time_base:
        raise ProbeError(f"{path}: the video stream has no time base; remux the film first")
    return as_fraction(stream.time_base)


def first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    """The first picture that can be decoded.

    Raises:
        ProbeError: There is none among the first packets; the message says why where that can be told.
    """
    stream.thread_type = "SLICE"
    tried = 0
    for packet in container.demux(stream):
        if packet.size and (packet.has_sidedata("encryption_info") or "enc_key_id" in stream.metadata):
            raise ProbeError(f"{path} is encrypted; decrypt it first")
        try:
            frames = packet.decode()
        except av.FFmpegError:
            frames = []
        if frames:
            return frames[0]
        tried += 1
        if tried > _PACKETS_TRIED:
            break
    codec = stream.codec_context.codec.canonical_name
    reason = f"none of its first {tried - 1} packets can be decoded as {codec}" if tried > 1 else "its video is empty"
    raise ProbeError(f"{path} holds no picture: {reason}; it is damaged or encrypted")


def _main_stream(container: InputContainer, path: Path) -> VideoStream:
    if container.format.name == _TEXT_AS_VIDEO:
        raise ProbeError(f"{path} is a text file, not a film")
    not_films = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    films = [stream for stream in container.streams.video if not stream.disposition & not_films]
    if not films:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise ProbeError(f"{path} holds no video stream, only {kinds}")
    stream = next((film for film in films if film.disposition & av.stream.Disposition.default), films[0])
    if stream.codec_context is None:
        raise ProbeError(f"{path}: there is no decoder for its video stream (unknown codec, or encrypted)")
    return stream


def _side_data(frame: av.VideoFrame) -> dict[str, bytes]:
    parts: Any = frame.side_data  # PyAV's stubs call it a dictionary; it iterates over its values
    return {part.type.name: bytes(part) for part in parts}


def _orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """Clockwise rotation to the nearest quarter turn, and whether the picture is mirrored after it."""
    matrix = _side_data(frame).get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    # 3x3 in 16.16 fixed point, for row vectors (x, y, 1) with y downward; only the linear part matters here.
    (a, b), (c, d) = np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2].astype(float)
    mirrored = bool(a * d - b * c < 0)
    if mirrored:
        a = -a
    quarters = round(float(np.arctan2(b, a)) / (np.pi / 2)) % 4
    return quarters * 90, mirrored


def _duration_from_header(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration:
        return stream.duration * as_fraction(stream.time_base)
    tag = duration_tag(stream)
    if tag is not None:
        return tag
    return container.duration * _MICROSECOND if container.duration else None


def duration_tag(stream: Stream) -> Fraction | None:
    """Seconds that the statistics tag of a Matroska stream states."""
    tag = re.match(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3]) if tag else None


def _chroma_location(path: Path, index: int) -> str | None:
    """Where chroma samples lie, from the program's own report: PyAV has no access to it."""
    command = [ffmpeg_binary(), "-hide_banner", "-nostdin", "-v", "verbose", "-i", file_url(path)]
    report = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).stderr
    line = re.search(rf"Stream #0:{index}\b.*?: Video: (.*)", report.decode(errors="replace"))
    found = re.search(r"\([^()]*\b(left|center|topleft|top|bottomleft|bottom)\)", line.group(1)) if line else None
    return found.group(1) if found else None


def _describe(stream: Stream) -> StreamInfo:
    kind: Literal["video", "audio", "subtitle", "data", "attachment"]
    kind = "data" if stream.type == "unknown" else stream.type
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
    language = stream.metadata.get("language", "und")
    title = stream.metadata.get("title") or stream.metadata.get("filename")
    return StreamInfo(stream.index, kind, codec, None if language == "und" else language, title, _detail(stream))


def _detail(stream: Stream) -> str:
    context = stream.codec_context
    if context is None:
        return ""
    if stream.type == "video":
        picture = ", attached picture" if stream.disposition & av.stream.Disposition.attached_pic else ""
        return f"{context.width}x{context.height}{picture}"  # type: ignore[attr-defined]
    if stream.type == "audio":
        return f"{context.channels} channels, {context.sample_rate} Hz"  # type: ignore[attr-defined]
    return ""
