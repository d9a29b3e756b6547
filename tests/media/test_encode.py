"""Encoding: samples and times come back, settings are checked first, failures leave nothing."""

import itertools
import os
import resource
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import ConfigError, EncodeError, OutputError
from gpen_video.media import check_encoder, decode, encode, join, probe
from gpen_video.media.formats import pixel_format
from gpen_video.media.picture import widen
from gpen_video.types import ColourSpec, Frame, Picture, VideoInfo
from tests.media.factories import Clip, ffmpeg, listed_frames, make_clip

FFV1 = EncodeSettings(codec="ffv1", options={"level": "3", "slicecrc": "1"})
X264 = EncodeSettings(preset="ultrafast")
CLOCK = Fraction(1, 90000)


def source(path: Path, clip: Clip | None = None) -> tuple[VideoInfo, list[Frame]]:
    info = probe(make_clip(path / "source", clip))
    return info, list(decode(info))


def there_and_back(info: VideoInfo, frames: list[Frame], path: Path, how: EncodeSettings) -> list[Frame]:
    encode(frames, path, like=info, settings=how)
    return list(decode(probe(path)))


def assert_equal_frames(have: list[Frame], want: list[Frame]) -> None:
    assert [frame.time.seconds for frame in have] == [frame.time.seconds for frame in want]
    for a, b in zip(have, want, strict=True):
        for ours, theirs in zip(a.picture.planes, b.picture.planes, strict=True):
            np.testing.assert_array_equal(ours, theirs)


LOSSLESS = """
yuv420p yuv422p yuv444p yuv440p yuv411p yuv410p yuva420p yuva444p gray gray10le gray16le yuv420p10le yuv422p12le
yuv444p16le yuva444p10le gbrp gbrap gbrp10le gbrp12le gbrp14le gbrp16le gbrap16le yuv420p9le yuv422p14le
"""


@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
@pytest.mark.parametrize("name", LOSSLESS.split())
def test_ffv1_gives_every_sample_back(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    info, frames = source(tmp_path, Clip("rawvideo", pix_fmt=name, size=size, pts=(0, 1, 2), noise=True))
    assert info.format.name == name
    plan = check_encoder(info, FFV1)
    assert not plan.warnings
    assert_equal_frames(there_and_back(info, frames, tmp_path / "result", FFV1), frames)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "ffv1", "prores_ks", "ffvhuff"])
@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (Fraction(1, 12800), tuple(range(0, 5120, 512))),
        (Fraction(1001, 24000), tuple(range(20))),
        (CLOCK, tuple(itertools.accumulate([9009, 1, 3003, 450, 12000, 77, 3003, 3003]))),
        (Fraction(1, 1_000_000), (40_000_007, 40_033_340, 40_066_673)),
        (Fraction(1, 25), (3,)),
    ],
    ids=["constant", "ntsc", "variable", "late", "one"],
)
def test_times_come_back_by_ffmpegs_reckoning(
    tmp_path: Path, codec: str, time_base: Fraction, pts: tuple[int, ...]
) -> None:
    info, frames = source(tmp_path, Clip(size=(64, 64), time_base=time_base, pts=pts))
    path = tmp_path / "result"
    summary = encode(frames, path, like=info, settings=EncodeSettings(codec=codec, preset=None, crf=30))
    assert [row.seconds for row in listed_frames(path)] == [p * time_base for p in pts]
    assert summary.frame_count == len(pts)
    assert (summary.first.seconds, summary.last.seconds) == (pts[0] * time_base, pts[-1] * time_base)
    assert summary.byte_count == path.stat().st_size


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 10**9), steps=st.lists(st.integers(1, 50_000), min_size=2, max_size=24))
def test_any_times_come_back_with_reordered_frames(tmp_path: Path, start: int, steps: list[int]) -> None:
    pts = tuple(itertools.accumulate([start, *steps]))
    info, frames = source(tmp_path, Clip(time_base=CLOCK, pts=pts))
    got = there_and_back(info, frames, tmp_path / "result", EncodeSettings(preset="veryfast", options={"bf": "3"}))
    assert [frame.time.seconds for frame in got] == [p * CLOCK for p in pts]


def test_a_frame_keeps_its_duration(tmp_path: Path) -> None:
    info, frames = source(tmp_path, Clip(time_base=CLOCK, pts=(0, 3000, 6000)))
    frames[-1] = replace(frames[-1], duration=45000)
    for how in (FFV1, X264):
        encode(frames, tmp_path / "result", like=info, settings=how)
        assert probe(tmp_path / "result").duration_from_header == Fraction(51000, 90000)


def test_colour_tags_and_aspect_ratio_are_written(tmp_path: Path) -> None:
    info, frames = source(tmp_path)
    colour = ColourSpec("bt2020nc", True, "bt2020", "smpte2084", "topleft")
    info = replace(info, colour=colour, sample_aspect_ratio=Fraction(16, 15))
    frames = [replace(f, picture=Picture(f.picture.planes, f.picture.format, colour)) for f in frames]
    encode(frames, tmp_path / "result", like=info, settings=X264)
    written = probe(tmp_path / "result")
    assert (written.colour, written.sample_aspect_ratio) == (colour, Fraction(16, 15))


