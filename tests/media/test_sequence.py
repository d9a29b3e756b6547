"""Image sequences in and out: numbers, rates, timecode, headers; whole or not at all."""

import hashlib
import shutil
import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import DecodeError, OutputError, ProbeError, UsageError
from gpen_video.media import decode, picture_details, plan_carriage, probe, staged_output
from gpen_video.media.image_headers import DpxHeader, exact_rate
from gpen_video.media.sequence import find_sequence
from gpen_video.media.timecode import timecode_after
from tests.media.factories import Clip, ffmpeg, make_clip, picture_md5
from tests.media.restoring import restore

ANY = EncodeSettings()
FFV1 = EncodeSettings(codec="ffv1")
NTSC = "24000/1001"


def sums(path: Path, rate: str | None = None) -> list[str]:
    return [picture_md5(frame.picture) for frame in decode(probe(path, rate))]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def film(folder: Path, pix_fmt: str = "gbrp10le") -> Path:
    """Six frames of noise at 23.976 with timecode, without sound."""
    plain = make_clip(folder / "noise.nut", Clip(pix_fmt=pix_fmt, noise=True, pts=range(6)))
    ffmpeg("-r", NTSC, "-i", plain, "-c", "copy", "-metadata", "timecode=01:00:59:22", folder / "film.mkv")
    return folder / "film.mkv"


def scan(folder: Path, ending: str = "dpx", first: int = 86_400) -> Path:
    """The same as images, made by FFmpeg itself."""
    folder.mkdir()
    plain = make_clip(folder.parent / "noise.nut", Clip("rawvideo", pix_fmt="rgb24", noise=True, pts=range(6)))
    ffmpeg("-i", plain, "-start_number", str(first), "-fps_mode", "passthrough", folder / f"scan_%07d.{ending}")
    return folder


@pytest.mark.parametrize(
    ("ending", "pix_fmt"),
    [
        ("dpx", "gbrp10le"),
        ("dpx", "gbrp12le"),
        ("png", "rgb48le"),
        ("png", "gray"),
        ("tif", "rgb48le"),
        ("tiff", "rgb24"),
    ],
)
def test_a_film_becomes_images_and_a_film_again(tmp_path: Path, ending: str, pix_fmt: str) -> None:
    codec = "rawvideo" if pix_fmt.startswith("rgb") else "ffv1"
    source = make_clip(tmp_path / "film.nut", Clip(codec, pix_fmt=pix_fmt, noise=True, pts=range(5)))
    images = tmp_path / "100% images" / f"a%b_%04d.{ending}"
    restore(source, images, ANY)
    assert names(images.parent) == [f"a%b_{number:04d}.{ending}" for number in range(1, 6)]
    assert sums(images, "25") == sums(source)
    restore(images.parent, tmp_path / "again.mkv", FFV1, "25")
    assert sums(tmp_path / "again.mkv") == sums(source)
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_dpx_keeps_rate_and_timecode_of_a_film(tmp_path: Path) -> None:
    source, images = film(tmp_path), tmp_path / "out" / "scan_%06d.dpx"
    carriage = restore(source, images, ANY)
    assert carriage.losses == ()
    info = probe(images)
    assert (info.average_frame_rate, info.time_base) == (Fraction(24000, 1001), Fraction(1001, 24000))
    assert sums(images) == sums(source)
    for number, timecode in ((1, "01005922"), (2, "01005923"), (3, "01010000")):
        data = (images.parent / f"scan_{number:06d}.dpx").read_bytes()
        order = ">" if data[:4] == b"SDPX" else "<"
        assert f"{struct.unpack_from(order + 'I', data, 1920)[0]:08x}" == timecode
        assert struct.unpack_from(order + "f", data, 1940)[0] == pytest.approx(24000 / 1001)
        assert struct.unpack_from(order + "I", data, 16)[0] == len(data)
    frame = next(av.open(str(images.parent / "scan_000001.dpx")).decode(video=0))  # FFmpeg's own reading
    assert frame.metadata["timecode"] == "01:00:59:22"
    restore(images, tmp_path / "again.mov", FFV1.model_copy(update={"codec": "prores_ks"}))
    with av.open(str(tmp_path / "again.mov")) as again:
        assert again.streams[0].metadata["timecode"] == "01:00:59:22"


