"""From the restored pictures and the source to the result: every other stream, chapters, tags and timing come along.

The ``ffmpeg`` program does the work, without encoding anything anew but text subtitles whose format the target does not
know. What the target's container cannot hold is found out beforehand, by trying, and listed.
"""

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import ffmpeg
from av.container import InputContainer
from av.stream import Disposition

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import EncodeError, OutputError, UsageError
from gpen_video.media.binary import file_url, run
from gpen_video.media.carriage import Carriage, CarriedStream
from gpen_video.media.colour_check import contradictions
from gpen_video.media.colour_tags import ffmpeg_options
from gpen_video.media.encode import check_encoder, encode
from gpen_video.media.images_out import image_names, plan_images, write_images
from gpen_video.media.probe import PictureDetails, as_fraction, opened, opened_source, picture_details
from gpen_video.media.sequence import ImageSequence, find_sequence
from gpen_video.media.trial_frames import black_frames, side_data_of_black
from gpen_video.types import ColourSpec, StreamInfo, VideoInfo

_MOV_FAMILY = ("mp4", "mov", "ipod", "3gp", "3g2", "psp", "f4v")
_MATROSKA_FAMILY = ("matroska", "webm")
_TEXT_FOR = {**dict.fromkeys(_MOV_FAMILY, "mov_text"), "matroska": "subrip", "webm": "webvtt", "nut": "subrip"}
_STYLED_TEXT = ("ass", "ssa", "mov_text")
_COARSEST_MOVIE_CLOCK = 90_000  # ticks a second, in which MOV counts the pause before a track's first sample
_TRIAL_SECONDS = "0.2"  # of the source's other streams
_KEPT = Fraction(1, 1000)  # seconds by which a time may be off, because Matroska counts in such
_OUR_OWN_TAGS = frozenset(
    ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "creation_time", "handler_name")
)
"""Tags that writers make themselves or that belong to the container, lower case."""
_STALE_TAGS = ("BPS", "NUMBER_OF_BYTES", "NUMBER_OF_FRAMES", "DURATION")
"""mkvmerge's statistics of a stream, no longer true of the restored one; with and without ``-eng``."""


def container_of(target: Path) -> str:
    """FFmpeg's name of the writer for a file of that name.

    Raises:
        UsageError: The ending says nothing to FFmpeg.
    """
    try:
        return str(av.open(file_url(target), "w").format.name)  # opens no file before something is written
    except (av.FFmpegError, ValueError) as error:
        raise UsageError(
            f"{target}: {target.suffix or 'no ending'} is no film format; use .mkv, .mp4 or .mov"
        ) from error


def plan_carriage(info: VideoInfo, target: Path, settings: EncodeSettings, *, deinterlaced: bool = False) -> Carriage:
    """Find out what comes along into `target`, by assembling a fraction of a second of it in a temporary folder.

    Args:
        info: The source.
        target: The result, of which the ending is looked at; nothing is written to it.
        settings: The encoder's.
        deinterlaced: Whether the pictures have no fields any more, whatever the source's tags say.

    Raises:
        UsageError: The ending of `target` is unknown.
        ConfigError: See `encode.check_encoder`.
        EncodeError: See there, or the container cannot hold the codec.
        OutputError: The trial failed for a reason of its own, or something would be lost and `settings.strict` is set.
    """
    carriage = _planned(info, target, settings, deinterlaced=deinterlaced)
    losses = (*carriage.encoder.losses, *carriage.losses)
    if settings.strict and losses:
        raise OutputError(
            f"{target} would not hold everything of {info.path}, and encode.strict is set: {'; '.join(losses)}"
        )
    return carriage


