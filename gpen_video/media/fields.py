"""Interlaced film: finding it, and taking frames apart into fields and together again.

**Finding.** Streams and pictures carry flags, and flags are often wrong: progressive film in an interlaced stream (PsF,
film run at 25 a second for PAL), interlaced video that an editor marked progressive. So the luma samples are measured
too, in the manner of FFmpeg's ``idet``, in a formulation of our own. With T and B the top and bottom field of a frame
and T', B' those of the next one, `combing(T, B)` is how much the lines of the two fields, woven, zigzag where the
picture moves. Woven fields zigzag the more, the further apart in time they were taken:

=================  ==============  ==========================  ==========================
film               T with B        T' with B                   T with B'
=================  ==============  ==========================  ==========================
progressive        same moment     one frame apart             one frame apart
top field first    half a frame    half a frame                one and a half frames
bottom first       half a frame    one and a half frames       half a frame
=================  ==============  ==========================  ==========================

Telecined film (3:2 pulldown made of fields) repeats a field every few frames: of two frames, one field stands still
while the other moves, top and bottom in turn, which neither of the others does.

**What is done with it.** Progressive film is restored frame by frame, whatever its flags say. Interlaced and telecined
film is restored field by field: no line of one field then has a part in what is written into the other, so that the
warp of a face cannot mix two moments, in telecine's mixed frames neither. Outside the masks nothing changes in any
case, and frames, their number and their times stay what they are. Flags are tags: they are carried over
as the source has them.

**Geometry.** A field has every other line, so its pixels are twice as high: detector and aligner take half the pixel
aspect. Lines of the bottom field lie half a line (of a field) below those of the top one; `types.Picture.field` says
which it is, and `faces.planes.plane_groups` puts both onto one grid, so that tracks do not jump up and down by half a
line. The y of that grid is that of the frame, halved.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Literal

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from gpen_video.colour import matrix_name
from gpen_video.media.field_tags import first_field_of
from gpen_video.media.probe import opened_source, time_base_of, video_stream
from gpen_video.media.unpack import unpack
from gpen_video.streams import closing_upstream
from gpen_video.types import ColourSpec, Frame, Picture, Plane, Timestamp, VideoInfo

Field = Literal["top", "bottom"]
Scan = Literal["progressive", "interlaced", "telecined", "undetermined"]
Float32 = NDArray[np.float32]

_PLACES_LOOKED_AT = (0.0, 0.25, 0.5, 0.75)
"""Parts of the film's length at which a few frames are looked at: it may begin with black or with a title."""
_FRAMES_A_PLACE = 24
_FRAMES_SKIPPED_AT_MOST = 300
"""At the start of the film, while nothing moves."""
_PACKETS_AT_MOST = 600
"""From a place on, to the same end."""
_LEAST_HEIGHT = 32
_WIDTH = 384
"""Of the pictures that are compared. Only columns are averaged, which also calms grain."""
_LINES = 1080
"""That are compared, from the middle of larger pictures."""
_MOVES = 10.0
"""Difference, in 8-bit levels, between two frames' lines that counts as motion."""
_LEAST_MOVING = 0.002
"""Part of the picture that has to move for two frames to say anything."""
_STANDS_STILL = 0.25
"""A field that moves less than this part of the other one's motion is the same field again."""
_CLEARLY = 1.15
"""Factor by which combing has to be greater the wrong way round; ``idet`` takes 1.04, but counts what does not move."""
_SMALL = 1e-3  # levels, so that flat pictures divide
_LEAST_PAIRS = 4
_REPEATS_OF_TELECINE = 0.2
"""Of 3:2 pulldown's pairs of frames, 2 in 5 repeat a field."""
_SHARE, _SHARE_AGAINST_FLAGS = 0.2, 0.5
"""Of the pairs that say something, those that must be interlaced for the film to be: parts may be progressive."""


@dataclass(frozen=True, slots=True)
class PairScore:
    """What two neighbouring frames say; combing in 8-bit levels, where the picture moves."""

    as_is: float
    """Of both frames as they are."""
    top_first: float
    """Of the second frame's top with the first one's bottom field: low where the top field comes first."""
    bottom_first: float
    """Of the second frame's bottom with the first one's top field."""
    top_motion: float
    """Mean difference of the two top fields."""
    bottom_motion: float

    @property
    def repeated(self) -> Field | None:
        """The field that is the same in both frames while the other is not."""
        if self.top_motion < _STANDS_STILL * self.bottom_motion:
            return "top"
        return "bottom" if self.bottom_motion < _STANDS_STILL * self.top_motion else None

    @property
    def verdict(self) -> Literal["progressive", "top", "bottom"] | None:
        """What the frames look like; `None` where nothing stands out."""
        as_is, top, bottom = (value + _SMALL for value in (self.as_is, self.top_first, self.bottom_first))
        if min(top, bottom) / as_is > max(_CLEARLY, top / bottom, bottom / top):
            return "progressive"
        # The wrong order combs more than the frames as they are, too; else one of them is but softer than the other.
        if bottom > _CLEARLY * max(as_is, top):
            return "top"
        return "bottom" if top > _CLEARLY * max(as_is, bottom) else None


