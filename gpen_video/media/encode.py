"""From frames to a video-only file in which each frame has its own time."""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple, cast

import av
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags, OptionType
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from gpen_video.colour import is_full_range
from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import ConfigError, EncodeError, OutputError, system_reason
from gpen_video.media import formats
from gpen_video.media.binary import file_url
from gpen_video.media.colour_tags import write_tags
from gpen_video.media.decode import decode_side_data
from gpen_video.media.field_tags import FieldTagger
from gpen_video.media.masters import master_options, why_refused
from gpen_video.media.messages import CARRIERS, with_messages
from gpen_video.media.picture import frame_of
from gpen_video.media.probe import PictureDetails, picture_details
from gpen_video.media.sample_entry import add_to_sample_entry
from gpen_video.media.side_data import HdrMetadata, TimedMessages, encoder_parameters, sample_entry_boxes
from gpen_video.types import ColourSpec, Frame, Timestamp, VideoInfo

_THREADS = "8"
"""Fixed: what x264, x265 and FFV1 write depends on the number of threads, and may not depend on the machine."""
_CONTAINERS = ("mov", "mp4", "nut")
"""In this order of preference: MOV keeps durations and any time base; it has no FFV1, MP4 no ProRes, NUT nearly all."""
BITEXACT = 0x400  # AVFMT_FLAG_BITEXACT: no dates and no random numbers
_LIMITED_RANGE_ONLY = ("prores", "dnxhd")
_X265_LEAST_SIDE = 32
"""libx265 (build 216, as in PyAV 18.1) overwrites memory that is not its own with pictures of 34x18."""
_FLAGS_FIELDS = ("h264", "mpeg2video", "mpeg4", "ffv1", "prores", "dnxhd")
"""Whose encoders in FFmpeg write a picture's flags. libx265 wants fields one by one, AV1 has none."""
_WITH_SAMPLE_ENTRY = ("mov", "mp4")
_OUR_OWN = ("threads", "x264-params", "x265-params", "svtav1-params")  # options that the user need not hear of
_MOST_TICKS_AHEAD = 2**31 - 1  # by which MOV can have a packet decoded before it is shown
_HIGHEST_RATE = 300  # frames a second; some FLV and MKV files claim 1000
_FALLBACK_RATE = Fraction(25)


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """What `encode` is going to do."""

    codec: str
    """FFmpeg's name of the encoder."""
    pix_fmt: str
    """FFmpeg's name of the pixel format that it is given."""
    options: dict[str, str]
    """All options that it is given."""
    colour: ColourSpec
    """The tags that it writes."""
    container: str
    """FFmpeg's name of the format of the video-only file."""
    warnings: tuple[str, ...]
    """What the encoder cannot keep of the source, and what it does otherwise than asked, one line each."""
    losses: tuple[str, ...] = ()
    """Those of the warnings that tell of something that is lost."""
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    """What is written into stream and file."""
    carries_messages: bool = False
    """Whether captions and active format are put into the pictures."""
    first_field: Literal["top", "bottom"] | None = None
    """The field that the pictures are flagged to show first; `None` for progressive ones."""


@dataclass(frozen=True, slots=True)
class EncodeSummary:
    """What `encode` did."""

    frame_count: int
    first: Timestamp
    last: Timestamp
    byte_count: int
    """Size of the video-only file."""


