"""Everything of a source beside its pictures, against what came along into the result."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from gpen_video.colour import is_full_range
from gpen_video.media import PictureDetails, picture_details
from gpen_video.media.packets import NO_TIME, Contents, StreamContents
from gpen_video.pipeline.verification import Finding, judged
from gpen_video.report import StreamRecord, TreatmentRecord
from gpen_video.types import ColourSpec, VideoInfo

_WRITERS_OWN: Final = frozenset(
    (
        *("major_brand", "minor_version", "compatible_brands", "encoder", "creation_time", "handler_name", "vendor_id"),
        *("duration", "bps", "number_of_bytes", "number_of_frames", "language"),
    )
)
"""Tags that writers make themselves, lower case; the language has a rule of its own."""
_STATED_IN_LOSSES: Final = ("title", "timecode", "language")
"""Tags of streams of which a loss is announced before work starts; others may stay behind where containers differ."""
_MATROSKA: Final = "matroska,webm"
_HALF: Final = Fraction(1, 2)


def tag_findings(
    before: VideoInfo, after: VideoInfo, contents: tuple[Contents, Contents], record: TreatmentRecord
) -> Iterator[Finding]:
    """Chapters, tags of the film, and how its pictures are to be shown."""
    source, result = contents
    losses = _Losses(record)
    yield from losses.judge("chapters", _chapter_faults(source, result), f"{len(source.chapters)} in both")
    yield from losses.judge("film tags", _tag_faults(source.tags, result.tags), "all are as in the source")
    details = (picture_details(before), picture_details(after))
    faults = _picture_faults(before, after, details)
    yield from losses.judge("picture", faults, "size, aspect ratio, rotation and fields are equal")
    yield from losses.judge("embedded data", _embedded_faults(details), "HDR metadata, captions, AFD: as in the source")
    tags = _colour_faults(before, after, (details[0].container_colour, details[1].container_colour))
    if before.format.family == after.format.family:
        yield from judged("colour tags", tags, "all that the source states are equal")
    else:
        why = f"the source is {before.format.family}, the result {after.format.family}"
        yield Finding("colour tags", "note", "; ".join([why, *tags]))


def stream_findings(
    before: VideoInfo, after: VideoInfo, contents: tuple[Contents, Contents], record: TreatmentRecord
) -> Iterator[Finding]:
    """Every stream of the source: here, and with the same packets at the same times; or announced as lost."""
    source, result = contents
    carried = {stream.source_index: stream for stream in record.carried}
    losses = _Losses(record)
    for stream in source.streams:
        name = f"{stream.kind} stream {stream.index} ({stream.codec})"
        entry = carried.get(stream.index)
        if entry is None:
            lines = losses.about(name)
            told = lines[0] if lines else f"{name} is neither carried nor announced as lost"
            yield Finding("streams", "note" if lines else "fail", told)
            continue
        have = result.streams[entry.result_index] if entry.result_index < len(result.streams) else None
        if have is None or have.kind != entry.kind:
            yield Finding("streams", "fail", f"{name} is not in the result")
            continue
        same = source.container == result.container
        yield from _judge_stream(name, (stream, have), entry, losses, same_container=same)
    known = {stream.result_index for stream in record.carried}
    for extra in (stream for stream in result.streams if stream.index not in known):
        made_by_writer = extra.kind == "data"  # MOV's tracks for chapters and timecode
        text = f"{extra.kind} stream {extra.index} ({extra.codec}) of the result is not from the source"
        yield Finding("streams", "note" if made_by_writer else "fail", text)
    if after.stream_index not in {stream.result_index for stream in record.carried if stream.action == "restored"}:
        yield Finding("streams", "fail", f"the film is stream {after.stream_index} of the result, not as recorded")


@dataclass(frozen=True, slots=True)
class _Fault:
    """A difference, and the words with which it would have been announced."""

    text: str
    announced_as: str = ""


class _Losses:
    """What was announced before work started, by the words of `media.plan_carriage`."""

    def __init__(self, record: TreatmentRecord) -> None:
        self._lines = (*record.lost, *record.warnings)

    def about(self, words: str) -> list[str]:
        """The announcements that begin with these words, or have them after a number ("2 chapters")."""
        return [line for line in self._lines if words and line.lstrip("0123456789 ").startswith(words)]

    def judge(self, check: str, faults: Iterable[_Fault], well: str) -> list[Finding]:
        """Failures, but notes for what was announced."""
        found = [
            Finding(check, "note" if (lines := self.about(fault.announced_as)) else "fail", (lines or [fault.text])[0])
            for fault in faults
        ]
        return found or [Finding(check, "pass", well)]


def _chapter_faults(source: Contents, result: Contents) -> Iterator[_Fault]:
    want, have = source.chapters, result.chapters
    if len(have) != len(want):
        yield _Fault(f"the source has {len(want)} chapters, the result {len(have)}", "chapters")
        return
    tick = Fraction(1, 1000)  # the coarser of the clocks in which containers count chapters
    for number, (one, other) in enumerate(zip(want, have, strict=True), 1):
        if one.title != other.title:
            yield _Fault(f"chapter {number} is called {other.title!r} instead of {one.title!r}", "chapters")
        if abs(one.start - other.start) > tick or abs(one.end - other.end) > tick:
            times = [f"{float(c.start):.3f} to {float(c.end):.3f} s" for c in (other, one)]
            yield _Fault(f"chapter {number} is at {times[0]} instead of {times[1]}", "chapters")


def _tag_faults(source: Mapping[str, str], result: Mapping[str, str]) -> Iterator[_Fault]:
    have = _comparable(result)
    for name, value in _comparable(source).items():
        if name not in have:
            yield _Fault(f"the tag {name!r} ({value!r}) is not in the result", f"the tag {_spelled(name, source)!r}")
        elif not _same_value(name, value, have[name]):
            yield _Fault(f"the tag {name!r} is {have[name]!r} instead of {value!r}")


def _same_value(name: str, one: str, other: str) -> bool:
    """Equal, or the same place: MOV writes coordinates with leading zeros (ISO 6709)."""
    if name != "location":
        return one == other
    places = [[float(number) for number in re.findall(r"[+-]\d+(?:\.\d+)?", value)] for value in (one, other)]
    return places[0] == places[1]


def _comparable(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags that are the film's, by lower-case name; ``-eng`` after a name says merely its own language."""
    named = {name.lower().removesuffix("-eng"): value for name, value in tags.items()}
    return {name: value for name, value in named.items() if name not in _WRITERS_OWN and name[:11] != "_statistics"}


