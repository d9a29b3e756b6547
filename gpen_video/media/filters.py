"""Filters of the user's choice, through which every picture passes first.

The ``ffmpeg`` program runs the graph, not PyAV: PyAV's own libavfilter has no parser for graphs and lacks the filters
that are under the GPL, hqdn3d among them. Pictures go there and back uncompressed, in NUT, each with its own time.
"""

import re
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BufferedReader
from typing import IO, Any, cast

import av
import numpy as np
from av.container import InputContainer

from gpen_video.colour import is_full_range
from gpen_video.errors import ConfigError
from gpen_video.media import formats
from gpen_video.media.binary import ffmpeg_binary
from gpen_video.media.fields import Field
from gpen_video.media.picture import frame_of, picture_of
from gpen_video.media.probe import as_fraction
from gpen_video.streams import closing_upstream
from gpen_video.types import ColourSpec, Frame, Picture, PixelFormat, Timestamp, VideoInfo

SETTING = "media.filters"
_TRIAL_FRAMES = 24
_UNSAID = ("unknown", "unspecified", "reserved")
_NAMES = re.compile(r"[\w-]+(/[\w-]+/[\w-]+)?")
_CHROMA_OPTIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")
_RANGES = {"tv": False, "pc": True}
_PROGRESSIVE = "progressive"
_EMPTY_PHRASES = (
    "Error opening output",
    "Error initializing",
    "Error reinitializing",
    "Failed to configure",
    "Task finished",
    "Terminating thread",
    "Could not open encoder",
    "Nothing was written",
    "Conversion failed",
    "Last message repeated",
)
_STREAM_LINE = re.compile(
    r"Stream #0:0.*?: Video: rawvideo.*?, (?P<format>\w+)(?:\((?P<tags>[^()]*(?:\([^()]*\)[^()]*)*)\))?, "
    r"(?P<width>\d+)x(?P<height>\d+)(?: \[SAR (?P<sar>\d+:\d+))?"
)


def deinterlace(first: Field) -> str:
    """The graph that makes interlaced film progressive, one frame a frame, at the first field's time.

    bwdif: BBC's Weston filter, with its motion check from Yadif.
    """
    return f"bwdif=mode=send_frame:parity={'tff' if first == 'top' else 'bff'}:deint=all"


def joined(*graphs: str) -> str:
    """Graphs one after the other; empty ones are left out."""
    return ",".join(graph for graph in graphs if graph.strip())


def filter_warning(graph: str) -> str:
    """What the user is told before work starts."""
    return (
        f"{SETTING}: every picture passes {graph!r} first, so that the result differs from the source "
        "outside the faces, too"
    )


def filtered_info(info: VideoInfo, graph: str, first: Field | None = None) -> VideoInfo:
    """The film as it is behind the filters: size, format, colour and pixel aspect. Tries the graph on a few pictures.

    Args:
        info: The film before them.
        graph: In libavfilter's syntax, with one input and one output for pictures.
        first: The first field of interlaced film, which filters are told; `None` for progressive.

    Raises:
        ConfigError: libavfilter refuses the graph, it gives a pixel format that is not supported, or as many pictures
            at the same times do not come out of it as went in.
    """
    with tempfile.TemporaryFile() as log:
        with _running(info, graph, first, log) as program, closing(_filtered(_patterns(info), program, info)) as frames:
            for _, picture in frames:
                _supported(picture.format.name, graph)
        log.seek(0)
        said = log.read().decode(errors="replace")
    before, behind = (_STREAM_LINE.search(part) for part in said.split("Output #0")[:2])
    if before is None or behind is None:
        raise ConfigError(f"{SETTING}: ffmpeg does not say what {graph!r} gives")
    return replace(
        info,
        width=int(behind["width"]),
        height=int(behind["height"]),
        format=_supported(behind["format"], graph),
        source_format_name=behind["format"],
        colour=_changed(info.colour, _tags(before["tags"]), _tags(behind["tags"])),
        sample_aspect_ratio=_aspect(behind["sar"]) or info.sample_aspect_ratio,
        first_field=None if _is_deinterlaced(before["tags"], behind["tags"]) else info.first_field,
    )