def check_encoder(info: VideoInfo, settings: EncodeSettings, details: PictureDetails | None = None) -> EncoderPlan:
    """Find out how the film will be encoded, by opening the encoder as `encode` will.

    The pixel format is the source's, else the nearest of the encoder's that keeps its chroma and bits, else the
    nearest. libx264 and some others refuse an odd width or height with subsampled chroma. Padding would change the
    size and cropping would lose a line, so they are given 4:4:4 with each chroma sample repeated: the size stays, and
    the source's samples can be had back exactly.

    Args:
        info: The source.
        settings: The encoder's; what they leave open is set for masters (`media.masters`).
        details: The source's, where they are known already.

    Raises:
        ConfigError: No such encoder, option or pixel format.
        EncodeError: The encoder refuses the settings, for example the value of an option.
        ProbeError: The source is no longer what it was.
    """
    codec = _codec(settings.codec)
    details = details or picture_details(info)
    if codec.name == "libx265" and min(info.width, info.height) < _X265_LEAST_SIDE:
        raise EncodeError(f"libx265 cannot encode pictures as small as {info.width}x{info.height}; choose libx264")
    options, warnings = _options(codec.name, settings, details.hdr)
    candidates = _pixel_formats(codec, info, settings)
    for name in candidates:
        colour = _coded_colour(info, name)
        chosen = master_options(codec.name, info, name) | options
        if any(formats.subsampling(name)) and colour.chroma_location:
            chosen.setdefault("chroma_sample_location", colour.chroma_location)
        plan = EncoderPlan(codec.name, name, chosen, colour, _CONTAINERS[0], ())
        if _opens(plan, info):
            break
        if "slices" in chosen and "slices" not in options:
            # FFV1 refuses some counts at odd sizes; its own choice is better than another pixel format.
            plan = replace(plan, options={key: value for key, value in chosen.items() if key != "slices"})
            if _opens(plan, info):
                break
    else:
        asked = ", ".join(f"{key}={value}" for key, value in options.items() if key not in _OUR_OWN)
        given = asked or "its own defaults"
        raise EncodeError(
            f"{codec.name} refuses {info.width}x{info.height} {candidates[0]} with {given}; "
            + (why_refused(codec.name, info, options) or "check the values, or ")
            + "choose another encode.pix_fmt or encode.codec"
        )
    if info.first_field is not None and codec.canonical_name in _FLAGS_FIELDS:
        flagged = replace(plan, first_field=info.first_field)
        plan = flagged if _opens(flagged, info) else plan
    if name != candidates[0]:
        size = f"{info.width}x{info.height}"
        warnings.append(f"{codec.name} does not take {size} as {candidates[0]}: {name} is used, which loses nothing")
    if plan.colour.full_range and codec.canonical_name in _LIMITED_RANGE_ONLY:
        warnings.append(f"{codec.name} cannot say that the film's range is full: players will show it too contrasty")
    if info.first_field is not None and plan.first_field is None:
        warnings.append(f"{codec.name} cannot flag pictures as interlaced: only the file says so, if it can")
    losses = tuple(_losses(info, name))
    has_messages = details.has_captions or details.has_active_format
    return replace(
        plan,
        container=_container(plan, info),
        warnings=(*warnings, *losses),
        losses=losses,
        hdr=details.hdr,
        carries_messages=has_messages and codec.canonical_name in CARRIERS,
    )


def encode(
    frames: Iterable[Frame],
    path: Path,
    *,
    like: VideoInfo,
    settings: EncodeSettings,
    side_data: Iterable[tuple[Timestamp, dict[str, bytes]]] | None = None,
) -> EncodeSummary:
    """Encode frames into a video-only file, each at its own time in the source's time base.

    Args:
        frames: In the order of presentation, pictures of `like`'s format and size.
        path: The file, replaced if it is there, removed if encoding fails. Its format is `EncoderPlan.container`,
            whatever its name.
        like: The source, whose time base, rate, aspect ratio and colour tags are taken.
        settings: The encoder's.
        side_data: What the pictures carried, as `decode.decode_side_data` gives it. Where it is not given and the
            source holds captions that the encoder's pictures can take, the source is decoded a second time for it.

    Raises:
        ConfigError: See `check_encoder`.
        EncodeError: The encoder refuses the settings or a frame, or there is no frame.
        OutputError: The file cannot be written: no permission, disk full.
    """
    plan = check_encoder(like, settings)
    with ExitStack() as owned:
        messages = None
        if plan.carries_messages:
            entries = owned.enter_context(closing(decode_side_data(like))) if side_data is None else iter(side_data)
            messages = TimedMessages(entries)
        return _encode(frames, FrameWriter(path, plan, like, messages), like)


def _encode(frames: Iterable[Frame], writer: "FrameWriter", like: VideoInfo) -> EncodeSummary:
    try:
        first = last = None
        for frame in frames:
            writer.add(frame)
            first, last = first or frame.time, frame.time
        if first is None or last is None:
            raise EncodeError(f"{like.path}: there is no frame to encode")
        writer.finish()
    except BaseException:
        writer.discard()
        raise
    return EncodeSummary(writer.frame_count, first, last, writer.path.stat().st_size)


