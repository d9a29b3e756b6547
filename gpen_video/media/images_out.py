"""A result that is an image sequence: its names, what it cannot hold, and its files."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path

import av

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import OutputError, UsageError
from gpen_video.media.carriage import Carriage, CarriedStream
from gpen_video.media.colour_check import contradictions
from gpen_video.media.encode import check_encoder, encode, write_error
from gpen_video.media.image_headers import DpxHeader, dpx_with
from gpen_video.media.probe import opened, opened_source, picture_details, probe, video_stream
from gpen_video.media.sequence import ImageNames, ImageSequence, find_sequence, is_pattern, names_in
from gpen_video.media.timecode import as_decimals, timecode_after
from gpen_video.media.trial_frames import black_frames
from gpen_video.types import VideoInfo

_CONTAINER = "image2"  # FFmpeg's name of the writer of such files
_OF_WRITERS = frozenset(
    ("encoder", "major_brand", "minor_version", "compatible_brands", "creation_time", "duration", "handler_name")
)
"""Tags that writers make or that belong to a container."""
_SPOKEN_OF = ("timecode", "vendor_id", "_statistics", "bps", "number_of_", "duration-")  # elsewhere, or of no meaning


def image_names(target: Path, source: Path | None) -> ImageNames | None:
    """The names of the result's files; `None` if the result is no image sequence.

    Args:
        target: A pattern (``scan_%06d.dpx``); or a folder, if the source is a sequence, whose names are then taken.
        source: An image sequence, whose numbering goes on, or a film: files are numbered from 1 then.
    """
    images = find_sequence(source) if source is not None else None
    if is_pattern(target):
        names = names_in(target)
        return replace(names, first=images.names.first) if images else names
    if target.suffix and not target.is_dir():
        return None
    return images.names if images else None


def folder_of(target: Path) -> Path:
    """The folder of an image sequence that is named by it or by a pattern."""
    return target.parent if is_pattern(target) else target


def plan_images(info: VideoInfo, names: ImageNames, settings: EncodeSettings) -> Carriage:
    """What comes along into an image sequence, found out by writing a few images and looking at them; see `Carriage`.

    The encoder is the one for the names' ending. Options that are meant for another are left out.
    """
    mine, notes = settings, list[str]()
    if settings.codec != names.encoder:
        mine = settings.model_copy(update={"codec": names.encoder, "options": {}})
        if settings.options:
            notes.append(f"images are written by {names.encoder}: the options for {settings.codec} are not used")
    details = picture_details(info)
    encoder = check_encoder(info, mine, details)
    restored = (CarriedStream(info.stream_index, "restored"),)
    notes += contradictions(info, details.container_colour)
    carriage = Carriage(_CONTAINER, restored, details, encoder, {}, tuple(notes), (), names, mine)
    with tempfile.TemporaryDirectory(prefix="gpen-video-") as name:
        video, folder = Path(name) / "video", Path(name) / "images"
        folder.mkdir()
        encode(black_frames(info), video, like=info, settings=mine)
        write_images(video, info, folder, carriage)
        losses = (*_lost_streams(info), *_lost_of_pictures(info, folder, carriage), *_lost_time(info, carriage))
    return replace(carriage, losses=losses)


def write_images(video: Path, info: VideoInfo, folder: Path, carriage: Carriage) -> None:
    """Write the images of a video-only file one by one; DPX with frame rate, timecode and the source's header.

    Args:
        video: From `encode` or `join`.
        info: The source.
        folder: Is made if it is not there.
        carriage: From `plan_images`.

    Raises:
        OutputError: They cannot be written.
    """
    names = carriage.images
    if names is None:
        raise ValueError("the carriage is not that of an image sequence")
    try:
        folder.mkdir(exist_ok=True)
        with closing(_headers(info)) as headers:
            for index, (image, header) in enumerate(zip(_images(video), headers, strict=False)):  # headers may go on
                name = names.name(index)
                data = image
                if names.encoder == "dpx":
                    data = dpx_with(image, header, info.average_frame_rate, _timecode(info, carriage, index), name)
                (folder / name).write_bytes(data)
    except (av.FFmpegError, OSError) as error:
        raise write_error(folder, error) from error


def _images(video: Path) -> Iterator[bytes]:
    with opened(video) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield bytes(packet)


def _headers(info: VideoInfo) -> Generator[DpxHeader | None]:
    """Of the source's frames, where they are DPX files."""
    images = find_sequence(info.path)
    if images is not None and images.names.encoder == "dpx":
        yield from (DpxHeader.of(file) for file in images.files())
    else:
        yield from repeat(None)


def _timecode(info: VideoInfo, carriage: Carriage, index: int) -> int | None:
    start = _stated_timecode(info, carriage)
    if start is None or info.average_frame_rate is None:
        return None
    later = timecode_after(start, index, info.average_frame_rate)
    return None if later is None else as_decimals(later)