@dataclass(frozen=True, slots=True)
class FieldMeasure:
    """What the samples say."""

    scan: Scan
    first: Field | None
    """The field that comes first, where the film has two moments a frame."""
    pairs: int
    """Pairs of neighbouring frames that moved."""


@dataclass(frozen=True, slots=True)
class FieldReport:
    """Whether a film is interlaced, and how its faces are restored."""

    flagged: Field | None
    """The first field by the film's flags; `None` where they say progressive, or nothing."""
    measure: FieldMeasure
    first: Field | None
    """The first field, where the film is restored field by field; `None`: frame by frame."""
    warnings: tuple[str, ...] = ()
    """One line each."""

    @property
    def is_interlaced(self) -> bool:
        """Whether frames hold two moments, by measurement, or by the flags where that says nothing."""
        if self.measure.scan == "undetermined":
            return self.flagged is not None
        return self.measure.scan != "progressive"


def look_at_fields(info: VideoInfo, wish: Literal["auto", "frames", "fields"] = "auto") -> FieldReport:
    """Look at some dozens of frames, spread over the film, and decide how it is restored.

    Args:
        info: From `probe`.
        wish: The setting ``media.fields``: ``frames`` and ``fields`` decide it, ``auto`` goes by the measurement, and
            by the flags where nothing moves.

    Raises:
        ProbeError: The source is no longer what it was.
    """
    flags, scores = list[Field | None](), list[PairScore]()
    with opened_source(info) as container:
        stream = video_stream(container, info)
        for pictures in _places(container, stream, info):
            with closing(pictures):
                _look(pictures, flags, scores)
    flagged = _majority(flags)
    return decide(info, flagged, summary(scores, flagged), wish)


def decide(
    info: VideoInfo, flagged: Field | None, measure: FieldMeasure, wish: Literal["auto", "frames", "fields"] = "auto"
) -> FieldReport:
    """How a film is restored, given what its flags and its samples say; see `look_at_fields`."""
    report = FieldReport(flagged, measure, None)
    by_fields = wish == "fields" or (wish == "auto" and report.is_interlaced)
    warnings = list(_contradictions(info, flagged, measure))
    if by_fields and info.height % 2:
        by_fields = False
        warnings.append(f"{info.path}: {info.height} lines cannot be two equal fields: it is restored frame by frame")
    elif wish == "frames" and report.is_interlaced:
        warnings.append(f"{info.path} is interlaced, but media.fields asks for whole frames: faces may comb or blur")
    first = (measure.first or flagged or "top") if by_fields else None
    return replace(report, first=first, warnings=tuple(warnings))


def measure_pair(first: Plane, second: Plane, bits: int = 8) -> PairScore | None:
    """Compare the luma of two neighbouring frames; `None` where too little moves to tell.

    Args:
        first: (H, W) samples.
        second: The same of the next frame.
        bits: Of a sample.
    """
    return _score(_comparable(first, bits), _comparable(second, bits))


def _score(*lines: Float32) -> PairScore | None:
    top, next_top = (picture[0::2] for picture in lines)
    bottom, next_bottom = (picture[1::2] for picture in lines)
    changes = np.abs(next_top - top), np.abs(next_bottom - bottom)
    moving = np.maximum(*changes) > _MOVES
    if moving.mean() < _LEAST_MOVING:
        return None
    as_is = (combing(top, bottom, moving) + combing(next_top, next_bottom, moving)) / 2
    return PairScore(
        as_is,
        combing(next_top, bottom, moving),
        combing(top, next_bottom, moving),
        float(changes[0][moving].mean()),
        float(changes[1][moving].mean()),
    )