class FrameWriter:
    """The encoder and its video-only file; `finish` or `discard` ends it."""

    def __init__(self, path: Path, plan: EncoderPlan, like: VideoInfo, messages: TimedMessages | None) -> None:
        self.frame_count = 0
        self.path = path
        self._plan, self._like, self._messages = plan, like, messages
        self._waiting: dict[int, tuple[bytes, ...]] = {}  # messages, by time, of the frames that are in the encoder
        self._fields = FieldTagger(plan.first_field) if plan.first_field else None
        self._durations: dict[int, int] = {}  # by time, of the frames that are in the encoder
        try:
            self._container: OutputContainer = av.open(
                file_url(path), "w", format=plan.container, options=muxer_options(plan.container, like.time_base)
            )
        except (av.FFmpegError, OSError) as error:
            raise write_error(path, error) from error
        self._container.flags |= BITEXACT
        self._stream = _add_stream(self._container, plan, like)

    def add(self, frame: Frame) -> None:
        """Encode the next frame."""
        if frame.time.pts < 0:
            # Tried: NUT takes no such time, Matroska garbles it, MOV and MP4 leave the frame out of what is shown.
            raise EncodeError(
                f"{self._like.path}: frame {frame.index} has a time before zero, which no result can hold; copy the "
                "film to another file first, which moves all streams alike: ffmpeg -i FILM -map 0 -c copy COPY.mkv"
            )
        if frame.time.time_base != self._like.time_base:
            raise ValueError(f"frame {frame.index}: {frame.time.time_base = } is not {self._like.time_base = }")
        coded = frame_of(frame.picture, self._plan.pix_fmt, self._plan.colour)
        if self._fields is not None:
            coded = self._fields.tagged(coded)
        coded.pts, coded.time_base = frame.time.pts, frame.time.time_base
        if frame.duration is not None:
            coded.duration = self._durations[frame.time.pts] = frame.duration
        if self._messages is not None:
            self._waiting[frame.time.pts] = self._messages.at(frame.time)
        self._mux(self._encode(coded, frame.index))
        self.frame_count += 1

    def finish(self) -> None:
        """Write what is still in the encoder, and close the file."""
        self._mux(self._encode(None, self.frame_count))
        try:
            self._container.close()
            if self._plan.hdr and self._plan.container in _WITH_SAMPLE_ENTRY:
                add_to_sample_entry(self.path, sample_entry_boxes(self._plan.hdr))
        except (av.FFmpegError, OSError) as error:
            raise write_error(self.path, error) from error

    def discard(self) -> None:
        """Close the file and remove it."""
        with suppress(av.FFmpegError, OSError):  # it is not wanted any more, so it does not matter why it cannot end
            self._container.close()
        if self.path.is_file():  # and no device, which is not ours to remove
            self.path.unlink()

    def _encode(self, coded: av.VideoFrame | None, index: int) -> list["av.Packet[VideoStream]"]:
        try:
            return self._stream.encode(coded)
        except (av.FFmpegError, ValueError) as error:
            raise EncodeError(f"{self._like.path}: {self._plan.codec} failed at frame {index}: {error}") from error

    def _mux(self, packets: list["av.Packet[VideoStream]"]) -> None:
        for packet in packets:
            # Not every encoder hands durations on, and only the last frame's cannot be seen from the next one's time.
            duration = None if packet.pts is None else self._durations.pop(packet.pts, None)
            if duration is not None:
                packet.duration = duration
            if packet.pts is not None and (packet.dts is None or not 0 <= packet.pts - packet.dts <= _MOST_TICKS_AHEAD):
                packet.dts = packet.pts  # libx265 makes it up where a film has but one or two frames
            if packet.pts is not None and (messages := self._waiting.pop(packet.pts, ())):
                packet = self._with_messages(packet, messages)
            try:
                self._container.mux(packet)
            except (av.FFmpegError, OSError) as error:
                raise write_error(self.path, error) from error

    def _with_messages(self, packet: "av.Packet[VideoStream]", messages: Sequence[bytes]) -> "av.Packet[VideoStream]":
        codec = self._stream.codec_context.codec.canonical_name
        told = cast("av.Packet[VideoStream]", av.Packet(with_messages(bytes(packet), codec, messages)))
        told.stream, told.time_base = self._stream, packet.time_base
        told.pts, told.dts, told.duration = packet.pts, packet.dts, packet.duration
        told.is_keyframe = packet.is_keyframe
        return told