def _planned(info: VideoInfo, target: Path, settings: EncodeSettings, *, deinterlaced: bool) -> Carriage:
    names = image_names(target, info.path)
    if names is not None:
        return plan_images(info, names, settings)
    container = container_of(target)
    details = picture_details(info)
    if deinterlaced:
        details = replace(details, field_order=None)
    encoder = check_encoder(info, settings, details)
    restored = CarriedStream(info.stream_index, "restored")
    bare = Carriage(container, (restored,), details, encoder, {}, (), (), settings=settings)
    with tempfile.TemporaryDirectory(prefix="gpen-video-") as folder:
        trial = _Trial(info, Path(folder), settings)
        reason = trial.refusal(bare)
        if reason is not None:
            raise EncodeError(f"{target}: a {container} file cannot hold {encoder.codec} video as asked: {reason}")
        if not trial.keeps_times():
            raise EncodeError(
                f"{target}: a {container} file does not keep the times of {encoder.codec} video; use .mkv, .mp4 or .mov"
            )
        carriage = _with_streams(bare, info, trial)
        return _with_tags(carriage, info, trial)


def assemble(video: Path, info: VideoInfo, target_part: Path, carriage: Carriage) -> None:
    """Put restored pictures and all else of the source into one file.

    Times of all streams stay exactly as they are in the source; only Matroska counts in milliseconds, so that times
    are rounded to the nearest one there. Packets of copied streams are the source's, byte for byte.

    Args:
        video: From `encode`, or from `join`.
        info: The source.
        target_part: The file to write, whatever its name; for an image sequence a new or empty folder.
        carriage: From `plan_carriage` for the same source, kind of target and encoder.

    Raises:
        OutputError: It cannot be written.
    """
    if carriage.images is not None:
        write_images(video, info, target_part, carriage)
        return
    _run(video, info, target_part, carriage, purpose=f"write {target_part}")


def _with_streams(bare: Carriage, info: VideoInfo, trial: "_Trial") -> Carriage:
    """All streams that the container takes, copied if it can be, else converted if they are text."""
    everything = tuple(
        CarriedStream(stream.index, "restored" if stream.index == info.stream_index else "copied")
        for stream in info.streams
    )
    if trial.refusal(replace(bare, streams=everything)) is None:
        return replace(bare, streams=everything)
    kept, notes, losses = list[CarriedStream](), list[str](), list[str]()
    for stream, wish in zip(info.streams, everything, strict=True):
        restored = bare.streams[0]
        if wish.action == "restored" or trial.refusal(replace(bare, streams=(restored, wish))) is None:
            kept.append(wish)
            continue
        name = f"{stream.kind} stream {stream.index} ({stream.codec})"
        converted = CarriedStream(stream.index, "converted", _TEXT_FOR.get(bare.container))
        is_text = stream.kind == "subtitle" and converted.codec is not None
        if is_text and trial.refusal(replace(bare, streams=(restored, converted))) is None:
            kept.append(converted)
            notes.append(f"{name} is converted to {converted.codec}: {bare.container} cannot hold it as it is")
            if stream.codec in _STYLED_TEXT:
                losses.append(f"{name}: its styling; the text is kept")
        elif trial.is_chapter_track(stream):
            notes.append(f"{name} holds the chapters, which are carried over as such")
        elif trial.is_timecode_track(stream):
            notes.append(f"{name} holds the timecode, which is carried over as a tag")
        else:
            losses.append(f"{name}: {bare.container} cannot hold it")
    return replace(bare, streams=tuple(kept), notes=tuple(notes), losses=tuple(losses))


