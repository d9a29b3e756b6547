"""Interlaced film: found by measurement, taken apart and put together again, restored without mixing its fields."""

import threading
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut

from gpen_video.faces import Aligner
from gpen_video.faces.paste import paste
from gpen_video.faces.planes import plane_groups
from gpen_video.media import decode, probe
from gpen_video.media.fields import (
    Field,
    FieldMeasure,
    PairScore,
    combing,
    decide,
    look_at_fields,
    measure_pair,
    split_fields,
    summary,
    weave_fields,
)
from gpen_video.media.formats import pixel_format
from gpen_video.types import ColourSpec, Frame, FrameFaces, MaskedFace, Picture, RestoredFace, Timestamp, TrackedFace
from tests.media.factories import ffmpeg
from tests.upstream import Upstream

GRAY = pixel_format("gray")
PORTRAIT = np.round(astronaut()[:256, 96:352] @ [0.299, 0.587, 0.114]).astype(np.uint8)
LANDMARKS = np.array([[110, 98], [148, 96], [131, 121], [116, 141], [147, 139]], np.float64)
FIRST: tuple[Field, ...] = ("top", "bottom")


def moment(time: float, speed: tuple[int, int] = (4, 0)) -> np.ndarray:
    """The portrait, moved by `speed` pixels a frame; time counts frames, in halves."""
    across, down = (round(part * time) for part in speed)
    return np.roll(PORTRAIT, (down, across), (0, 1))


def interlaced(count: int, first: Field, speed: tuple[int, int] = (4, 0)) -> list[np.ndarray]:
    """Frames of two moments each."""
    frames = []
    for index in range(count):
        frame = np.empty_like(PORTRAIT)
        early, late = (0, 1) if first == "top" else (1, 0)
        frame[early::2], frame[late::2] = (moment(index + at, speed)[line::2] for at, line in ((0, early), (0.5, late)))
        frames.append(frame)
    return frames


def telecined(count: int, first: Field) -> list[np.ndarray]:
    """3:2 pulldown of as many frames as it takes."""
    fields = [field for index in range(count) for field in [index] * (2 + index % 2)]
    frames = []
    for early, late in zip(fields[0::2], fields[1::2], strict=False):
        top, bottom = (early, late) if first == "top" else (late, early)
        frame = np.empty_like(PORTRAIT)
        frame[0::2], frame[1::2] = moment(top)[0::2], moment(bottom)[1::2]
        frames.append(frame)
    return frames


def measured(frames: list[np.ndarray], flagged: Field | None = None) -> FieldMeasure:
    scores = [measure_pair(one, other) for one, other in pairwise(frames)]
    return summary([score for score in scores if score is not None], flagged)


@pytest.mark.parametrize("speed", [(4, 0), (2, 2), (0, 2), (-6, 2)])
@pytest.mark.parametrize("first", FIRST)
def test_interlaced_pictures_are_found_with_their_order(first: Field, speed: tuple[int, int]) -> None:
    have = measured(interlaced(12, first, speed))
    assert (have.scan, have.first, have.pairs) == ("interlaced", first, 11)


@pytest.mark.parametrize("speed", [(4, 0), (2, 2), (0, 2), (-6, 2), (0, 1)])
def test_progressive_pictures_are_so_whatever_their_flags(speed: tuple[int, int]) -> None:
    frames = [moment(index, speed) for index in range(12)]
    assert {measured(frames, flag).scan for flag in (None, *FIRST)} == {"progressive"}


@pytest.mark.parametrize("first", FIRST)
def test_telecine_is_found_with_its_order(first: Field) -> None:
    have = measured(telecined(16, first))
    assert (have.scan, have.first) == ("telecined", first)


@pytest.mark.parametrize("grain", [4, 12])
def test_grain_does_not_hide_it(grain: int) -> None:
    random = np.random.default_rng(1)

    def grainy(frames: list[np.ndarray]) -> list[np.ndarray]:
        noisy = [frame + random.normal(0, grain, frame.shape) for frame in frames]
        return [np.clip(np.rint(frame), 0, 255).astype(np.uint8) for frame in noisy]

    assert measured(grainy(interlaced(12, "bottom"))) == FieldMeasure("interlaced", "bottom", 11)
    assert measured(grainy([moment(index) for index in range(12)])).scan == "progressive"


