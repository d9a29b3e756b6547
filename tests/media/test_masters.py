"""FFV1 as archives keep it, by what FFmpeg's decoder reads of it; ProRes and DNxHR; sound untouched."""

import re
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import DecodeError, EncodeError
from gpen_video.media import check_encoder, decode, encode, probe
from tests.media.factories import Clip, ffmpeg, listed_frames, listed_packets, make_clip
from tests.media.restoring import restore

FFV1 = EncodeSettings(codec="ffv1", crf=None, preset=None)


def configuration(tmp_path: Path, size: tuple[int, int], how: EncodeSettings) -> dict[str, str]:
    """What FFmpeg's decoder reads in the configuration record of a film of that size (RFC 9043, 4.2)."""
    info = probe(make_clip(tmp_path / "film", Clip(size=size, pts=(0,))))
    encode(decode(info), tmp_path / "out", like=info, settings=how)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-v", "debug", "-debug", "pict"]
    command += ["-i", str(tmp_path / "out"), "-f", "null", "-"]
    report = subprocess.run(command, capture_output=True, check=True).stderr.decode()
    line = next(line for line in report.splitlines() if "global: ver" in line)
    return dict(re.findall(r"(\w+): ?(\S+?),?(?=\s|$)", line.split("global: ")[1]))


@pytest.mark.parametrize(
    ("size", "slices"),
    [((720, 576), "2x2"), ((1280, 720), "4x4"), ((1920, 1080), "4x4"), ((2048, 1556), "6x4")],
)
def test_ffv1_has_version_3_checksums_and_slices_by_size(tmp_path: Path, size: tuple[int, int], slices: str) -> None:
    found = configuration(tmp_path, size, FFV1)
    assert found["ver"] == "3.4"
    assert found["coder"] != "0"  # 0 is Golomb-Rice; the range coder is 1 or, with its own table, 2
    assert (found["slices"], found["ec"], found["intra"]) == (slices, "1", "1")


def test_what_the_user_says_of_ffv1_wins(tmp_path: Path) -> None:
    how = FFV1.model_copy(update={"options": {"slices": "9", "slicecrc": "0", "coder": "0"}})
    found = configuration(tmp_path, (640, 480), how)
    assert (found["slices"], found["ec"], found["coder"]) == ("3x3", "0", "0")


@pytest.mark.parametrize("size", [(1, 1), (16, 2), (33, 31), (40, 32)])
def test_small_pictures_are_no_reason_to_fail(tmp_path: Path, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "film", Clip(size=size, pix_fmt="yuv444p", noise=True))
    restore(source, tmp_path / "out.mkv", FFV1)
    assert [row.md5 for row in listed_frames(tmp_path / "out.mkv")] == [row.md5 for row in listed_frames(source)]


@pytest.mark.parametrize("size", [(719, 480), (131, 99), (132, 99), (131, 100)])
def test_odd_sizes_keep_their_pixel_format(tmp_path: Path, size: tuple[int, int]) -> None:
    info = probe(make_clip(tmp_path / "film", Clip(size=size, pts=(0,))))
    plan = check_encoder(info, FFV1)
    assert plan.pix_fmt == "yuv420p" and plan.warnings == ()
    assert (plan.options["level"], plan.options["slicecrc"]) == ("3", "1")


def test_a_bit_that_flips_in_a_master_is_found(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film", Clip(size=(96, 64), noise=True))
    master = tmp_path / "out.mkv"
    restore(source, master, FFV1)
    with av.open(str(master)) as film:
        packet = next(packet for index, packet in enumerate(film.demux(video=0)) if index == 5)
    data = bytearray(master.read_bytes())
    data[data.index(bytes(packet)) + packet.size // 3] ^= 0x10
    master.write_bytes(data)
    with pytest.raises(DecodeError, match=r"frame 5 is damaged: its checksum is wrong \(frames 0 to 4 are good\)"):
        list(decode(probe(master)))


@pytest.mark.parametrize("sound", ["pcm_s24le", "pcm_s16le", "flac"])
def test_sound_of_a_master_is_the_sources_bit_for_bit(tmp_path: Path, sound: str) -> None:
    source, target = tmp_path / "film.mkv", tmp_path / "out.mkv"
    inputs = ("-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.4", "-f", "lavfi", "-i", "anoisesrc=d=0.4:r=48000")
    ffmpeg(*inputs, "-c:v", "libx264", "-c:a", sound, source)
    assert restore(source, target, FFV1).losses == ()
    assert listed_packets(target, 1) == listed_packets(source, 1)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "profile"),
    [
        ("prores_ks", "yuv420p", "HQ"),
        ("prores_ks", "yuv422p10le", "HQ"),
        ("prores_ks", "yuva444p10le", "4444"),
        ("dnxhd", "yuv422p", "DNXHR HQ"),
        ("dnxhd", "yuv422p10le", "DNXHR HQX"),
        ("dnxhd", "yuv444p10le", "DNXHR 444"),
        ("dnxhd", "gbrp10le", "DNXHR 444"),
    ],
)
def test_profiles_follow_chroma_and_depth(tmp_path: Path, codec: str, pix_fmt: str, profile: str) -> None:
    info = probe(make_clip(tmp_path / "film", Clip(size=(256, 128), pix_fmt=pix_fmt, pts=range(2))))
    how = EncodeSettings(codec=codec)
    encode(decode(info), tmp_path / "out", like=info, settings=how)
    with av.open(str(tmp_path / "out")) as film:
        assert film.streams.video[0].profile == profile
    assert check_encoder(info, how).losses == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "DNxHR needs at least 256x120"), ({"profile": "dnxhd", "b": "120M"}, "DNxHD knows only some sizes")],
)
def test_what_dnxhd_does_not_take_is_said_in_one_line(tmp_path: Path, options: dict[str, str], words: str) -> None:
    info = probe(make_clip(tmp_path / "film", Clip(pix_fmt="yuv422p")))
    with pytest.raises(EncodeError, match=words) as caught:
        check_encoder(info, EncodeSettings(codec="dnxhd", options=options))
    assert "\n" not in str(caught.value)