def _spelled(name: str, tags: Mapping[str, str]) -> str:
    return next(tag for tag in tags if tag.lower().removesuffix("-eng") == name)


def _picture_faults(
    before: VideoInfo, after: VideoInfo, details: tuple[PictureDetails, PictureDetails]
) -> Iterator[_Fault]:
    if (after.width, after.height) != (before.width, before.height):
        yield _Fault(f"pictures are {after.width}x{after.height} instead of {before.width}x{before.height}")
    want, have = before.sample_aspect_ratio, after.sample_aspect_ratio
    if (want or 1) != (have or 1):
        yield _Fault(f"the sample aspect ratio is {have} instead of {want}", "the sample aspect ratio")
    source, result = details
    if (source.rotation, source.mirrored) != (result.rotation, result.mirrored):
        turned = [f"{d.rotation} degrees{' and mirrored' * d.mirrored}" for d in (result, source)]
        yield _Fault(f"the rotation is {turned[0]} instead of {turned[1]}", "the rotation")
    if source.field_order != result.field_order:
        fields = [d.field_order or "progressive" for d in (result, source)]
        yield _Fault(f"the field order is {fields[0]} instead of {fields[1]}", "the field order")


def _colour_faults(before: VideoInfo, after: VideoInfo, containers: tuple[ColourSpec, ColourSpec]) -> list[str]:
    """What the result states, in its pictures or its container, and the source in neither of the two."""
    faults = []
    has_siting = before.colour.chroma_location and (after.format.log2_chroma_w or after.format.log2_chroma_h)
    for name in ("matrix", "primaries", "transfer", *(("chroma_location",) if has_siting else ())):
        want, have = getattr(before.colour, name), getattr(after.colour, name)
        own = [getattr(container, name) for container in containers]
        right = {want, own[0] or want}
        if name == "matrix" and before.format.family == after.format.family == "rgb":
            right |= {None, "gbr"}  # says nothing that RGB samples do not say themselves
        wrong = [value for value in (have, own[1] or have) if value not in right]
        if wrong:
            instead = want or "not being stated"
            faults.append(f"the {name.replace('_', ' ')} is {wrong[0] or 'not stated'} instead of {instead}")
    full = [is_full_range(info.colour, info.format) for info in (before, after)]
    if full[0] != full[1] and after.colour.full_range != containers[0].full_range:
        words = ["full" if value else "limited" for value in full]
        faults.append(f"the range is {words[1]} instead of {words[0]}")
    return faults


def _embedded_faults(details: tuple[PictureDetails, PictureDetails]) -> Iterator[_Fault]:
    want, have = details
    cases = (
        ("HDR10 mastering display metadata", want.hdr.mastering, have.hdr.mastering),
        ("HDR10 content light level", want.hdr.light, have.hdr.light),
        ("HDR ambient viewing environment", want.hdr.ambient, have.hdr.ambient),
        ("closed captions embedded in the pictures", want.has_captions, have.has_captions),
        ("the active format description", want.has_active_format, have.has_active_format),
    )
    for what, one, other in cases:
        if one and not other:
            yield _Fault(f"{what}: not in the result", what)
        elif one and one != other:
            yield _Fault(f"{what}: {other} instead of {one}")


