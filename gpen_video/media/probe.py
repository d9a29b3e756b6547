"""From a path to what is known of the film before work starts."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, islice
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
from gpen_video.media.colour_tags import colour_of, stream_colour
from gpen_video.media.elsewhere import opened_elsewhere
from gpen_video.media.field_tags import first_field_of
from gpen_video.media.image_headers import DpxHeader, tiff_tags
from gpen_video.media.messages import CARRIERS
from gpen_video.media.sequence import ImageSequence, check_sizes, find_sequence, frame_rate_of
from gpen_video.media.side_data import UNNAMED, HdrMetadata, hdr_metadata, side_data_of
from gpen_video.types import ColourSpec, StreamInfo, VideoInfo

_GENERATE_PTS = 1  # AVFMT_FLAG_GENPTS, which PyAV sets: times that the file does not state are made up, not always well
_PACKETS_TRIED = 300  # for the first picture
_TEXT_AS_VIDEO = "tty"  # the demuxer that takes any .txt for a film
_FIELD_ORDERS = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}  # AVFieldOrder, by the names of ffmpeg's -field_order
_MICROSECOND = Fraction(1, av.time_base)
_LEAST_TILT = 0.1  # degrees beyond a quarter turn that are told
_PICTURES_TRIED = 8  # for captions, which need not begin with the first one
_EMBEDDED = {
    "DYNAMIC_HDR_PLUS": "HDR10+ dynamic metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid dynamic metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "ICC_PROFILE": "the ICC profile in the pictures",
    UNNAMED: "metadata in the pictures of a kind that PyAV does not know (EXIF)",
    "STEREO3D": "the layout of a stereoscopic film",
    "SPHERICAL": "the projection of a spherical film",
}
_NO_TIMECODE = "00:00:00:00"  # as MPEG encoders write it where there is none


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
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    """What holds for the whole of an HDR10 film."""
    has_captions: bool = False
    """Whether one of the first pictures holds closed captions (CEA-608/708, by ATSC A/53)."""
    has_active_format: bool = False
    """Whether one of the first pictures holds an active format description (ETSI TS 101 154)."""
    timecode: str | None = None
    """Of the first picture, where it states one that the container does not: SMPTE 12M, GOP header, DPX header."""
    container_colour: ColourSpec = field(default_factory=ColourSpec)
    """The container's own colour tags; where the pictures' differ, those are `VideoInfo.colour`."""


def as_fraction(rational: Any) -> Fraction:  # noqa: ANN401  (Fraction up to PyAV 18, AVRational from 19)
    """PyAV's rational as a `Fraction`."""
    return Fraction(int(rational.numerator), int(rational.denominator))


@contextmanager
def opened(path: Path, rate: Fraction | None = None) -> Iterator[InputContainer]:
    """The film, opened for reading.

    Args:
        path: A file, or what `sequence.find_sequence` takes.
        rate: Frames a second of an image sequence; its first header's where it is not given.

    Raises:
        ProbeError: There is no such file, FFmpeg cannot read it, or see `sequence`.
    """
    sequence = find_sequence(path)
    with _open(path) if sequence is None else _open_sequence(sequence, rate) as container:
        container.flags &= ~_GENERATE_PTS
        yield container


@contextmanager
def opened_source(info: VideoInfo) -> Iterator[InputContainer]:
    """The film that `info` describes, opened for reading; see `opened` and `opened_elsewhere`."""
    if info.reader is None:
        with opened(info.path, info.average_frame_rate) as container:
            yield container
    else:
        with opened_elsewhere(info, info.reader) as container:
            container.flags &= ~_GENERATE_PTS
            yield container


def _open(path: Path) -> InputContainer:
    if not path.exists():
        raise ProbeError(f"{path}: there is no such file")
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise ProbeError(f"{path} is empty (0 bytes); copy or export it again")
        return av.open(file_url(path), "r", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, PermissionError):
            raise ProbeError(f"{path} cannot be read: permission denied") from error
        raise ProbeError(
            f"{path} is not a film that FFmpeg can read, or it breaks off before its index; check that it plays"
        ) from error


def _open_sequence(sequence: ImageSequence, rate: Fraction | None) -> InputContainer:
    options = sequence.demuxer_options(rate or frame_rate_of(sequence, None))
    try:
        return av.open(sequence.url, "r", format="image2", options=options)
    except (av.FFmpegError, OSError) as error:
        raise ProbeError(f"{sequence.path}: FFmpeg cannot read the first image; check that it is whole") from error