@pytest.mark.parametrize(
    ("codec", "have", "want", "warned"),
    [
        ("libx264", "yuv420p", "yuv420p", ""),
        ("libx264", "yuv422p10le", "yuv422p10le", ""),
        ("libx264", "yuv420p12le", "yuv420p10le", "12 bits become 10"),
        ("libx264", "gray", "gray", ""),
        ("libx264", "gbrp", "yuv444p", "rounds"),
        ("libx264", "yuva420p", "yuv420p", "transparency"),
        ("libx265", "yuv420p12le", "yuv420p12le", ""),
        ("libx265", "gbrp", "gbrp", ""),
        ("libsvtav1", "yuv444p10le", "yuv420p10le", "coarser"),
        ("prores_ks", "yuv420p", "yuv422p10le", ""),
        ("ffv1", "gbrp", "bgr0", ""),
        ("utvideo", "yuv420p10le", "yuv420p", "10 bits become 8"),
    ],
)
def test_the_nearest_pixel_format_is_chosen(codec: str, have: str, want: str, warned: str, tmp_path: Path) -> None:
    info, _ = source(tmp_path, Clip("rawvideo", pix_fmt=have, pts=(0,)))
    plan = check_encoder(info, EncodeSettings(codec=codec, preset=None))
    assert plan.pix_fmt == want
    assert bool(plan.warnings) == bool(warned)
    assert any(warned in line for line in plan.warnings) or not warned


def test_odd_sizes_keep_their_size_and_their_samples(tmp_path: Path) -> None:
    info, frames = source(tmp_path, Clip(size=(161, 91), noise=True, pts=(0, 1)))
    lossless = EncodeSettings(preset="ultrafast", crf=None, options={"qp": "0"})
    plan = check_encoder(info, lossless)
    assert plan.pix_fmt == "yuv444p" and "161x91" in plan.warnings[0]
    for have, want in zip(there_and_back(info, frames, tmp_path / "result", lossless), frames, strict=True):
        np.testing.assert_array_equal(have.picture.planes[0], want.picture.planes[0])
        np.testing.assert_array_equal(have.picture.planes[1][::2, ::2], want.picture.planes[1])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("have", "want"), [("yuv420p", "yuv444p10le"), ("gray", "yuv422p12le"), ("gbrp", "gbrp16le")])
def test_widening_can_be_undone(have: str, want: str, full: bool) -> None:
    random = np.random.default_rng(3)
    fmt, target = pixel_format(have), pixel_format(want)
    chroma = (-(-7 // 2**fmt.log2_chroma_h), -(-9 // 2**fmt.log2_chroma_w))
    shapes = [(7, 9)] if fmt.family == "gray" else [(7, 9), chroma, chroma]
    planes = tuple(random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes)
    wide = widen(Picture(planes, fmt, ColourSpec(full_range=full)), target)
    assert wide.format == target
    is_full = full or fmt.family != "yuv"
    for index, (plane, wider) in enumerate(zip(planes, wide.planes, strict=False)):
        down = 2 ** (fmt.log2_chroma_h - target.log2_chroma_h) if index else 1
        across = 2 ** (fmt.log2_chroma_w - target.log2_chroma_w) if index else 1
        back = wider[::down, ::across] / (((2**target.bits - 1) / 255) if is_full else 2 ** (target.bits - 8))
        np.testing.assert_allclose(back, plane, atol=0.5 if is_full else 0)
    if fmt.family == "gray":
        assert set(np.unique(wide.planes[1])) == {2 ** (target.bits - 1)}


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"codec": "libx999"}, ConfigError, "no video encoder 'libx999'"),
        ({"codec": "aac"}, ConfigError, "no video encoder 'aac'"),
        ({"options": {"nonsense": "1"}}, ConfigError, "libx264 has no option 'nonsense'"),
        ({"pix_fmt": "yuv420p16le"}, ConfigError, "does not take 'yuv420p16le'"),
        ({"preset": "slowest"}, EncodeError, "preset=slowest"),
        ({"options": {"profile": "nonsense"}}, EncodeError, "profile=nonsense"),
    ],
)
def test_wrong_settings_are_refused_before_the_first_frame(
    tmp_path: Path, how: dict[str, object], error: type[Exception], says: str
) -> None:
    info, _ = source(tmp_path)

    def frames() -> "itertools.chain[Frame]":
        pytest.fail("a frame was asked for")

    with pytest.raises(error, match=says) as caught:
        encode(
            itertools.chain.from_iterable(frames() for _ in "x"),
            tmp_path / "out",
            like=info,
            settings=EncodeSettings(**how),
        )  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_preset_of_another_encoder_is_only_warned_of(tmp_path: Path) -> None:
    info, _ = source(tmp_path, Clip(size=(64, 64)))
    plan = check_encoder(info, EncodeSettings(codec="libsvtav1", preset="slow"))
    assert "preset" not in plan.options and "'slow'" in plan.warnings[0]
    assert "crf" not in check_encoder(info, EncodeSettings(codec="ffv1")).options