def combing(top: Float32, bottom: Float32, where: NDArray[np.bool_] | None = None) -> float:
    """How much two fields zigzag when they are woven: mean |line above - 2 line + line below| over 2, in levels.

    Args:
        top: (h, W) the lines 0, 2, 4 … of a picture.
        bottom: (h, W) the lines 1, 3, 5 …
        where: (h, W) the samples of each field that count; all, if left out.
    """
    of_bottom = np.abs(top[:-1] + top[1:] - 2 * bottom[:-1])
    of_top = np.abs(bottom[:-1] + bottom[1:] - 2 * top[1:])
    if where is None:
        return float(of_bottom.mean() + of_top.mean()) / 4
    count = max(1, int(where[:-1].sum()) + int(where[1:].sum()))
    return float((of_bottom[where[:-1]].sum() + of_top[where[1:]].sum()) / (2 * count))


def summary(scores: Sequence[PairScore], flagged: Field | None = None) -> FieldMeasure:
    """What the pairs of a film say together.

    Args:
        scores: Of pairs that moved.
        flagged: What the flags say; it takes more to find a film interlaced against them.
    """
    repeats = [score.repeated for score in scores]
    verdicts = [score.verdict for score in scores if score.repeated is None]
    counts = {name: verdicts.count(name) for name in ("progressive", "top", "bottom")}
    first: Field = "top" if _leaning(scores) >= 0 else "bottom"
    both_repeat = min(repeats.count("top"), repeats.count("bottom"))
    if len(scores) >= _LEAST_PAIRS and 2 * both_repeat > _REPEATS_OF_TELECINE * len(scores):
        return FieldMeasure("telecined", first, len(scores))
    decided = sum(counts.values())
    if decided < _LEAST_PAIRS:
        return FieldMeasure("undetermined", None, len(scores))
    interlaced = max(counts["top"], counts["bottom"]) - min(counts["top"], counts["bottom"])
    if interlaced >= (_SHARE if flagged else _SHARE_AGAINST_FLAGS) * decided:
        return FieldMeasure("interlaced", first, len(scores))
    is_progressive = 2 * counts["progressive"] > decided
    return FieldMeasure("progressive" if is_progressive else "undetermined", None, len(scores))


def split_fields(frames: Iterable[Frame], first: Field) -> Generator[Frame]:
    """Give each frame as two, its fields in the order in which they are shown; no delay.

    Planes are views of every other line. Frame i becomes 2i and 2i + 1, in ticks half as long: the first field at the
    frame's time, the second half the frame's duration later (one of the short ticks, where none is stated). A colour
    matrix that follows from the frame's height is stated, as half the height would say another.

    Args:
        frames: Of an even height.
        first: The field that is shown first.

    Raises:
        InputError: The colour matrix is not supported.
        ValueError: The height is odd.
    """
    with closing_upstream(frames):
        for frame in frames:
            picture, time = frame.picture, frame.time
            if picture.height % 2:
                raise ValueError(f"frame {frame.index}: {picture.height = } is odd")
            colour = replace(picture.colour, matrix=matrix_name(picture.colour, picture.format, picture.height))
            for place, field in enumerate(_in_order(first)):
                start = 0 if field == "top" else 1
                planes = tuple(plane[start::2] for plane in picture.planes)
                yield Frame(
                    2 * frame.index + place,
                    Timestamp(2 * time.pts + place * (frame.duration or 1), time.time_base / 2),
                    Picture(planes, picture.format, colour, field),
                    frame.duration,
                    frame.starts_shot and place == 0,
                    frame.damaged,
                )