def muxer_options(container: str, time_base: Fraction) -> dict[str, str]:
    """Options with which the writer of a video-only file shifts and rounds nothing."""
    options = {"avoid_negative_ts": "disabled"}
    if container == "nut":
        return options
    ticks = str(time_base.denominator)
    return options | {"video_track_timescale": ticks, "movie_timescale": ticks}


def write_error(path: Path, error: Exception) -> OutputError:
    """What to tell the user when a file cannot be written."""
    return OutputError(f"{path} cannot be written: {system_reason(error)}")


def _codec(name: str) -> av.Codec:
    try:
        codec = av.Codec(name, "w")
    except (UnknownCodecError, av.FFmpegError):
        codec = None
    if codec is None or codec.type != "video":
        raise ConfigError(
            f"encode.codec: there is no video encoder {name!r}; try libx264, libx265, libsvtav1, ffv1 or prores_ks"
        )
    return codec


def _add_stream(container: OutputContainer, plan: EncoderPlan, info: VideoInfo) -> VideoStream:
    stream = cast(VideoStream, container.add_stream(plan.codec, rate=_rate(info)))
    stream.time_base = info.time_base
    _configure(stream.codec_context, plan, info)
    if stream.codec_context.codec.canonical_name == "hevc" and plan.container != "nut":
        stream.codec_context.codec_tag = "hvc1"  # parameter sets in the header only, as QuickTime wants them
    return stream


def _configure(context: VideoCodecContext, plan: EncoderPlan, info: VideoInfo) -> None:
    context.width, context.height, context.pix_fmt = info.width, info.height, plan.pix_fmt
    context.time_base, context.framerate = info.time_base, _rate(info)
    if info.sample_aspect_ratio:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    write_tags(context, plan.colour)
    context.options = plan.options
    if plan.first_field is not None:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = 2 if plan.first_field == "top" else 3  # AVFieldOrder
    if plan.codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "0")  # the library has no other way to be quiet


def _opens(plan: EncoderPlan, info: VideoInfo) -> bool:
    context = cast(VideoCodecContext, av.CodecContext.create(plan.codec, "w"))
    _configure(context, plan, info)
    try:
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _container(plan: EncoderPlan, info: VideoInfo) -> str:
    """The first that will hold the stream, by the word of its writer."""
    for name in _CONTAINERS:
        container = av.open(BytesIO(), "w", format=name)
        try:
            _add_stream(container, replace(plan, container=name), info)
            container.start_encoding()
        except (av.FFmpegError, ValueError):
            continue
        return name
    raise EncodeError(f"encode.codec: no file format here keeps exact times of {plan.codec}; choose another codec")


def _rate(info: VideoInfo) -> Fraction:
    """The rate from which encoders plan their bits; times do not depend on it."""
    rate = info.average_frame_rate
    return rate if rate and rate <= _HIGHEST_RATE else _FALLBACK_RATE


def _options(codec: str, settings: EncodeSettings, hdr: HdrMetadata) -> tuple[dict[str, str], list[str]]:
    """The options that the encoder has, of those that are set, and a word on a preset that it has not."""
    supported = av.CodecContext.create(codec, "w").supported_options
    private = {option.name: option for option in supported.private}
    known = private.keys() | {option.name for option in supported.generic}
    unknown = [name for name in settings.options if name not in known]
    if unknown:
        raise ConfigError(f"encode.options: {settings.codec} has no option {unknown[0]!r}")
    options, warnings = {"threads": _THREADS}, list[str]()
    if settings.crf is not None and "crf" in private:
        options["crf"] = f"{settings.crf:g}"
    if settings.preset is not None and "preset" in private:
        preset = private["preset"]
        choices = {choice.name for choice in preset.choices}
        if preset.type == OptionType.STRING or settings.preset in choices or settings.preset.lstrip("-").isdigit():
            options["preset"] = settings.preset
        else:
            names = ", ".join(sorted(choices)) or f"{preset.min:g} to {preset.max:g}"
            warnings.append(f"{settings.codec} has no preset {settings.preset!r} (but {names}): its default is used")
    options |= settings.options
    parameters = list(encoder_parameters(settings.codec, hdr))
    if settings.codec == "libx264" and _has_avx512():
        parameters.append("asm=avx2")
    if settings.codec == "libx265":  # it writes to the terminal by itself; what it says is in our own errors
        parameters.append("log-level=none")
    if parameters:
        name = f"{settings.codec.removeprefix('lib')}-params"
        options[name] = ":".join(filter(None, [*parameters, options.get(name)]))  # the user's own, coming last, win
    return options, warnings


