"""Filters of the user's choice: what they give is what ffmpeg gives, and frames stay at their times, one for one."""

import itertools
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gpen_video.errors import ConfigError
from gpen_video.media import decode, probe
from gpen_video.media.filters import deinterlace, filter_warning, filtered, filtered_info, joined
from gpen_video.types import Frame, VideoInfo
from tests.media.factories import Clip, ffmpeg, listed_frames, make_clip, picture_md5
from tests.upstream import Upstream

CLOCK = Fraction(1, 90000)
VARIABLE = tuple(itertools.accumulate([3003, 1, 9009, 450, 3003, 6006, 12000, 77, 3003, 3003]))


def source(path: Path, clip: Clip | None = None) -> tuple[VideoInfo, list[Frame]]:
    info = probe(make_clip(path / "source", clip or Clip(noise=True)))
    return info, list(decode(info))


def run(info: VideoInfo, frames: list[Frame], graph: str) -> tuple[VideoInfo, list[Frame]]:
    behind = filtered_info(info, graph)
    return behind, list(filtered(iter(frames), graph, info, behind))


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p10le", "yuv444p12le", "yuv411p", "gray", "gray16le", "gbrp10le", "gbrp", "yuva444p10le"]
)
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_a_graph_that_does_nothing_changes_nothing(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    info, frames = source(
        tmp_path, Clip("rawvideo", pix_fmt=name, size=size, time_base=CLOCK, pts=VARIABLE, noise=True)
    )
    behind, got = run(info, frames, "null")
    assert behind == info
    assert [(f.index, f.time, f.duration) for f in got] == [(f.index, f.time, f.duration) for f in frames]
    assert [picture_md5(f.picture) for f in got] == [picture_md5(f.picture) for f in frames]
    assert not any(plane.flags.writeable for frame in got for plane in frame.picture.planes)


@pytest.mark.parametrize(
    "graph",
    ["deflicker,hqdn3d", "hqdn3d=4:3:6:4.5", "split[a][b];[b]hflip[c];[a][c]hstack", "crop=40:30:2:4", "tmix=3"],
)
def test_pictures_are_those_that_ffmpeg_makes(tmp_path: Path, graph: str) -> None:
    info, frames = source(tmp_path)
    behind, got = run(info, frames, graph)
    by_ffmpeg = tmp_path / "filtered.nut"
    ffmpeg("-i", info.path, "-vf", graph, "-c:v", "rawvideo", by_ffmpeg)
    assert [picture_md5(frame.picture) for frame in got] == [row.md5 for row in listed_frames(by_ffmpeg)]
    assert (behind.width, behind.height) == (got[0].picture.width, got[0].picture.height)
    assert [frame.time for frame in got] == [frame.time for frame in frames]


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_deinterlacing_makes_one_progressive_frame_of_each(tmp_path: Path, first: str) -> None:
    path = tmp_path / "film.mkv"
    weave = f"tinterlace=interleave_{first}"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=128x96:r=50:d=0.5", "-vf", weave, "-c:v", "ffv1", path)
    info = probe(path)
    assert info.first_field == first
    graph = deinterlace(first)  # type: ignore[arg-type]
    behind = filtered_info(info, graph, first)  # type: ignore[arg-type]
    got = list(filtered(decode(info), graph, info, behind, first))  # type: ignore[arg-type]
    by_ffmpeg = tmp_path / "filtered.nut"
    ffmpeg("-i", path, "-vf", "bwdif=mode=send_frame", "-c:v", "rawvideo", by_ffmpeg)
    assert [picture_md5(frame.picture) for frame in got] == [row.md5 for row in listed_frames(by_ffmpeg)]
    assert [frame.time.seconds for frame in got] == [row.seconds for row in listed_frames(path)]
    assert behind == replace(info, first_field=None)


def test_what_follows_is_told_of_size_format_colour_and_aspect(tmp_path: Path) -> None:
    info, _ = source(tmp_path)
    behind = filtered_info(info, "scale=32:30,setsar=4/3,format=yuv422p10le")
    assert (behind.width, behind.height, behind.format.name) == (32, 30, "yuv422p10le")
    assert (behind.sample_aspect_ratio, behind.colour) == (Fraction(4, 3), info.colour)
    rgb = filtered_info(info, "format=rgb24")
    assert (rgb.format.name, rgb.source_format_name) == ("gbrp", "rgb24")
    assert (rgb.colour.matrix, rgb.colour.full_range) == ("gbr", True)
    told = replace(info, colour=replace(info.colour, matrix="bt709", full_range=False, chroma_location="left"))
    assert filtered_info(told, "hflip").colour == told.colour
    assert filtered_info(told, "scale=out_range=full,format=yuv420p").colour == replace(told.colour, full_range=True)


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        ("nonsense", "No such filter: 'nonsense'"),
        ("hqdn3d,bwdif=foo=1", "option 'foo' to filter 'bwdif'"),
        ("bwdif=mode=9", "out of range"),
        ("crop=1000:1000", "Invalid too big"),
        ("crop=(", "missing '\\('"),
        ("hflip;vflip", "exactly 1 input and 1 output"),
        ("aecho", "audio"),
        ("fps=50", "drops, doubles or retimes"),
        ("mpdecimate", "drops, doubles or retimes"),
        ("setpts=2*PTS", "drops, doubles or retimes"),
        ("bwdif=mode=send_field", "drops, doubles or retimes"),
        ("format=grayf32", "grayf32le is not supported"),
    ],
)
def test_a_graph_that_cannot_be_used_is_refused_before_work_starts(tmp_path: Path, graph: str, says: str) -> None:
    info, _ = source(tmp_path)
    threads = threading.active_count()
    with pytest.raises(ConfigError, match=says) as caught:
        filtered_info(info, graph)
    assert str(caught.value).startswith("media.filters: ") and "\n" not in str(caught.value)
    assert threading.active_count() == threads