def test_images_to_images_keep_numbers_names_and_headers(tmp_path: Path) -> None:
    source = scan(tmp_path / "in")
    for place, path in enumerate(sorted(source.iterdir())):
        data = bytearray(path.read_bytes())
        data[160:168] = b"Archive\0"  # creator
        order = ">" if data[:4] == b"SDPX" else "<"
        samples = data[struct.unpack_from(order + "I", data, 4)[0] :]
        head = data[:1664].ljust(2048, b"\0")
        struct.pack_into(order + "I", head, 4, 2048)
        struct.pack_into(order + "I", head, 808, 2048)
        head[1664:1712] = b"KEYCODE-".ljust(48, b"7")
        struct.pack_into(order + "f", head, 1724, 18.0)
        struct.pack_into(order + "I", head, 1920, 0x10000000 + place)
        path.write_bytes(head + samples)
    target = tmp_path / "out"
    carriage = restore(source, target, ANY)
    assert carriage.losses == ()
    assert names(target) == names(source)
    assert sums(target) == sums(source)
    assert probe(target).average_frame_rate == 18
    for name in names(source):
        before, after = DpxHeader.of(source / name), DpxHeader.of(target / name)
        assert before is not None and after is not None
        assert after.timecode == before.timecode
        assert after.data[160:168] == b"Archive\0" and after.data[1664:1712] == before.data[1664:1712]
    assert picture_details(probe(target)).timecode == "10:00:00:00"


def test_folder_pattern_and_first_file_are_the_same_source(tmp_path: Path) -> None:
    folder = scan(tmp_path / "in", "png")
    asked = (folder, folder / "scan_%07d.png", folder / "scan_0086400.png")
    assert {probe(path, NTSC).path for path in asked} == {folder / "scan_%07d.png"}
    info = probe(folder, NTSC)
    assert (info.frame_count_from_header, info.average_frame_rate) == (6, Fraction(24000, 1001))
    assert [frame.time.pts for frame in decode(info)] == list(range(6))
    with pytest.raises(ProbeError, match=r"not the first image of its sequence, scan_0086400\.png is"):
        probe(folder / "scan_0086402.png", NTSC)


def test_a_single_image_is_a_film_of_one_frame(tmp_path: Path) -> None:
    folder = scan(tmp_path / "in", "png")
    shutil.copy(folder / "scan_0086400.png", tmp_path / "still_1.png")
    assert find_sequence(tmp_path / "still_1.png") is None
    assert len(sums(tmp_path / "still_1.png")) == 1


def test_bad_sequences_are_refused_in_one_line(tmp_path: Path) -> None:
    folder = scan(tmp_path / "in", "png")

    def refused(words: str, path: Path = folder, rate: str | None = "24") -> None:
        with pytest.raises((ProbeError, UsageError), match=words) as caught:
            probe(path, rate)
        assert "\n" not in str(caught.value)

    refused("states no frame rate; set media.frame_rate", rate=None)
    refused("media.frame_rate: '24/0' is no frame rate", rate="24/0")
    refused("there are no such images", folder / "other_%04d.png")
    refused("one number", folder / "scan_%04d_%02d.png")
    refused("there is no folder", tmp_path / "nowhere" / "scan_%04d.png")
    (folder / "scan_0086403.png").rename(tmp_path / "aside.png")
    refused(r"image scan_0086403\.png is missing between 86400 and 86405")
    ffmpeg("-f", "lavfi", "-i", "color=s=32x16", "-frames:v", "1", folder / "scan_0086403.png")
    refused(r"scan_0086403\.png is 32x16, the images before it are 64x48")
    (folder / "scan_0086403.png").write_bytes(b"")
    refused(r"scan_0086403\.png is empty")
    (folder / "other_1.png").write_bytes(b"")
    refused("holds several image sequences")
    (tmp_path / "empty").mkdir()
    refused("is a folder without numbered", tmp_path / "empty")


@pytest.mark.parametrize("ending", ["dpx", "png", "tif"])
def test_a_cut_off_image_is_damage(tmp_path: Path, ending: str) -> None:
    folder = scan(tmp_path / "in", ending)
    path = folder / f"scan_0086404.{ending}"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DecodeError, match=r"frame 4 .*\(frames 0 to 3 are good\)"):
        sums(folder, "24")