def _with_tags(carriage: Carriage, info: VideoInfo, trial: "_Trial") -> Carriage:
    """Compare what the trial's result holds with the source, beyond streams."""
    if (reason := trial.refusal(carriage)) is not None:
        raise OutputError(f"the streams of {info.path} do not go together into {carriage.container}: {reason}")
    missing = trial.missing_tags(carriage)
    if missing and carriage.container in _MOV_FAMILY:
        # MOV's own way of writing any tag; the usual one is kept where it suffices, as more players read it.
        free = replace(carriage, writer_options={"movflags": "use_metadata_tags"})
        if trial.refusal(free) is None and len(fewer := trial.missing_tags(free)) < len(missing):
            carriage, missing = free, fewer
    trial.refusal(carriage)
    losses = [f"the tag {name!r}: {carriage.container} has no place for it" for name in missing]
    losses += [f"{what}: it does not survive encoding" for what in carriage.details.embedded]
    losses += trial.missing_parts(carriage)
    notes = [*carriage.notes, *contradictions(info, carriage.details.container_colour)]
    if carriage.container in _MATROSKA_FAMILY and 1000 % info.time_base.denominator:
        notes.append("Matroska counts in milliseconds: times between two of them are rounded")
    return replace(carriage, notes=tuple(notes), losses=(*carriage.losses, *losses))


class _Trial:
    """Assembles the first moments of a film, to see what a container takes."""

    def __init__(self, info: VideoInfo, folder: Path, settings: EncodeSettings) -> None:
        self._info = info
        self._video, self._result = folder / "video", folder / "result"
        encode(black_frames(info), self._video, like=info, settings=settings, side_data=side_data_of_black(info))
        with opened_source(info) as source:
            self._tags = dict(source.metadata)
            self._stream_tags = {stream.index: dict(stream.metadata) for stream in source.streams}

    def refusal(self, carriage: Carriage) -> str | None:
        """Why the container does not take it; `None` if it does."""
        try:
            _run(self._video, self._info, self._result, carriage, purpose="try", seconds=_TRIAL_SECONDS)
        except OutputError as error:
            return str(error).removeprefix("could not try: ")
        return None

    def keeps_times(self) -> bool:
        """Whether the frames of the last result, of the restored video alone, are shown when they should be."""
        want = [frame.time.seconds for frame in black_frames(self._info)]
        with opened(self._result) as result:
            try:
                frames = list(result.decode(video=0))
            except (av.FFmpegError, IndexError):  # undecodable, or not found again
                return False
        got = [frame.pts * as_fraction(frame.time_base) for frame in frames if frame.pts is not None]
        return len(got) == len(want) and all(abs(a - b) <= _KEPT for a, b in zip(got, want, strict=True))

    def missing_tags(self, carriage: Carriage) -> list[str]:
        """Global tags, and titles and languages of streams, that the last result lacks."""
        with opened(self._result) as result:
            missing = _missing(self._tags, result.metadata)
            for stream, carried in zip(_real_streams(result, carriage), carriage.streams, strict=False):
                tags = self._stream_tags[carried.source_index]
                wanted = {key: value for key, value in tags.items() if key.lower() in ("title", "timecode")}
                missing += [f"{key} of stream {carried.source_index}" for key in _missing(wanted, stream.metadata)]
                language = tags.get("language", "und")
                if language != "und" and stream.metadata.get("language", "und") == "und":
                    missing.append(f"language of stream {carried.source_index}")
            holders = (result.metadata, *(stream.metadata for stream in result.streams))
            is_told = any(name.lower() == "timecode" for tags in holders for name in tags)
            if carriage.details.timecode is not None and not is_told:
                missing.append(f"timecode (from the pictures: {carriage.details.timecode})")
        return missing

    def missing_parts(self, carriage: Carriage) -> list[str]:
        """Chapters, rotation and aspect ratio that the last result lacks."""
        info, lines = self._info, list[str]()
        with opened(self._result) as result:
            if len(result.chapters()) < info.chapter_count:
                lines.append(f"{info.chapter_count} chapters: {carriage.container} cannot hold them")
            stream = result.streams.video[_place_among_videos(info, carriage)]
            ratio = stream.sample_aspect_ratio or 1
            if info.sample_aspect_ratio and (ratio.numerator, ratio.denominator) != (
                info.sample_aspect_ratio.numerator,
                info.sample_aspect_ratio.denominator,
            ):
                lines.append(f"the sample aspect ratio {info.sample_aspect_ratio}: {carriage.container} cannot hold it")
            index = stream.index
        written = picture_details(replace(info, path=self._result, stream_index=index))
        if (written.rotation, written.mirrored) != (carriage.details.rotation, carriage.details.mirrored):
            lines.append(f"the rotation by {carriage.details.rotation} degrees: {carriage.container} cannot hold it")
        if _first_field(written.field_order) != _first_field(carriage.details.field_order):
            lines.append(f"the field order ({carriage.details.field_order}): {carriage.container} cannot hold it")
        return lines + _lost_side_data(carriage, written)

    def is_chapter_track(self, stream: StreamInfo) -> bool:
        """Whether a data stream is MOV's way of writing chapters."""
        handler = self._stream_tags[stream.index].get("handler_name", "")
        return stream.kind == "data" and self._info.chapter_count > 0 and handler in ("SubtitleHandler", "Chapters", "")

    def is_timecode_track(self, stream: StreamInfo) -> bool:
        """Whether a data stream is MOV's way of writing the timecode."""
        return stream.kind == "data" and "timecode" in map(str.lower, self._stream_tags[stream.index])