def test_what_does_not_move_says_nothing() -> None:
    assert measure_pair(PORTRAIT, PORTRAIT) is None
    assert measured([PORTRAIT] * 12) == FieldMeasure("undetermined", None, 0)
    deep = [frame.astype(np.uint16) << 8 for frame in interlaced(3, "top")]
    assert measure_pair(deep[0], deep[1], 16) == measure_pair(*interlaced(2, "top"))


def test_a_softer_frame_beside_a_sharp_one_is_not_taken_for_interlaced() -> None:
    """Two pairs of a real film that stands nearly still, whose coder sharpens it from frame to frame."""
    for score in (
        PairScore(22.93, 20.59, 25.63, 14.02, 14.31),
        PairScore(20.46, 19.10, 22.91, 11.90, 12.69),
    ):
        assert score.verdict is None


def test_combing_is_nothing_on_a_slope_and_the_whole_step_on_a_zigzag() -> None:
    lines = np.arange(40, dtype=np.float32).repeat(8).reshape(40, 8)
    assert combing(lines[0::2], lines[1::2]) == 0
    lines[1::2] = lines[0::2] + 10
    assert combing(np.zeros((20, 8), np.float32), np.full((20, 8), 7, np.float32)) == pytest.approx(7)


def film(path: Path, graph: str, *options: str) -> Path:
    """A moving picture of 50 moments a second, turned into film by `graph`."""
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=192x144:r=50:d=2", "-vf", graph, *(options or ("-c:v", "ffv1")), path)
    return path


TFF, BFF = "tinterlace=interleave_top", "tinterlace=interleave_bottom"
FILMS = {
    "top": (TFF, "interlaced", "top", "top", ""),
    "bottom": (BFF, "interlaced", "bottom", "bottom", ""),
    "progressive": ("null", "progressive", None, None, ""),
    "wrongly progressive": (f"{TFF},setfield=prog", "interlaced", None, "top", "not flagged as interlaced"),
    "wrongly interlaced": ("setfield=tff", "progressive", "top", None, "flagged as interlaced, but"),
    "wrong order": (f"{TFF},setfield=bff", "interlaced", "bottom", "top", "flagged as bottom field first, but"),
    "telecined": ("telecine=first_field=top,setfield=tff", "telecined", "top", "top", ""),
}


@pytest.mark.parametrize("name", FILMS)
def test_measurement_decides_and_a_contradiction_is_told(tmp_path: Path, name: str) -> None:
    graph, scan, flagged, first, warned = FILMS[name]
    report = look_at_fields(probe(film(tmp_path / "film.mkv", graph)))
    assert (report.measure.scan, report.flagged, report.first) == (scan, flagged, first)
    assert [warned in line for line in report.warnings] == ([True] if warned else [])


@pytest.mark.parametrize("graph", [TFF, BFF])
@pytest.mark.parametrize("suffix", ["mp4", "ts", "mpg"])
def test_flags_and_pictures_of_coded_film_agree(tmp_path: Path, suffix: str, graph: str) -> None:
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    report = look_at_fields(probe(film(tmp_path / f"film.{suffix}", graph, "-c:v", codec, "-flags", "+ilme+ildct")))
    want = "top" if graph == TFF else "bottom"
    assert (report.measure.scan, report.flagged, report.first, report.warnings) == ("interlaced", want, want, ())


def test_the_setting_overrules_and_flags_speak_where_nothing_moves(tmp_path: Path) -> None:
    info = probe(film(tmp_path / "film.mkv", TFF))
    still = FieldMeasure("undetermined", None, 0)
    moving = FieldMeasure("interlaced", "top", 20)
    assert decide(info, "bottom", still).first == "bottom"
    assert decide(info, None, still).first is None
    assert decide(info, None, still, "fields").first == "top"
    assert decide(info, "top", moving, "frames").first is None
    assert "whole frames" in decide(info, "top", moving, "frames").warnings[0]
    odd = decide(replace(info, height=143), "top", moving)
    assert odd.first is None and "143 lines" in odd.warnings[0]