def probe(path: Path, frame_rate: str | None = None) -> VideoInfo:
    """Look at a film: its main video stream, down to the first decoded picture, and what else it holds.

    The main stream is the first with the disposition "default", else the first; attached pictures do not count.

    Args:
        path: A file, or an image sequence: its folder, its pattern (``scan_%06d.dpx``) or its first file.
        frame_rate: Of an image sequence, as ``24`` or ``24000/1001``; where it is not given, the first DPX header's.

    Raises:
        ConfigError: `frame_rate` is none.
        ProbeError: The file cannot be read, holds no video, or its video cannot be decoded; of an image sequence, a
            number is missing, the sizes differ, or nothing states the rate.
    """
    sequence = find_sequence(path)
    rate = None
    if sequence is not None:
        path, rate = sequence.path, frame_rate_of(sequence, frame_rate)
        check_sizes(sequence)
    with opened(path, rate) as container:
        stream = _main_stream(container, path)
        frame = first_frame(container, stream, path)
        try:
            name = formats.planar_equivalent(frame.format.name)
            pixel_format = formats.pixel_format(name)
        except ValueError as error:
            raise ProbeError(f"{path}: {error}; convert the film to a format such as yuv444p16le first") from error
        has_coarse_chroma = any(formats.subsampling(name))
        colour = colour_of(
            frame,
            is_rgb=pixel_format.family == "rgb",
            chroma_location=None if sequence or not has_coarse_chroma else _chroma_location(path, stream.index),
        )
        rate = as_fraction(stated) if (stated := stream.average_rate or stream.guessed_rate) else None
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
            average_frame_rate=rate,
            start_pts=stream.start_time,
            duration_from_header=_duration_from_header(container, stream),
            frame_count_from_header=sequence.count if sequence else stream.frames or None,
            rotation=_orientation(frame)[0],
            sample_aspect_ratio=as_fraction(sar) if (sar := stream.sample_aspect_ratio) else None,
            streams=tuple(_describe(other) for other in container.streams),
            chapter_count=len(container.chapters()),
            first_field=first_field_of(frame),
        )


def picture_details(info: VideoInfo) -> PictureDetails:
    """Read from the source what `VideoInfo` has no place for.

    Raises:
        ProbeError: The source is no longer what it was.
    """
    with opened_source(info) as container:
        stream = video_stream(container, info)
        container_colour = stream_colour(stream.codec_context)  # before the decoder puts its own in place
        frame = first_frame(container, stream, info.path)
        rotation, mirrored, tilt = _orientation(frame)
        first, *others = (side_data_of(each) for each in chain((frame,), _next_frames(container, stream)))
        kinds = set(first).union(*others)
        sequence = find_sequence(info.path)
        if sequence is not None:  # FFmpeg hands every tag of a TIFF out as EXIF, and an unset timecode as zero
            kinds.discard(UNNAMED)
        embedded = {_EMBEDDED[kind] for kind in kinds if kind in _EMBEDDED}
        if abs(tilt) >= _LEAST_TILT:
            embedded.add(f"a rotation by {tilt:+.1f} degrees beyond {rotation}")
        if sequence is not None:
            timecode, tags = _said_by_first_image(sequence)
            embedded |= tags
        else:
            timecode = _timecode(container, frame)
        if stream.metadata.get("alpha_mode") == "1" and not info.format.has_alpha:
            embedded.add("transparency (the alpha channel of VP8 or VP9)")
        order = _FIELD_ORDERS.get(int(stream.codec_context.field_order))
        return PictureDetails(
            rotation,
            mirrored,
            order,
            tuple(sorted(embedded)),
            hdr_metadata(first),
            has_captions="A53_CC" in kinds,
            has_active_format="AFD" in kinds,
            timecode=timecode,
            container_colour=container_colour,
        )


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


def _timecode(container: InputContainer, frame: av.VideoFrame) -> str | None:
    """The picture's, unless the container states one."""
    holders = (container.metadata, *(stream.metadata for stream in container.streams))
    if any(name.lower() == "timecode" for tags in holders for name in tags):
        return None
    timecode = frame.metadata.get("timecode", _NO_TIMECODE)
    return None if timecode == _NO_TIMECODE else timecode


def _said_by_first_image(sequence: ImageSequence) -> tuple[str | None, set[str]]:
    """The timecode of a DPX image; the tags of a TIFF image that are not about its samples."""
    first = next(sequence.files())
    header = DpxHeader.of(first)
    numbers = ", ".join(map(str, tiff_tags(first)))
    return header.timecode_text if header else None, {f"TIFF tags ({numbers})"} if numbers else set()


def _next_frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Some pictures after the first, of codecs whose pictures may hold captions."""
    if stream.codec_context.codec.canonical_name not in CARRIERS:
        return
    with suppress(av.FFmpegError):  # `decode` tells of damage
        yield from islice(container.decode(stream), _PICTURES_TRIED)


def _orientation(frame: av.VideoFrame) -> tuple[int, bool, float]:
    """Clockwise rotation to the nearest quarter turn, whether the picture is mirrored after it, and what is beyond."""
    matrix = side_data_of(frame).get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False, 0.0
    # 3x3 in 16.16 fixed point, for row vectors (x, y, 1) with y downward; only the linear part matters here.
    (a, b), (c, d) = np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2].astype(float)
    mirrored = bool(a * d - b * c < 0)
    if mirrored:
        a = -a
    degrees = float(np.degrees(np.arctan2(b, a)))
    quarters = round(degrees / 90)
    return quarters % 4 * 90, mirrored, degrees - quarters * 90


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