def _first_field(order: str | None) -> str | None:
    """``t`` or ``b``: the second letter only says how the fields are stored, which the container decides."""
    return order and order[0]


def _lost_side_data(carriage: Carriage, written: PictureDetails) -> list[str]:
    """What the pictures and the container of the trial's result do not say any more."""
    want, have = carriage.details, written
    both = f"{carriage.encoder.codec} in {carriage.container}"
    cases = [
        (want.hdr.mastering, have.hdr.mastering, "HDR10 mastering display metadata"),
        (want.hdr.light, have.hdr.light, "HDR10 content light level"),
        (want.hdr.ambient, have.hdr.ambient, "HDR ambient viewing environment"),
        (want.has_captions, have.has_captions, "closed captions embedded in the pictures (CEA-608/708)"),
        (want.has_active_format, have.has_active_format, "the active format description"),
    ]
    return [f"{what}: {both} cannot hold it" for wanted, got, what in cases if wanted and not got]


def _place_among_videos(info: VideoInfo, carriage: Carriage) -> int:
    videos = {stream.index for stream in info.streams if stream.kind == "video"}
    carried = [stream for stream in carriage.streams if stream.source_index in videos]
    return [stream.action for stream in carried].index("restored")


def _real_streams(result: InputContainer, carriage: Carriage) -> list[Any]:
    """Without the tracks that the MOV writer adds for chapters and timecode, which come last."""
    return list(result.streams)[: len(carriage.streams)]


def _missing(wanted: dict[str, str], have: dict[str, str]) -> list[str]:
    kept = {name.lower() for name in have}
    return sorted(
        name
        for name in wanted
        if name.lower() not in kept and name.lower() not in _OUR_OWN_TAGS and not name.lower().startswith("_statistics")
    )


def _run(
    video: Path, info: VideoInfo, result: Path, carriage: Carriage, *, purpose: str, seconds: str | None = None
) -> None:
    images = find_sequence(info.path)
    names = {
        "<restored>": file_url(video),
        "<source>": images.url if images else file_url(info.path),
        "<result>": file_url(result),
    }
    restored = ffmpeg.input("<restored>", **_orientation(carriage.details))
    source = ffmpeg.input("<source>", **_source_options(info, images), **({} if seconds is None else {"t": seconds}))
    chosen = [
        restored["v:0"] if carried.action == "restored" else source[str(carried.source_index)]
        for carried in carriage.streams
    ]
    chosen.append(source["v:9999?"])  # nothing; but ffmpeg-python leaves out inputs from which no stream is taken
    for place in (1, 0):  # of the source among the inputs, whose order is ffmpeg-python's affair
        node = ffmpeg.output(*chosen, "<result>", **_output_options(info, carriage, place))
        arguments = ffmpeg.get_args(node)
        inputs = [value for key, value in itertools.pairwise(arguments) if key == "-i"]
        if inputs[place] == "<source>":
            break
    run(node, names, extra=(*_without_stale_tags(carriage), *_timecode(carriage)), purpose=purpose)