def filtered(
    frames: Iterable[Frame], graph: str, info: VideoInfo, behind: VideoInfo, first: Field | None = None
) -> Generator[Frame]:
    """Pass every picture through a libavfilter graph; each frame keeps its index, time, duration and shot.

    The graph says how far it looks ahead; a few frames more are on their way to the program and back. A thread takes
    the frames from upstream; it has ended when the generator is closed or has raised.

    Args:
        frames: In the order of presentation.
        graph: As given to `filtered_info`.
        info: The film before the filters.
        behind: From `filtered_info`.
        first: As given to `filtered_info`.

    Yields:
        Frames with read-only planes of `behind`'s format, size and colour.

    Raises:
        ConfigError: Pictures were dropped, doubled or given another time.
        OutputError: There is no ``ffmpeg`` program.
    """
    with closing_upstream(frames), tempfile.TemporaryFile() as log, _running(info, graph, first, log) as program:
        for frame, picture in _filtered(frames, program, info):
            planes = picture_of(picture, behind.colour)
            if (planes.format, planes.width, planes.height) != (behind.format, behind.width, behind.height):
                raise ConfigError(f"{SETTING}: {graph!r} changes the size or the format within the film")
            yield replace(frame, picture=planes)


@dataclass(slots=True)
class _Program:
    """The running program, and what it was told."""

    process: "subprocess.Popen[bytes]"
    graph: str
    log: IO[bytes]

    def reason(self) -> str:
        """Why it ended, in its own words: the first that say something."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").splitlines()
        errors = [re.sub(r"^(\[[^\]]* @ 0x[0-9a-f]+\] )+", "", line.strip()) for line in lines]
        telling = [
            line
            for line in errors
            if re.search(r"rror|nvalid|No such|not found|xpected|out of range|annot|ndefined|nable", line)
            and not line.startswith(_EMPTY_PHRASES)
        ]
        return telling[0].rstrip(".") if telling else "ffmpeg gave no reason"

    def refusal(self) -> ConfigError:
        """The error to raise when it ended before its time."""
        return ConfigError(f"{SETTING}: {self.graph!r} is refused by libavfilter: {self.reason()}")


@dataclass(slots=True)
class _Feed:
    """Takes frames from upstream and writes them to the program, in a thread of its own."""

    frames: Iterable[Frame]
    program: _Program
    info: VideoInfo
    waiting: "deque[Frame]" = field(default_factory=deque)
    """Written, not yet come back: bounded by the pipes and by how far the filters look ahead."""
    error: BaseException | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Write until there is nothing more, the program ends, or `stopped` is set."""
        try:
            with closing_upstream(self.frames):
                if not self.stopped.is_set():
                    self._write()
        except BaseException as error:  # goes on in the thread that takes the pictures
            self.error = error
        finally:
            with suppress(OSError):  # the program has ended: what remains in the buffer has no reader
                cast(IO[bytes], self.program.process.stdin).close()

    def _write(self) -> None:
        writer: _Writer | None = None
        try:
            for frame in self.frames:
                if self.stopped.is_set():
                    return
                writer = writer or _Writer(cast(IO[bytes], self.program.process.stdin), frame, self.info)
                self.waiting.append(replace(frame, picture=replace(frame.picture, planes=())))  # its samples go there
                if not writer.add(frame):
                    return
        finally:
            if writer is not None:
                writer.finish()