def _has_avx512() -> bool:
    """Whether x264 would use AVX-512.

    That code reads memory that nothing was written to where a picture's width is no multiple of 128 or its height none
    of 16 (build 165, shown with `MALLOC_PERTURB_`), so that the same film gives other bytes from run to run.
    """
    umath = next(filter(None, map(find_spec, ("numpy._core", "numpy.core"))), None)
    features = getattr(import_module(f"{umath.name}._multiarray_umath"), "__cpu_features__", {}) if umath else {}
    return bool(features.get("AVX512F"))


def _pixel_formats(codec: av.Codec, info: VideoInfo, settings: EncodeSettings) -> list[str]:
    """The formats to try, best first: one, and after it those that lose no more."""
    offered = [offer.name for offer in codec.video_formats or ()] or [info.source_format_name, info.format.name]
    if settings.pix_fmt is not None:
        if settings.pix_fmt not in offered:
            raise ConfigError(
                f"encode.pix_fmt: {codec.name} does not take {settings.pix_fmt!r}; it takes {', '.join(offered)}"
            )
        return [settings.pix_fmt]
    # yuvj* are yuv* with full range, which the tags say.
    usable = [name for name in offered if _is_usable(name) and not name.startswith("yuvj")]
    if not usable:
        raise EncodeError(f"encode.codec: {codec.name} takes none of the supported pixel formats")
    ranked = sorted(usable, key=lambda name: _distance(info, name))
    fewest = _distance(info, ranked[0]).loss
    return [name for name in ranked if _distance(info, name).loss == fewest]


def _is_usable(name: str) -> bool:
    try:
        formats.planar_equivalent(name)
    except ValueError:
        return False
    return True


class _Loss(NamedTuple):
    """What a pixel format does not keep of the source, gravest first."""

    colour: bool
    bits: int
    model: bool
    alpha: bool
    chroma: int


class _Excess(NamedTuple):
    """What it holds beyond the source."""

    planes: int
    chroma: int
    bits: int
    packing: bool


class _Distance(NamedTuple):
    loss: _Loss
    excess: _Excess


def _distance(info: VideoInfo, name: str) -> _Distance:
    have = info.format
    want = formats.pixel_format(formats.planar_equivalent(name))
    across, down = want.log2_chroma_w - have.log2_chroma_w, want.log2_chroma_h - have.log2_chroma_h
    if have.family == "gray":
        across = down = 0
    loss = _Loss(
        colour=want.family == "gray" != have.family,
        bits=max(0, have.bits - want.bits),
        model=want.family != have.family != "gray" != want.family,
        alpha=have.has_alpha > want.has_alpha,
        chroma=max(0, across) + max(0, down),
    )
    excess = _Excess(
        planes=(want.has_alpha > have.has_alpha)
        + (have.family == "gray" != want.family)
        + (have.family == "gray" and want.family == "rgb"),
        chroma=max(0, -across) + max(0, -down),
        bits=max(0, want.bits - have.bits),
        packing=name != have.name,
    )
    return _Distance(loss, excess)


def _losses(info: VideoInfo, name: str) -> list[str]:
    loss, have = _distance(info, name).loss, info.format
    want = formats.pixel_format(formats.planar_equivalent(name))
    lines = [
        (loss.colour, "colour is lost"),
        (loss.bits, f"{have.bits} bits become {want.bits}"),
        (loss.model, f"{have.family.upper()} becomes {want.family.upper()}, which rounds"),
        (loss.alpha, "transparency is lost"),
        (loss.chroma, "chroma is made coarser"),
    ]
    return [f"{have.name} is encoded as {name}: {text}" for happens, text in lines if happens]


def _coded_colour(info: VideoInfo, name: str) -> ColourSpec:
    """The source's tags, but for what a change of the colour model makes of them."""
    have, want = info.format, formats.family_of(name)
    if have.family == "rgb" and want == "yuv":
        return replace(info.colour, matrix="bt709", full_range=False, chroma_location=None)
    if want == "rgb":
        return replace(info.colour, matrix="gbr", full_range=True)
    if have.family == "gray":
        return replace(info.colour, full_range=is_full_range(info.colour, have))
    return info.colour