def _source_options(info: VideoInfo, images: ImageSequence | None) -> dict[str, str]:
    if images is None or info.average_frame_rate is None:
        return {}
    return {"f": "image2", **images.demuxer_options(info.average_frame_rate)}


def _orientation(details: PictureDetails) -> dict[str, str | None]:
    options: dict[str, str | None] = {}
    if details.rotation or details.mirrored:
        options["display_rotation:v:0"] = str(-details.rotation)  # the option counts counter-clockwise
    if details.mirrored:
        options["display_hflip:v:0"] = None
    return options


def _output_options(info: VideoInfo, carriage: Carriage, source: int) -> dict[str, str | None]:
    options: dict[str, str | None] = {
        "f": carriage.container,
        "c": "copy",
        "copyts": None,
        "avoid_negative_ts": "disabled",
        "fflags": "+bitexact",  # no random numbers and no dates: equal inputs give equal files
        "map_metadata": str(source),
        "map_chapters": str(source),
        **carriage.writer_options,
        **_stream_options(info, carriage, source),
    }
    if carriage.container in ("mpegts", "mpeg", "svcd", "vob"):
        options |= {"muxdelay": "0", "muxpreload": "0"}  # else all is shown later
    if carriage.container in _MOV_FAMILY:
        ticks = info.time_base.denominator
        options["movie_timescale"] = str(ticks * -(-_COARSEST_MOVIE_CLOCK // ticks))
    return options


def _stream_options(info: VideoInfo, carriage: Carriage, source_place: int) -> dict[str, str | None]:
    options: dict[str, str | None] = {}
    with opened_source(info) as source:
        for place, carried in enumerate(carriage.streams):
            options[f"map_metadata:s:{place}"] = f"{source_place}:s:{carried.source_index}"
            options[f"disposition:{place}"] = _disposition(source.streams[carried.source_index].disposition)
            if carried.action == "converted":
                options[f"c:{place}"] = carried.codec
            if carried.action == "restored":
                # Some encoders do not write these (FFV1: none of them), so the container is told.
                for name, value in ffmpeg_options(_container_colour(info, carriage)).items():
                    options[f"{name}:{place}"] = value
                if carriage.details.field_order is not None:
                    options[f"field_order:{place}"] = carriage.details.field_order
    return options


def _container_colour(info: VideoInfo, carriage: Carriage) -> ColourSpec:
    """The container's own tags come along even where they contradict the pictures'."""
    coded, stated = carriage.encoder.colour, carriage.details.container_colour
    if coded != info.colour:
        return coded  # the samples are others, so are their tags
    own = {field.name: getattr(stated, field.name) for field in fields(stated)}
    return replace(coded, **{name: value for name, value in own.items() if value is not None})


def _timecode(carriage: Carriage) -> Sequence[str]:
    """The timecode of the pictures as a tag."""
    if carriage.details.timecode is None:
        return ()
    place = [carried.action for carried in carriage.streams].index("restored")
    return f"-metadata:s:{place}", f"timecode={carriage.details.timecode}"


def _disposition(flags: Disposition) -> str:
    names = [flag.name for flag in Disposition if flag & flags and flag.name]
    return "+".join(names) or "0"


def _without_stale_tags(carriage: Carriage) -> Sequence[str]:
    if carriage.container not in _MATROSKA_FAMILY:
        return ()
    place = [carried.action for carried in carriage.streams].index("restored")
    names = [f"{name}{ending}" for name in _STALE_TAGS for ending in ("", "-eng")]
    return [part for name in names for part in (f"-metadata:s:{place}", f"{name}=")]