class _Writer:
    """The pipe to the program, in NUT."""

    def __init__(self, pipe: IO[bytes], first: Frame, info: VideoInfo) -> None:
        self._colour, self._start = info.colour, first.time.pts
        self._container = av.open(_Pipe(pipe), "w", "nut", options={"avoid_negative_ts": "disabled"})
        self._stream = self._container.add_stream("rawvideo", rate=info.average_frame_rate or 25)
        self._stream.width, self._stream.height = first.picture.width, first.picture.height
        self._stream.pix_fmt = first.picture.format.name
        if info.sample_aspect_ratio:
            self._stream.sample_aspect_ratio = info.sample_aspect_ratio
        self._stream.codec_context.time_base = self._stream.time_base = first.time.time_base

    def add(self, frame: Frame) -> bool:
        """Write a picture; false when the program has ended, which says itself why."""
        coded = frame_of(frame.picture, frame.picture.format.name, self._colour)
        coded.pts, coded.time_base = frame.time.pts - self._start, frame.time.time_base
        try:
            self._container.mux(self._stream.encode(coded))
        except (av.FFmpegError, OSError):
            return False
        return True

    def finish(self) -> None:
        """Write the end."""
        with suppress(av.FFmpegError, OSError):  # the program may have ended
            self._container.mux(self._stream.encode(None))
        with suppress(av.FFmpegError, OSError):
            self._container.close()


class _Pipe:
    """A pipe's end, with only what can be done with it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> int:
        """Write all of it, waiting for the other end."""
        return self._pipe.write(data)

    def read(self, count: int) -> bytes:
        """Up to so many bytes."""
        return cast(BufferedReader, self._pipe).read1(count)


def _filtered(frames: Iterable[Frame], program: _Program, info: VideoInfo) -> Generator[tuple[Frame, av.VideoFrame]]:
    """Each frame, without samples, and the picture that came back for it."""
    feed = _Feed(frames, program, info)
    thread = threading.Thread(target=feed.run, name="filters")
    first: Timestamp | None = None
    try:
        thread.start()
        for picture in _pictures(program):
            frame = feed.waiting.popleft() if feed.waiting else None
            first = first or (frame.time if frame else None)
            if frame is None or first is None or _seconds(picture) != frame.time.seconds - first.seconds:
                raise _not_one_for_one(program.graph)
            yield frame, picture
        thread.join()
        if feed.error is not None:
            raise feed.error
        if first is None and not feed.waiting:
            return  # there was no frame
        if program.process.wait() != 0:
            raise program.refusal()
        if feed.waiting:
            raise _not_one_for_one(program.graph)
    finally:
        feed.stopped.set()
        program.process.kill()
        with suppress(RuntimeError):  # interrupted before it ran: then it finds that it is to stop
            thread.join()


def _pictures(program: _Program) -> Generator[av.VideoFrame]:
    """What comes out of the program; nothing where it ends before its first picture."""
    stream = cast(IO[bytes], program.process.stdout)
    try:
        # No longer look than at the first picture: it waits for nothing that is not on its way.
        container: InputContainer = av.open(_Pipe(stream), "r", "nut", options={"probesize": "32"})
    except (av.FFmpegError, OSError):
        return
    with container:
        yield from container.decode(video=0)


@contextmanager
def _running(info: VideoInfo, graph: str, first: Field | None, log: IO[bytes]) -> Generator[_Program]:
    command = [ffmpeg_binary(), "-hide_banner", "-nostats", "-v", "info", *_input_options(info, first)]
    command += ["-f", "nut", "-i", "pipe:0", "-map", "0:v:0", "-vf", graph, "-copyts", "-fps_mode", "passthrough"]
    command += ["-enc_time_base", "filter", "-c:v", "rawvideo", "-avoid_negative_ts", "disabled", "-f", "nut", "pipe:1"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    try:
        yield _Program(process, graph, log)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what is left in its buffer has no reader
                cast(IO[bytes], pipe).close()


def _input_options(info: VideoInfo, first: Field | None) -> list[str]:
    """What uncompressed pictures cannot say of themselves."""
    colour = info.colour
    stated = {
        "-color_range": "pc" if is_full_range(colour, info.format) else "tv",
        "-colorspace": "rgb" if info.format.family == "rgb" or colour.matrix == "gbr" else colour.matrix,
        "-color_primaries": colour.primaries,
        "-color_trc": colour.transfer,
        "-chroma_sample_location": colour.chroma_location if colour.chroma_location in _CHROMA_OPTIONS else None,
        "-field_order": {"top": "tt", "bottom": "bb", None: "progressive"}[first],
    }
    return [part for name, value in stated.items() if value not in (None, *_UNSAID) for part in (name, str(value))]


def _tags(listed: str | None) -> dict[str, Any]:
    """What the program lists of a stream's colours, by the names of `ColourSpec`.

    For example ``tv, bt709/unknown/bt709, top coded first (swapped)``, with one name where the three are the same.
    """
    parts = [part.strip() for part in (listed or "").split(",")]
    known = {*_RANGES, *_CHROMA_OPTIONS, _PROGRESSIVE}
    names = next((part for part in parts if part not in known and _NAMES.fullmatch(part)), "unknown").split("/")
    matrix, primaries, transfer = (None if name in _UNSAID else name for name in (names * 3)[:3])
    return {
        "matrix": matrix,
        "full_range": next((_RANGES[part] for part in parts if part in _RANGES), None),
        "primaries": primaries,
        "transfer": transfer,
        "chroma_location": next((part for part in parts if part in _CHROMA_OPTIONS), None),
    }


def _changed(colour: ColourSpec, before: dict[str, Any], behind: dict[str, Any]) -> ColourSpec:
    """The film's own tags, but for those that the filters changed."""
    return replace(colour, **{name: value for name, value in behind.items() if value != before[name]})


