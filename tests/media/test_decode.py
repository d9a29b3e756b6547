"""Decoding against FFmpeg's own listing of frames, and damage of every kind."""

import itertools
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpen_video.errors import DecodeError, ProbeError
from gpen_video.media import decode, probe
from gpen_video.types import Frame
from tests.media.factories import Clip, ffmpeg, listed_frames, make_clip, picture_md5

B_FRAMES = (("bf", "3"), ("b_strategy", "0"))
MILLISECOND, CLOCK = Fraction(1, 1000), Fraction(1, 90000)
VARIABLE = tuple(itertools.accumulate([3003, 1, 9009, 450, 3003, 6006, 12000, 77, 3003, 3003, 3003, 1500]))

CLIPS = {
    "constant": Clip(),
    "b-frames": Clip("libx264", "mov", options=B_FRAMES, time_base=Fraction(1, 12800), pts=tuple(range(0, 30720, 512))),
    "ntsc": Clip("libx264", "mov", time_base=Fraction(1001, 24000), pts=tuple(range(30)), options=B_FRAMES),
    "variable": Clip("libx264", "mov", time_base=CLOCK, pts=VARIABLE, options=B_FRAMES),
    "delayed": Clip("libx264", "matroska", time_base=MILLISECOND, pts=tuple(range(5000, 6200, 40)), options=B_FRAMES),
    "odd": Clip(size=(33, 17), pix_fmt="yuv422p"),
    "10 bits": Clip(pix_fmt="yuv420p10le", noise=True),
    "16 bits": Clip(pix_fmt="gbrp16le", noise=True),
    "mpeg-4 in avi": Clip("mpeg4", "avi", options=(("bf", "2"),)),
    "one frame": Clip(pts=(7,)),
}


def frames_of(path: Path, **options: object) -> list[Frame]:
    return list(decode(probe(path), **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CLIPS)
def test_frames_and_times_are_those_that_ffmpeg_lists(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / "clip", CLIPS[name])
    frames, listed = frames_of(path), listed_frames(path)
    assert [frame.time.seconds for frame in frames] == [row.seconds for row in listed]
    assert [picture_md5(frame.picture) for frame in frames] == [row.md5 for row in listed]
    assert [frame.index for frame in frames] == list(range(len(CLIPS[name].pts)))


def test_packed_rgb_arrives_as_planes(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip", Clip("rawvideo", "nut", "bgr24", (33, 17), noise=True))
    raw = np.frombuffer(ffmpeg("-i", path, "-f", "rawvideo", "-"), np.uint8).reshape(-1, 17, 33, 3)
    for frame, bgr_hwc in zip(frames_of(path), raw, strict=True):
        assert frame.picture.format.name == "gbrp"
        for plane, channel in zip(frame.picture.planes, (1, 0, 2), strict=True):
            np.testing.assert_array_equal(plane, bgr_hwc[..., channel])


def test_planes_are_read_only_and_survive_the_decoder(tmp_path: Path) -> None:
    frames = frames_of(make_clip(tmp_path / "clip"))
    assert not any(plane.flags.writeable for frame in frames for plane in frame.picture.planes)
    assert [int(frame.picture.planes[0].max()) for frame in frames] == [16 + 10 * i for i in range(12)]


@pytest.mark.parametrize("container", ["avi", "h264"])
def test_where_the_file_states_no_times_the_order_gives_them(tmp_path: Path, container: str) -> None:
    source = make_clip(tmp_path / "source.mov", CLIPS["b-frames"])
    path = tmp_path / f"clip.{container}"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "h264_mp4toannexb", path)
    frames = frames_of(path)
    assert [picture_md5(f.picture) for f in frames] == [row.md5 for row in listed_frames(source)]
    steps = {later.time.seconds - earlier.time.seconds for earlier, later in itertools.pairwise(frames)}
    assert steps == {Fraction(1, 25)}


def test_interlaced_h264_in_a_transport_stream_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc=s=128x96:d=1:r=50",
        "-vf",
        "interlace",
        "-c:v",
        "libx264",
        "-flags",
        "+ilme+ildct",
        path,
    )
    frames = frames_of(path)
    assert [frame.time.seconds for frame in frames] == [row.seconds for row in listed_frames(path)]