def weave_fields(fields: Iterable[Frame], first: Field, colour: ColourSpec) -> Generator[Frame]:
    """Put the fields of `split_fields` together again: the frames that went in there, at their own times.

    It holds back one field. Where no sample changed, each frame is what it was, bit for bit.

    Args:
        fields: Pairs, the one that is shown first before the other.
        first: As for `split_fields`.
        colour: What the source says of its colours (`VideoInfo.colour`).

    Raises:
        ValueError: The fields do not come in pairs.
    """
    with closing_upstream(fields):
        stream = iter(fields)
        for one in stream:
            other = next(stream, None)
            if other is None or one.index % 2 or other.index != one.index + 1:
                raise ValueError(f"field {one.index} is not followed by the other one of its frame")
            top, bottom = (one, other) if first == "top" else (other, one)
            planes = tuple(map(_woven, top.picture.planes, bottom.picture.planes))
            yield Frame(
                one.index // 2,
                Timestamp(one.time.pts // 2, one.time.time_base * 2),
                Picture(planes, one.picture.format, colour),
                one.duration,
                one.starts_shot,
                one.damaged,
            )


def _woven(top: Plane, bottom: Plane) -> Plane:
    plane: Plane = np.empty((len(top) + len(bottom), top.shape[1]), top.dtype)
    plane[0::2], plane[1::2] = top, bottom
    plane.flags.writeable = False
    return plane


def _in_order(first: Field) -> tuple[Field, Field]:
    return ("top", "bottom") if first == "top" else ("bottom", "top")


def _comparable(plane: Plane, bits: int) -> Float32:
    """An even number of lines from the middle, narrowed, in 8-bit levels."""
    height, width = plane.shape
    start = max(0, (height - _LINES) // 4 * 2)
    count = min(height - height % 2, _LINES)
    lines = plane[start : start + count].astype(np.float32) / 2 ** (bits - 8)
    if width > _WIDTH:
        lines = cv2.resize(lines, (_WIDTH, count), interpolation=cv2.INTER_AREA)
    return np.asarray(lines, np.float32)


def _leaning(scores: Sequence[PairScore]) -> float:
    """Above 0 where the top field comes first, by all pairs together."""
    return sum(score.bottom_first - score.top_first for score in scores)


def _places(container: InputContainer, stream: VideoStream, info: VideoInfo) -> Iterator[Generator[av.VideoFrame]]:
    """Runs of neighbouring pictures: from the start until something has moved, then from later places."""
    seen = _Seen()
    yield _pictures(container, stream, _FRAMES_SKIPPED_AT_MOST, seen)
    length = info.duration_from_header
    if length is None or info.average_frame_rate is None or length * info.average_frame_rate < 2 * _FRAMES_A_PLACE:
        return
    ticks = length / time_base_of(stream, info.path)
    for part in _PLACES_LOOKED_AT[1:]:
        try:
            container.seek(int((stream.start_time or 0) + ticks * part), stream=stream)
        except (av.FFmpegError, OSError):
            return  # pipes and some raw streams: the start has to suffice
        yield _pictures(container, stream, _FRAMES_A_PLACE, seen)


@dataclass(slots=True)
class _Seen:
    """How far the film has been looked at: a file with few key frames may go back further than it was asked to."""

    until: int | None = None


def _pictures(container: InputContainer, stream: VideoStream, limit: int, seen: _Seen) -> Generator[av.VideoFrame]:
    """Up to so many pictures from here on, damaged ones left out: `decode` speaks of damage, this does not."""
    for packet in islice(container.demux(stream), _PACKETS_AT_MOST):
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            continue
        for picture in pictures:
            if picture.pts is not None and seen.until is not None and picture.pts <= seen.until:
                continue
            if limit == 0:
                return
            limit -= 1
            seen.until = picture.pts
            yield picture


def _look(pictures: Iterable[av.VideoFrame], flags: list[Field | None], scores: list[PairScore]) -> None:
    """Note flags and scores of a run, until enough of it has moved."""
    enough = len(scores) + _FRAMES_A_PLACE - 1
    for one, other in pairwise(_noted(pictures, flags)):
        if one.shape != other.shape or one.shape[0] < _LEAST_HEIGHT:
            continue
        if (score := _score(one, other)) is not None:
            scores.append(score)
        if len(scores) == enough:
            break


def _noted(pictures: Iterable[av.VideoFrame], flags: list[Field | None]) -> Iterator[Float32]:
    """The luma (or green) of each picture, to be compared; its flag is noted."""
    for picture in pictures:
        flags.append(first_field_of(picture))
        yield _comparable(unpack(picture)[0], max(8, picture.format.components[0].bits))


def _majority(flags: Sequence[Field | None]) -> Field | None:
    tops, bottoms = flags.count("top"), flags.count("bottom")
    if 2 * (tops + bottoms) <= len(flags):
        return None
    return "top" if tops >= bottoms else "bottom"


def _contradictions(info: VideoInfo, flagged: Field | None, measure: FieldMeasure) -> Iterator[str]:
    if measure.scan == "progressive" and flagged is not None:
        yield (
            f"{info.path} is flagged as interlaced, but its pictures are progressive: it is restored frame by frame, "
            "and its flags are kept as they are"
        )
    elif measure.scan in ("interlaced", "telecined") and flagged is None:
        yield (
            f"{info.path} is not flagged as interlaced, but its pictures are ({measure.scan}, {measure.first} field "
            "first): it is restored field by field, and its flags are kept as they are"
        )
    elif measure.first is not None and measure.first != flagged:
        yield (
            f"{info.path} is flagged as {flagged} field first, but its {measure.first} field comes first: it is "
            "restored in that order, and its flags are kept as they are"
        )
