"""What is known of a film, and what is said of files that are none."""

from fractions import Fraction
from pathlib import Path

import pytest

import gpen_video.media
from gpen_video.errors import ProbeError
from gpen_video.media import picture_details, probe
from tests.media.factories import ffmpeg


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (None, "missing.mp4", "there is no such file"),
        (b"", "empty.mp4", "is empty"),
        (b"no film at all, just words\n" * 50, "words.mp4", "is not a film"),
        (b"plain text\n" * 50, "words.txt", "is a text file|is not a film"),
        (bytes(5000), "zeros.mkv", "is not a film"),
    ],
)
def test_what_is_no_film_is_refused_in_one_line(tmp_path: Path, content: bytes | None, name: str, says: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProbeError, match=says) as caught:
        probe(path)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_folder_and_a_sound_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="is a folder"):
        probe(tmp_path)
    sound = tmp_path / "sound.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", sound)
    with pytest.raises(ProbeError, match="holds no video stream, only audio"):
        probe(sound)


def test_pictures_of_floating_point_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x32", "-frames:v", "1", "-pix_fmt", "gbrpf32le", "-c:v", "exr", path)
    with pytest.raises(ProbeError, match="gbrpf32le is not supported"):
        probe(path)


def test_all_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "film: 'a'.mkv"
    filters = "setsar=12/11,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    video = ["-vf", filters, "-pix_fmt", "yuv422p10le", "-c:v", "libx264", "-chroma_sample_location", "topleft"]
    inputs = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=24000/1001:d=1", "-f", "lavfi", "-i", "sine=d=1"]
    ffmpeg(*inputs, *video, "-c:a", "flac", "-metadata:s:a", "language=swe", f"file:{path}")
    info = probe(path)
    assert (info.width, info.height, info.codec, info.format.name) == (96, 64, "h264", "yuv422p10le")
    assert (info.format.bits, info.format.log2_chroma_w, info.format.log2_chroma_h) == (10, 1, 0)
    assert (info.time_base, info.average_frame_rate) == (Fraction(1, 1000), Fraction(24000, 1001))
    assert (info.start_pts, info.rotation, info.sample_aspect_ratio) == (0, 0, Fraction(12, 11))
    assert (info.colour.matrix, info.colour.full_range, info.colour.chroma_location) == ("bt709", False, "topleft")
    assert [(s.kind, s.codec, s.language) for s in info.streams] == [("video", "h264", None), ("audio", "flac", "swe")]
    assert info.streams[1].detail == "1 channels, 44100 Hz"
    assert picture_details(info).embedded == ()


def test_an_attached_picture_is_not_the_film(tmp_path: Path) -> None:
    cover, film = tmp_path / "cover.png", tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", cover)
    inputs = ["-i", cover, "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2"]
    ffmpeg(
        *inputs,
        "-map",
        "0",
        "-map",
        "1",
        "-c:v:0",
        "copy",
        "-c:v:1",
        "libx264",
        "-disposition:v:0",
        "attached_pic",
        film,
    )
    info = probe(film)
    assert (info.width, info.codec) == (96, "h264")
    assert any("attached picture" in stream.detail for stream in info.streams)


def test_the_default_of_two_videos_is_the_film(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    inputs = [part for side in (32, 64) for part in ("-f", "lavfi", "-i", f"testsrc2=s={side}x{side}:r=25:d=0.2")]
    ffmpeg(*inputs, "-map", "0", "-map", "1", "-disposition:v:0", "0", "-disposition:v:1", "default", film)
    assert probe(film).width == 64


def test_exports_are_sorted_and_there() -> None:
    exported = gpen_video.media.__all__
    assert exported == sorted(exported, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert all(hasattr(gpen_video.media, name) for name in exported)