def test_what_images_cannot_hold_is_listed(tmp_path: Path) -> None:
    source = tmp_path / "film.mkv"
    inputs = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=0.5", "-f", "lavfi", "-i", "sine=d=0.5")
    uneven = ("-vf", "select='not(eq(n,3))',format=rgb24", "-fps_mode", "vfr", "-metadata", "title=The Film")
    ffmpeg(*inputs, *uneven, "-c:v", "ffv1", "-pix_fmt", "bgr0", "-c:a", "flac", "-timecode", "01:00:00:00", source)
    how = ANY.model_copy(update={"options": {"tune": "grain"}})
    carriage = plan_carriage(probe(source), tmp_path / "out" / "%05d.png", how)
    text = "\n".join(carriage.losses)
    for words in ("audio stream 1 (flac)", "tag 'title'", "timecode 01:00:00:00", "frame rate", "own times"):
        assert words in text
    assert any("options for libx264 are not used" in note for note in carriage.notes)
    assert (carriage.settings.codec, carriage.settings.options) == ("png", {})
    with pytest.raises(OutputError, match=r"encode\.strict"):
        plan_carriage(probe(source), tmp_path / "out" / "%05d.png", how.model_copy(update={"strict": True}))


def test_images_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    source, target = scan(tmp_path / "in", "png"), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), staged_output(target, overwrite=False, source=source) as staged:
        (staged.part / "scan_0086400.png").write_bytes(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["in", "noise.nut"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    source, target = scan(tmp_path / "in", "png"), tmp_path / "out"
    target.mkdir()
    restore(source, target, ANY, "24")  # an empty folder is taken
    with pytest.raises(OutputError, match="is not empty"):
        restore(source, target, ANY, "24")
    with pytest.raises(UsageError, match="holds the source itself"):
        restore(source, source / "scan_%07d.png", ANY, "24")
    old = hashlib.md5((target / "scan_0086400.png").read_bytes()).hexdigest()
    with staged_output(target, overwrite=True, source=source) as staged:
        (staged.part / "scan_0086400.png").write_bytes(b"new")
        assert hashlib.md5((target / "scan_0086400.png").read_bytes()).hexdigest() == old
    assert names(target) == ["scan_0086400.png"]
    (target / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds notes\.txt, which is not of this image sequence"):
        restore_over(source, target)
    assert names(tmp_path) == ["in", "noise.nut", "out"]


def restore_over(source: Path, target: Path) -> None:
    with staged_output(target, overwrite=True, source=source):
        pytest.fail("work began")


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (23.976, "24000/1001"),
        (24000 / 1001, "24000/1001"),
        (24, "24"),
        (29.97, "30000/1001"),
        (18, "18"),
    ],
)
def test_rates_of_headers_are_those_of_film_and_television(rate: float, exact: str) -> None:
    assert exact_rate(rate) == Fraction(exact)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 23), st.integers(0, 10**6))
def test_timecode_counts_frames(hours: int, minutes: int, seconds: int, place: int, frames: int) -> None:
    start = f"{hours:02}:{minutes:02}:{seconds:02}:{place:02}"
    later = timecode_after(start, frames, Fraction(24000, 1001))
    total = (((hours * 60 + minutes) * 60 + seconds) * 24 + place + frames) % (24 * 60 * 60 * 24)
    assert later == f"{total // 86400:02}:{total // 1440 % 60:02}:{total // 24 % 60:02}:{total % 24:02}"


@pytest.mark.parametrize(
    ("start", "frames", "later"),
    [
        ("00:00:59;29", 1, "00:01:00;02"),
        ("00:09:59;29", 1, "00:10:00;00"),
        ("00:00:00;00", 17982, "00:10:00;00"),
        ("00:00:00;00", 107892, "01:00:00;00"),  # SMPTE ST 12-1: an hour has 108 numbers fewer
        ("01:02:03;04", 0, "01:02:03;04"),
        ("23:59:59;29", 1, "00:00:00;00"),
        ("00:00:00;00", 1800, "00:01:00;02"),
    ],
)
def test_dropped_numbers_are_skipped(start: str, frames: int, later: str) -> None:
    assert timecode_after(start, frames, Fraction(30000, 1001)) == later