def _judge_stream(
    name: str,
    streams: tuple[StreamContents, StreamContents],
    entry: StreamRecord,
    losses: _Losses,
    *,
    same_container: bool,
) -> Iterator[Finding]:
    source, result = streams
    faults = list(_stream_tag_faults(source, result))
    if entry.action == "copied":
        faults += [_Fault(text) for text in _packet_faults(source, result)]
    # Matroska holds some flags, MOV nearly none, and players of MOV need one track of each kind to be the default.
    flags = source.disposition ^ result.disposition
    if flags and same_container:
        want, have = ("+".join(sorted(d)) or "none" for d in (source.disposition, result.disposition))
        faults.append(_Fault(f"its disposition is {have} instead of {want}"))
    notes = list(_stream_tag_notes(source, result))
    if flags and not same_container:
        notes.append(f"another container: the disposition {', '.join(sorted(flags))} differs")
    packets = f"{len(source.pts)} packets, the same bytes at the same times"
    copied = packets if source.kind != "attachment" else f"the same {source.byte_count} bytes"
    done = {"copied": copied, "restored": "its pictures are new", "converted": f"converted to {entry.converted_to}"}
    named = [_Fault(f"{name}: {fault.text}", fault.announced_as) for fault in faults]
    yield from losses.judge("streams", named, f"{name}: {done[entry.action]}")
    yield from (Finding("streams", "note", f"{name}: {note}") for note in notes)


def _stream_tag_faults(source: StreamContents, result: StreamContents) -> Iterator[_Fault]:
    want, have = _comparable(source.tags), _comparable(result.tags)
    for name, value in want.items():
        if (name in have and have[name] != value) or (name not in have and name in _STATED_IN_LOSSES):
            announced = f"the tag '{name} of stream {source.index}'"
            yield _Fault(f"the tag {name!r} is {have.get(name)!r} instead of {value!r}", announced)
    one, other = _language(source), _language(result)
    if one is not None and one != other:
        announced = f"the tag 'language of stream {source.index}'"
        yield _Fault(f"the language is {other or 'not stated'} instead of {one}", announced)


def _stream_tag_notes(source: StreamContents, result: StreamContents) -> Iterator[str]:
    have = _comparable(result.tags)
    missing = [name for name in _comparable(source.tags) if name not in have and name not in _STATED_IN_LOSSES]
    if missing:
        yield f"without the tags {', '.join(missing)}"


def _language(stream: StreamContents) -> str | None:
    stated = next((value for name, value in stream.tags.items() if name.lower() == "language"), "und")
    return None if stated == "und" else stated


def _packet_faults(source: StreamContents, result: StreamContents) -> Iterator[str]:
    if source.sha256 != result.sha256:
        yield _what_differs(source, result)
    # Copying sound to a finer clock, ffmpeg makes rounded times exact again.
    is_finer = result.time_base < source.time_base
    tolerance = source.time_base if is_finer else result.time_base * _HALF
    if len(source.pts) == len(result.pts):
        yield from _time_faults(_times(source), _times(result), tolerance)
    elif source.sha256 == result.sha256:  # the same bytes in other portions, as PCM has in other containers
        yield from _time_faults(_times(source)[:1], _times(result)[:1], tolerance)


def _what_differs(source: StreamContents, result: StreamContents) -> str:
    if len(source.checksums) != len(result.checksums):
        return f"{len(result.checksums)} packets instead of {len(source.checksums)}"
    pairs = zip(source.checksums, result.checksums, strict=True)
    differing = [number for number, (one, other) in enumerate(pairs) if one != other]
    if not differing:
        return "what is attached has other bytes"
    return f"{len(differing)} of {len(source.checksums)} packets have other bytes, the first is packet {differing[0]}"


def _times(stream: StreamContents) -> list[Fraction | None]:
    return [None if pts == NO_TIME else pts * stream.time_base for pts in stream.pts]


def _time_faults(want: list[Fraction | None], have: list[Fraction | None], tolerance: Fraction) -> Iterator[str]:
    off = [
        number
        for number, (one, other) in enumerate(zip(want, have, strict=True))
        if one is not None and (other is None or abs(one - other) > tolerance)
    ]
    if off:
        one, other = want[off[0]], have[off[0]]
        stated = "no time" if other is None else f"{float(other):.6f} s"
        assert one is not None
        yield f"{len(off)} packets at other times, the first is packet {off[0]}: {stated} instead of {float(one):.6f} s"