def _stated_timecode(info: VideoInfo, carriage: Carriage) -> str | None:
    """The source's first, from its pictures or its tags."""
    if carriage.details.timecode is not None:
        return carriage.details.timecode
    with opened_source(info) as source:
        holders = (video_stream(source, info).metadata, source.metadata, *(other.metadata for other in source.streams))
        tags = (tag for holder in holders for tag in holder.items())
        return next((value for name, value in tags if name.lower() == "timecode"), None)


def _lost_streams(info: VideoInfo) -> Iterator[str]:
    for stream in info.streams:
        if stream.index != info.stream_index:
            yield f"{stream.kind} stream {stream.index} ({stream.codec}): an image sequence cannot hold it"
    if info.chapter_count:
        yield f"{info.chapter_count} chapters: an image sequence cannot hold them"
    with opened_source(info) as source:
        tags = chain(source.metadata, video_stream(source, info).metadata if find_sequence(info.path) is None else ())
        for name in dict.fromkeys(tags):
            if name.lower() not in _OF_WRITERS and not name.lower().startswith(_SPOKEN_OF):
                yield f"the tag {name!r}: an image sequence has no place for it"


def _lost_of_pictures(info: VideoInfo, folder: Path, carriage: Carriage) -> Iterator[str]:
    """Compare images that were written with the source."""
    names = carriage.images
    assert names is not None
    written = probe(folder / names.pattern, str(info.average_frame_rate or 25))
    details, kind = picture_details(written), names.encoder.upper()
    want = carriage.details
    for what in want.embedded:
        yield f"{what}: it does not survive encoding"
    for field in ("primaries", "transfer", "matrix"):
        tag = getattr(carriage.encoder.colour, field)
        if tag is not None and getattr(written.colour, field) != tag and tag != "gbr":
            yield f"the colour tag {field} {tag}: {kind} does not hold it"
    square = Fraction(1)
    if (info.sample_aspect_ratio or square) != (written.sample_aspect_ratio or square):
        yield f"the sample aspect ratio {info.sample_aspect_ratio}: {kind} does not hold it"
    if (details.rotation, details.mirrored) != (want.rotation, want.mirrored):
        yield f"the rotation by {want.rotation} degrees: {kind} does not hold it"
    if details.field_order != want.field_order and want.field_order is not None:
        yield f"the field order ({want.field_order}): {kind} does not hold it"
    for wanted, have, what in (
        (want.hdr, details.hdr, "HDR10 metadata"),
        (want.has_captions, False, "closed captions embedded in the pictures (CEA-608/708)"),
        (want.has_active_format, False, "the active format description"),
    ):
        if wanted and wanted != have:
            yield f"{what}: {kind} does not hold it"


def _lost_time(info: VideoInfo, carriage: Carriage) -> Iterator[str]:
    names, images = carriage.images, find_sequence(info.path)
    is_dpx = names is not None and names.encoder == "dpx"
    timecode = _stated_timecode(info, carriage)
    if timecode is not None and not (is_dpx and _timecode(info, carriage, 0) is not None):
        yield f"the timecode {timecode}: {'the frame rate has none' if is_dpx else 'only DPX images hold it'}"
    if not is_dpx and (images is None or _states_rate(images)):
        yield f"the frame rate {info.average_frame_rate}: only DPX images hold it"
    if images is None and not _is_steady(info):
        yield "the frames' own times, which are not evenly spaced: an image sequence has but one rate"


def _states_rate(images: ImageSequence) -> bool:
    header = DpxHeader.of(next(images.files()))
    return header is not None and header.frame_rate is not None


def _is_steady(info: VideoInfo) -> bool:
    """Whether a film's frames are evenly spaced, to the tick that rounding costs, by the times of all its packets."""
    with opened_source(info) as source:
        stream = video_stream(source, info)
        times = sorted(packet.pts for packet in source.demux(stream) if packet.pts is not None and packet.size)
    if len(times) < 3:
        return True
    step = Fraction(times[-1] - times[0], len(times) - 1)
    return all(abs(time - times[0] - place * step) <= 1 for place, time in enumerate(times))


def check_folder(target: Path, names: ImageNames, *, overwrite: bool, source: Path | None) -> None:
    """Check where an image sequence is to go: into a folder that is new or empty, or holds nothing but an older one.

    Raises:
        UsageError: It is the source's own folder.
        OutputError: The folder above is missing, or the folder holds files and `overwrite` is not set, or others.
    """
    folder = folder_of(target)
    if not folder.parent.is_dir():
        raise OutputError(f"{target}: the folder {folder.parent} does not exist; create it first")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; an image sequence needs a folder of its own")
    images = find_sequence(source) if source is not None else None
    if images is not None and folder.samefile(images.folder):
        raise UsageError(f"{folder} holds the source itself; choose another folder for the result")
    held = [entry.name for entry in folder.iterdir()]
    if held and not overwrite:
        raise OutputError(f"{folder} is not empty; choose another folder, or replace the images in it with --overwrite")
    if other := next((name for name in held if names.number_of(name) is None), None):
        raise OutputError(f"{folder} holds {other}, which is not of this image sequence; choose another folder")