def _is_deinterlaced(before: str | None, behind: str | None) -> bool:
    return _PROGRESSIVE in (behind or "") and _PROGRESSIVE not in (before or "")


def _aspect(listed: str | None) -> Fraction | None:
    across, _, down = (listed or "0:1").partition(":")
    return Fraction(int(across), int(down)) if int(across) and int(down) else None


def _supported(name: str, graph: str) -> PixelFormat:
    try:
        return formats.pixel_format(formats.planar_equivalent(name))
    except ValueError as error:
        raise ConfigError(f"{SETTING}: {graph!r} ends in a format that cannot be restored: {error}") from error


def _patterns(info: VideoInfo) -> Iterable[Frame]:
    """A few pictures of the film's format: noise, that stands still at first, then moves."""
    fmt = info.format
    random = np.random.default_rng(0)
    luma = (info.height, info.width)
    chroma = (-(-info.height // 2**fmt.log2_chroma_h), -(-info.width // 2**fmt.log2_chroma_w))
    shapes = [luma] if fmt.family == "gray" else [luma, chroma, chroma]
    dtype = np.uint8 if fmt.bits == 8 else np.uint16
    planes = [random.integers(0, 2**fmt.bits, shape, dtype) for shape in [*shapes, *([luma] if fmt.has_alpha else [])]]
    rate = info.average_frame_rate
    step = max(1, round(1 / (rate * info.time_base))) if rate else 1
    for index in range(_TRIAL_FRAMES):
        moved = tuple(np.roll(plane, max(0, index - _TRIAL_FRAMES // 2), axis=1) for plane in planes)
        yield Frame(index, Timestamp(index * step, info.time_base), Picture(moved, fmt, info.colour), step)


def _seconds(picture: av.VideoFrame) -> Fraction | None:
    return None if picture.pts is None else picture.pts * as_fraction(picture.time_base)


def _not_one_for_one(graph: str) -> ConfigError:
    return ConfigError(
        f"{SETTING}: {graph!r} drops, doubles or retimes pictures, but the result has every frame of the source at its "
        "own time; leave such filters out"
    )