def made(name: str, size: tuple[int, int], count: int = 3, duration: int | None = 512) -> list[Frame]:
    fmt = pixel_format(name)
    random = np.random.default_rng(0)
    chroma = (-(-size[1] // 2**fmt.log2_chroma_h), -(-size[0] // 2**fmt.log2_chroma_w))
    shapes = [size[::-1]] if fmt.family == "gray" else [size[::-1], chroma, chroma]
    frames = []
    for index in range(count):
        planes = tuple(random.integers(0, 2**fmt.bits, s, np.uint8 if fmt.bits == 8 else np.uint16) for s in shapes)
        for plane in planes:
            plane.flags.writeable = False
        time = Timestamp(-7 + 512 * index, Fraction(1, 12800))
        frames.append(Frame(index, time, Picture(planes, fmt, ColourSpec()), duration, index in (0, 2)))
    return frames


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["yuv420p", "yuv422p10le", "yuv411p", "gbrp", "gray16le", "yuv444p"]),
    width=st.integers(2, 40),
    half=st.integers(1, 40),
    first=st.sampled_from(FIRST),
    duration=st.sampled_from([None, 512, 1]),
)
def test_weaving_what_was_split_gives_the_same_frames(
    name: str, width: int, half: int, first: Field, duration: int | None
) -> None:
    frames = made(name, (width, 2 * half), duration=duration)
    fields = list(split_fields(frames, first))
    assert [field.index for field in fields] == list(range(6))
    assert [field.picture.field for field in fields[:2]] == [first, "bottom" if first == "top" else "top"]
    assert all(one.time.seconds < other.time.seconds for one, other in pairwise(fields))
    assert [field.starts_shot for field in fields] == [True, False, False, False, True, False]
    for have, want in zip(weave_fields(fields, first, ColourSpec()), frames, strict=True):
        assert (have.index, have.time, have.duration, have.starts_shot) == (
            *(want.index, want.time, want.duration, want.starts_shot),
        )
        assert (have.picture.format, have.picture.colour, have.picture.field) == (name_of(want), ColourSpec(), None)
        for ours, theirs in zip(have.picture.planes, want.picture.planes, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def name_of(frame: Frame) -> object:
    return frame.picture.format


def test_half_the_height_does_not_change_the_matrix() -> None:
    frames = made("yuv420p", (16, 1080), count=1)
    assert {field.picture.colour.matrix for field in split_fields(frames, "top")} == {"bt709"}


def test_fields_that_do_not_pair_are_an_error() -> None:
    fields = list(split_fields(made("gray", (8, 8)), "top"))
    for broken in (fields[:3], fields[1:], [fields[0], fields[3]]):
        with pytest.raises(ValueError, match="not followed"):
            list(weave_fields(broken, "top", ColourSpec()))
    with pytest.raises(ValueError, match="odd"):
        list(split_fields(made("gray", (8, 7)), "top"))


def test_the_adaptors_keep_the_stage_contract() -> None:
    frames, threads = made("yuv420p", (16, 16), count=6), threading.active_count()
    before = [[plane.copy() for plane in frame.picture.planes] for frame in frames]
    upstream = Upstream(frames)
    stage = weave_fields(split_fields(upstream.stream(), "top"), "top", ColourSpec())
    for given_out, frame in enumerate(stage):
        assert upstream.taken == given_out + 1
        assert not any(plane.flags.writeable for plane in frame.picture.planes)
    assert upstream.closed
    for frame, copies in zip(frames, before, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame.picture.planes, copies, strict=True))

    upstream = Upstream(frames)
    stage = weave_fields(split_fields(upstream.stream(), "top"), "top", ColourSpec())
    next(stage)
    stage.close()
    assert upstream.closed

    upstream = Upstream(frames, error_at=3)
    with pytest.raises(OSError) as caught:
        list(weave_fields(split_fields(upstream.stream(), "top"), "top", ColourSpec()))
    assert caught.value is upstream.error and upstream.closed and threading.active_count() == threads


SIDE = 128
ALPHA = np.outer(*[np.clip(np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) / 16, 0, 1)] * 2).astype(np.float32)
CHANGE = (0.25 * np.sin(np.arange(SIDE) / 5)[None, :, None] * np.cos(np.arange(SIDE) / 7)[:, None, None]).astype(
    np.float32
)