def test_closing_early_leaves_nothing_behind(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mov", CLIPS["b-frames"])
    before = threading.active_count()
    frames = decode(probe(path))
    next(frames)
    frames.close()
    assert threading.active_count() == before
    path.unlink()


def make_film(path: Path, *options: str, source: str = "testsrc2=s=160x120:r=25:d=4") -> Path:
    ffmpeg("-f", "lavfi", "-i", source, *options, path)
    return path


CUT = {
    "faststart.mp4": ["-c:v", "libx264", "-movflags", "+faststart"],
    "fragmented.mp4": ["-c:v", "libx264", "-movflags", "frag_keyframe"],
    "film.mkv": ["-c:v", "libx264"],
    "film.avi": ["-c:v", "mpeg4", "-bf", "0"],
    "film.flv": ["-c:v", "flv1"],
    "ffv1.mkv": ["-c:v", "ffv1", "-slicecrc", "1"],
}


@pytest.mark.parametrize("part", [0.31, 0.83])
@pytest.mark.parametrize("name", CUT)
def test_a_film_that_breaks_off_is_refused_and_good_up_to_there(tmp_path: Path, name: str, part: float) -> None:
    whole = make_film(tmp_path / name, *CUT[name])
    good = frames_of(whole)
    assert len(good) == 100
    path = tmp_path / f"cut-{name}"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])

    with pytest.raises(DecodeError, match=r"frame \d+ .*tolerant") as caught:
        frames_of(path)
    assert "\n" not in str(caught.value)

    warnings: list[str] = []
    kept = frames_of(path, tolerant=True, on_warning=warnings.append)
    assert len(warnings) == 1 and f"frame {len(kept)} " in warnings[0]
    assert 0 < len(kept) < 100
    for have, want in zip(kept, good, strict=False):
        assert have.time.seconds == want.time.seconds
        assert picture_md5(have.picture) == picture_md5(want.picture)


def test_an_mp4_without_its_index_cannot_be_opened(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "film.mp4", "-c:v", "libx264")
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(ProbeError, match="breaks off before its index"):
        probe(path)


DAMAGED = {
    "ffv1": ["-c:v", "ffv1", "-slicecrc", "1"],
    "h264": ["-c:v", "libx264", "-g", "10", "-x264-params", "cabac=0"],
    "mpeg2": ["-c:v", "mpeg2video", "-g", "10", "-q:v", "3"],
    "mpeg4": ["-c:v", "mpeg4", "-g", "10", "-q:v", "3"],
    "mjpeg": ["-c:v", "mjpeg", "-q:v", "3"],
    "prores": ["-c:v", "prores_ks"],
}


@pytest.mark.parametrize("codec", DAMAGED)
def test_damage_in_the_middle_is_noticed_before_a_bad_frame_is_given_out(tmp_path: Path, codec: str) -> None:
    whole = make_film(tmp_path / "film.mkv", *DAMAGED[codec], source="testsrc2=s=320x240:r=25:d=1.2")
    good = frames_of(whole)
    with av.open(str(whole)) as container:
        victim = [packet for packet in container.demux(video=0) if packet.size][20]
    assert victim.pos is not None
    data = bytearray(whole.read_bytes())
    start, count = victim.pos + victim.size // 3, victim.size // 4
    data[start : start + count] = np.random.default_rng(1).bytes(count)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data)
    warnings: list[str] = []
    kept = frames_of(path, tolerant=True, on_warning=warnings.append)
    assert len(warnings) == 1
    first_bad = next(index for index, frame in enumerate(good) if frame.time.pts == victim.pts)
    assert first_bad - 2 <= len(kept) <= first_bad  # H.264 may keep the last good ones to itself
    assert [frame.time for frame in kept] == [frame.time for frame in good[: len(kept)]]
    assert all(picture_md5(a.picture) == picture_md5(b.picture) for a, b in zip(kept, good, strict=False))


def test_a_change_of_size_names_the_frame(tmp_path: Path) -> None:
    first = make_film(tmp_path / "a.mjpeg", "-c:v", "mjpeg", source="testsrc2=s=640x480:r=25:d=1")
    second = make_film(tmp_path / "b.mjpeg", "-c:v", "mjpeg", source="testsrc2=s=320x240:r=25:d=1")
    path = tmp_path / "both.mjpeg"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(DecodeError, match="frame 25 is 320x240, the film began as 640x480"):
        frames_of(path)


def test_a_recording_that_begins_within_a_group_starts_with_its_first_good_picture(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "film.ts", "-c:v", "libx264", "-g", "25", "-bf", "0")
    path = tmp_path / "late.ts"
    data = whole.read_bytes()
    path.write_bytes(data[len(data) // 8 // 188 * 188 :])
    warnings: list[str] = []
    frames = frames_of(path, on_warning=warnings.append)
    wanted = {picture_md5(frame.picture): frame.time.seconds for frame in frames_of(whole)}
    assert 50 < len(frames) < 100
    assert all(wanted[picture_md5(frame.picture)] == frame.time.seconds for frame in frames)
    assert len(warnings) <= 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, 10**6),
    steps=st.lists(st.integers(1, 20000), min_size=1, max_size=20),
    ticks=st.sampled_from([600, 1000, 24000, 90000, 1_000_000]),
)
def test_any_times_come_back(tmp_path: Path, start: int, steps: list[int], ticks: int) -> None:
    pts = tuple(itertools.accumulate([start, *steps]))
    clip = Clip("libx264", "mov", time_base=Fraction(1, ticks), pts=pts, options=B_FRAMES)
    frames = frames_of(make_clip(tmp_path / "clip", clip))
    assert [frame.time.seconds for frame in frames] == [Fraction(p, ticks) for p in pts]