def test_an_error_of_the_frames_passes_unchanged_and_leaves_no_file(tmp_path: Path) -> None:
    info, frames = source(tmp_path)
    failure = RuntimeError("from upstream")

    def broken() -> "itertools.chain[Frame]":
        yield from frames[:3]
        raise failure

    with pytest.raises(RuntimeError) as caught:
        encode(broken(), tmp_path / "out", like=info, settings=X264)
    assert caught.value is failure
    assert not (tmp_path / "out").exists()


def test_a_full_disk_and_a_missing_folder_are_told_in_one_line(tmp_path: Path) -> None:
    info, frames = source(tmp_path, Clip(noise=True, size=(320, 240)))
    with pytest.raises(OutputError, match=r"No such file or directory"):
        encode(frames, tmp_path / "nowhere" / "out", like=info, settings=X264)
    if Path("/dev/full").is_char_device():
        with pytest.raises(OutputError, match="the disk is full"):
            encode(frames, Path("/dev/full"), like=info, settings=EncodeSettings(codec="ffvhuff"))
        assert Path("/dev/full").is_char_device()


def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path) -> None:
    info, frames = source(tmp_path, Clip(noise=True, size=(320, 240)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written") as caught:
            encode(frames, tmp_path / "out", like=info, settings=FFV1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value) and os.strerror(27) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    info, _ = source(tmp_path)
    with pytest.raises(EncodeError, match="no frame"):
        encode([], tmp_path / "out", like=info, settings=X264)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "ffv1", "libsvtav1", "prores_ks", "ffvhuff"])
def test_joined_segments_have_all_frames_at_their_times(tmp_path: Path, codec: str) -> None:
    pts = tuple(itertools.accumulate([9009, *([3003] * 9), 1, 450, 12000, 77, *([3003] * 6)]))
    info, frames = source(tmp_path, Clip(size=(64, 64), time_base=CLOCK, pts=pts))
    how = EncodeSettings(codec=codec, preset=None, crf=20)
    segments = []
    for number, (start, end) in enumerate(itertools.pairwise([0, 7, 8, 11, len(pts)])):
        segments.append(tmp_path / f"segment-{number}")
        encode(frames[start:end], segments[-1], like=info, settings=how)
    join(segments, tmp_path / "joined")
    listed = listed_frames(tmp_path / "joined")
    assert [row.seconds for row in listed] == [p * CLOCK for p in pts]
    assert [row.md5 for row in listed] == [row.md5 for part in segments for row in listed_frames(part)]
    again = tmp_path / "again"
    join(segments, again)
    assert again.read_bytes() == (tmp_path / "joined").read_bytes()


def test_segments_of_other_settings_or_order_are_refused(tmp_path: Path) -> None:
    info, frames = source(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    encode(frames[:6], one, like=info, settings=X264)
    encode(frames[6:], two, like=info, settings=EncodeSettings(preset="slow"))
    with pytest.raises(OutputError, match="other settings"):
        join([one, two], tmp_path / "joined")
    encode(frames[6:], two, like=info, settings=X264)
    with pytest.raises(OutputError, match="does not follow"):
        join([two, one], tmp_path / "joined")
    two.write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be read"):
        join([one, two], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


ENCODE = """
import sys
from pathlib import Path
from gpen_video.config.schema import EncodeSettings
from gpen_video.media import decode, encode, probe
info = probe(Path(sys.argv[1]))
for codec in sys.argv[3:]:
    how = EncodeSettings(codec=codec, preset="medium")
    encode(decode(info), Path(sys.argv[2], codec), like=info, settings=how)
"""
CODECS = ("libx264", "libx265", "ffv1")


@pytest.fixture(scope="module")
def twice_encoded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of two processes with a file for each codec."""
    base = tmp_path_factory.mktemp("twice")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-c:v", "ffv1", base / "film.mkv")
    folders = base / "a", base / "b"
    # glibc fills new memory with these: code that reads what it did not write gives other bytes.
    for folder, fill in zip(folders, ("1", "170"), strict=True):
        folder.mkdir()
        command = [sys.executable, "-c", ENCODE, base / "film.mkv", folder, *CODECS]
        subprocess.run(command, check=True, env=os.environ | {"MALLOC_PERTURB_": fill})
    return folders


@pytest.mark.parametrize("codec", CODECS)
def test_equal_input_gives_equal_bytes(twice_encoded: tuple[Path, Path], codec: str) -> None:
    data, again = ((folder / codec).read_bytes() for folder in twice_encoded)
    assert data == again
    header = data.index(b"mvhd")
    assert data[header + 8 : header + 12] == bytes(4), "a date of creation was written"