def restored(frame: Frame, landmarks: np.ndarray, pixel_aspect: float, amount: float) -> Frame:
    """The frame with a pattern added to its face."""
    crop = Aligner(SIDE, pixel_aspect=pixel_aspect).crop(frame, TrackedFace(0, landmarks, None))
    changed = RestoredFace(crop, crop.rgb_hwc + np.float32(amount) * CHANGE)
    return paste(FrameFaces(frame, (MaskedFace(changed, ALPHA),)))


def by_frames(luma: np.ndarray, at: float, amount: float, speed: tuple[int, int]) -> np.ndarray:
    landmarks = LANDMARKS + np.array(speed) * at
    frame = Frame(0, Timestamp(0, Fraction(1, 25)), Picture((luma,), GRAY, ColourSpec()))
    return restored(frame, landmarks, 1.0, amount).picture.planes[0]


def by_fields(luma: np.ndarray, index: int, first: Field, amount: float, speed: tuple[int, int]) -> np.ndarray:
    """Restored field by field, each with the landmarks of its own moment, in its own lines."""
    frame = Frame(0, Timestamp(0, Fraction(1, 25)), Picture((luma,), GRAY, ColourSpec()), 1)
    fields = []
    for place, field in enumerate(split_fields([frame], first)):
        landmarks = LANDMARKS + np.array(speed) * (index + place / 2)
        on_grid = landmarks * [1, 0.5]
        own = on_grid if plane_offset(field) else on_grid - [0, 0.5 * (field.picture.field == "bottom")]
        fields.append(restored(field, own, 0.5, amount))
    return next(weave_fields(fields, first, ColourSpec())).picture.planes[0]


def plane_offset(field: Frame) -> bool:
    """Whether `faces` puts the lines of both fields onto one grid."""
    if field.picture.field != "bottom":
        return False
    return bool(plane_groups(field.picture)[0].frame_from_plane[1, 2] == 0.5)


@pytest.mark.parametrize("first", FIRST)
def test_no_change_is_no_change_to_the_bit(first: Field) -> None:
    luma = interlaced(2, first)[1]
    np.testing.assert_array_equal(by_fields(luma, 1, first, 0.0, (4, 0)), luma)


@pytest.mark.parametrize("first", FIRST)
def test_a_moving_face_is_changed_in_each_field_as_its_own_moment_would_be(first: Field) -> None:
    speed = (12, 0)
    luma = interlaced(2, first, speed)[1]
    early, late = (0, 1) if first == "top" else (1, 0)
    want = np.empty_like(luma)
    for line, at in ((early, 1.0), (late, 1.5)):
        want[line::2] = by_frames(moment(at, speed), at, 1.0, speed)[line::2]
    error = np.abs(by_fields(luma, 1, first, 1.0, speed).astype(int) - want)
    mixed = np.abs(by_frames(luma, 1.25, 1.0, speed).astype(int) - want)
    assert np.abs(want.astype(int) - luma).max() > 40
    assert error.mean() < 0.15 and error.max() <= 8
    assert mixed.mean() > 10 * error.mean()


@pytest.mark.parametrize("first", FIRST)
def test_a_change_brings_no_combing_where_there_was_none(first: Field) -> None:
    inside = (slice(80, 150), slice(90, 170))
    result = by_fields(PORTRAIT, 0, first, 1.0, (0, 0))[inside].astype(np.float32)
    ideal = by_frames(PORTRAIT, 0, 1.0, (0, 0))[inside].astype(np.float32)
    change = result - PORTRAIT[inside]
    assert combing(change[0::2], change[1::2]) < 0.6  # rounding of two pictures to whole levels
    assert combing(result[0::2], result[1::2]) < 1.05 * combing(ideal[0::2], ideal[1::2])


def test_interlaced_film_comes_back_whole(tmp_path: Path) -> None:
    info = probe(film(tmp_path / "film.mkv", TFF))
    frames = list(decode(info))
    woven = list(weave_fields(split_fields(iter(frames), "top"), "top", info.colour))
    assert [(f.index, f.time, f.duration) for f in woven] == [(f.index, f.time, f.duration) for f in frames]
    for have, want in zip(woven, frames, strict=True):
        assert have.picture.colour == want.picture.colour
        assert all(np.array_equal(a, b) for a, b in zip(have.picture.planes, want.picture.planes, strict=True))