def test_a_picture_dropped_on_the_way_is_noticed(tmp_path: Path) -> None:
    info, frames = source(tmp_path, Clip(pts=tuple(range(40))))
    graph = r"select=not(eq(n\,30))"  # the trial is shorter
    behind = filtered_info(info, graph)
    with pytest.raises(ConfigError, match="drops"):
        list(filtered(frames, graph, info, behind))


@pytest.mark.parametrize("error_at", [0, 7])
def test_an_error_upstream_passes_through_unchanged(tmp_path: Path, error_at: int) -> None:
    info, frames = source(tmp_path)
    threads, upstream = threading.active_count(), Upstream(frames, error_at)
    with pytest.raises(OSError) as caught:
        list(filtered(upstream.stream(), "hqdn3d", info, info))
    assert caught.value is upstream.error and upstream.closed
    assert threading.active_count() == threads


def test_closing_closes_what_is_above_and_little_is_held_back(tmp_path: Path) -> None:
    info, frames = source(tmp_path, Clip(size=(640, 480), pts=tuple(range(3)), noise=True))
    many = [replace(frames[i % 3], index=i, time=replace(frames[0].time, pts=i)) for i in range(400)]
    before = [plane.copy() for plane in frames[0].picture.planes]
    threads, upstream = threading.active_count(), Upstream(many)
    stage = filtered(upstream.stream(), "hflip", info, info)
    for _ in range(5):
        next(stage)
    assert upstream.taken < 150  # pipes and queues, whatever the film's length
    stage.close()
    assert upstream.closed and threading.active_count() == threads
    assert all(np.array_equal(a, b) for a, b in zip(before, frames[0].picture.planes, strict=True))


def test_no_frame_is_no_error(tmp_path: Path) -> None:
    info, _ = source(tmp_path)
    assert list(filtered([], "hflip", info, info)) == []


def test_graphs_are_joined_and_the_user_is_told() -> None:
    assert joined("bwdif", "", "hqdn3d") == "bwdif,hqdn3d"
    assert "differs from the source outside the faces" in filter_warning("hqdn3d")
