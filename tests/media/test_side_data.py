"""HDR metadata, captions, active format, timecode and contradictory colour tags: read back by FFmpeg's own programs."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import OutputError
from gpen_video.media import decode, encode, picture_details, plan_carriage, probe
from gpen_video.media.decode import decode_side_data
from gpen_video.media.messages import with_messages
from gpen_video.media.side_data import ContentLight, HdrMetadata, MasteringDisplay
from tests.media.factories import Clip, ffmpeg, make_clip
from tests.media.restoring import restore

FAST = EncodeSettings(preset="ultrafast")
HDR = HdrMetadata(
    MasteringDisplay((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450), 10_000_000, 50),
    ContentLight(1000, 400),
)
IN_X264 = "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):cll=1000,400"
PQ = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084,format=yuv420p10le"


@pytest.fixture(scope="session")
def hdr_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hdr") / "film.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=s=256x144:r=25:d=0.2", "-vf", PQ)
    ffmpeg(*source, "-c:v", "libx264", "-preset", "ultrafast", "-x264-params", IN_X264, path)
    return path


def shown(path: Path) -> str:
    """What FFmpeg's filter ``showinfo`` says of the first picture."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-v", "info", "-i", str(path), "-frames:v", "1"]
    done = subprocess.run([*command, "-vf", "showinfo", "-f", "null", "-"], capture_output=True, check=True)
    return done.stderr.decode()


@pytest.mark.parametrize(
    ("codec", "ending"),
    [
        ("libx264", "mkv"),
        ("libx264", "ts"),
        ("libx265", "mp4"),
        ("ffv1", "mkv"),
        ("prores_ks", "mov"),
        ("dnxhd", "mov"),
    ],
)
def test_hdr_metadata_come_along(hdr_film: Path, tmp_path: Path, codec: str, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    carriage = restore(hdr_film, target, EncodeSettings(codec=codec, preset="ultrafast"))
    assert not any("HDR" in loss for loss in carriage.losses)
    assert picture_details(probe(target)).hdr == picture_details(probe(hdr_film)).hdr == HDR
    told = shown(target)
    assert re.search(r"r\(0\.68\d*,\s*0\.32\d*\)|red.*0\.68", told, re.IGNORECASE), told
    assert "MaxCLL=1000" in told and "MaxFALL=400" in told


def test_the_stream_itself_holds_them_where_the_encoder_can_write_them(hdr_film: Path, tmp_path: Path) -> None:
    restore(hdr_film, tmp_path / "out.mp4", FAST)
    ffmpeg("-i", tmp_path / "out.mp4", "-c", "copy", tmp_path / "bare.h264")  # no container that could say it
    assert "MaxCLL=1000" in shown(tmp_path / "bare.h264")


def test_what_avi_cannot_hold_is_listed_and_refused_if_strict(hdr_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.avi"
    how = EncodeSettings(codec="ffv1")
    losses = plan_carriage(probe(hdr_film), target, how).losses
    assert [loss for loss in losses if "mastering display" in loss]
    with pytest.raises(OutputError, match=r"encode\.strict is set: .*mastering display.*; .*light level") as caught:
        plan_carriage(probe(hdr_film), target, how.model_copy(update={"strict": True}))
    assert "\n" not in str(caught.value)


def test_strict_asks_the_encoder_too(hdr_film: Path, tmp_path: Path) -> None:
    coarse = EncodeSettings(codec="ffv1", pix_fmt="yuv420p", strict=True)
    with pytest.raises(OutputError, match="10 bits become 8"):
        plan_carriage(probe(hdr_film), tmp_path / "out.mkv", coarse)
    plan_carriage(probe(hdr_film), tmp_path / "out.mkv", EncodeSettings(codec="ffv1", strict=True))


def test_a_real_film_with_boxes_of_hdr_loses_none(shared: Path, tmp_path: Path) -> None:
    source = shared / "media" / "odd" / "sample_with_colr_mdcv_and_clli.mp4"
    details = picture_details(probe(source))
    assert details.hdr.light == ContentLight(1100, 180)  # ffprobe -show_entries stream_side_data
    assert details.hdr.mastering is not None and details.hdr.mastering.red_xy == (33899, 16099)
    assert plan_carriage(probe(source), tmp_path / "out.mkv", FAST).losses == ()


def test_dolby_vision_is_lost_by_name(shared: Path, tmp_path: Path) -> None:
    info = probe(shared / "media" / "odd" / "dolbyVision-hdr.MOV")
    losses = plan_carriage(info, tmp_path / "out.mov", FAST).losses
    assert "Dolby Vision metadata: it does not survive encoding" in losses
    assert not any("ambient" in loss for loss in losses)


# Captions: one line of CEA-608, pop-on, two characters a frame.


def _odd_parity(byte: int) -> int:
    return byte | (0 if byte.bit_count() % 2 else 0x80)


def _captions(text: str) -> list[bytes]:
    """Load, erase, row 15; the text; show. As A/53 constructs of field 1."""
    pairs = [(0x14, 0x20), (0x14, 0x2E), (0x14, 0x60), *zip(*[iter(text.encode())] * 2, strict=True), (0x14, 0x2F)]
    return [bytes((0xFC, *map(_odd_parity, pair))) for pair in pairs]


WORDS = "FACES, WHOLE"
PADDING = b"\xfc\x80\x80"


def make_captioned(target: Path, codec: str) -> Path:
    """A film with captions and active format, put there by our own writer; FFmpeg's reader has to find them."""
    info = probe(make_clip(target.with_suffix(".plain"), Clip(container="avi", pts=range(40))))
    frames = list(decode(info))
    lines = [*_captions(WORDS), *[PADDING] * len(frames)]
    data = [(frame.time, {"A53_CC": line, "AFD": b"\x0a"}) for frame, line in zip(frames, lines, strict=False)]
    encoding = sys.modules["gpen_video.media.encode"]
    details = encoding.picture_details
    with pytest.MonkeyPatch.context() as patch:  # the plain film has no captions, so that none would be looked for
        patch.setattr(encoding, "picture_details", lambda info: replace(details(info), has_captions=True))
        encode(iter(frames), target, like=info, settings=EncodeSettings(codec=codec, preset="medium"), side_data=data)
    return target


@pytest.fixture(scope="session")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H.264 with B-frames."""
    return make_captioned(tmp_path_factory.mktemp("captions") / "film.mov", "libx264")


def subtitle(path: Path) -> str:
    """The captions of the pictures as FFmpeg reads them."""
    text = ffmpeg("-f", "lavfi", "-i", f"movie={path}[out0+subcc]", "-map", "0:s", "-f", "srt", "-").decode()
    return re.sub(r"<[^>]*>|\{[^}]*\}", "", text)


@pytest.mark.parametrize(("codec", "ending"), [("libx264", "mp4"), ("libx264", "ts"), ("libx265", "mkv")])
def test_captions_come_along(captioned: Path, tmp_path: Path, codec: str, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    carriage = restore(captioned, target, EncodeSettings(codec=codec, preset="medium"))
    assert carriage.losses == ()
    assert WORDS in subtitle(captioned) and subtitle(target) == subtitle(captioned)
    before, after = ([data for _, data in decode_side_data(probe(path))] for path in (captioned, target))
    assert [data["A53_CC"] for data in after] == [data["A53_CC"] for data in before]
    assert {data["AFD"] for data in after} == {b"\x0a"}


def test_captions_go_into_mpeg2(tmp_path: Path) -> None:
    assert WORDS in subtitle(make_captioned(tmp_path / "film.mov", "mpeg2video"))


def test_captions_are_lost_by_name_where_pictures_have_no_place_for_them(captioned: Path, tmp_path: Path) -> None:
    losses = plan_carriage(probe(captioned), tmp_path / "out.mkv", EncodeSettings(codec="ffv1")).losses
    assert [loss.split(":")[0] for loss in losses] == [
        "closed captions embedded in the pictures (CEA-608/708)",
        "the active format description",
    ]


@given(st.binary(min_size=1, max_size=600), st.sampled_from(["h264", "hevc"]))
def test_messages_are_whole_and_hide_no_start_code(message: bytes, codec: str) -> None:
    head, begin = (b"\x06", b"\x65") if codec == "h264" else (b"\x4e\x01", b"\x26\x01")
    picture = b"\x00\x00\x00\x01" + head + b"\x05\x01\x00\x80" + b"\x00\x00\x01" + begin + b"slice"
    told = with_messages(picture, codec, [message])
    units = re.split(rb"\x00\x00\x00?\x01", told)  # any two zeros and a one begin a unit
    assert len(units) == 4 and units[3] == begin + b"slice"
    raw = re.sub(rb"\x00\x00\x03(?=[\x00-\x03])", b"\x00\x00", units[2])
    size = len(message)
    assert raw == head + b"\x04" + b"\xff" * (size // 255) + bytes((size % 255,)) + message + b"\x80"


@pytest.mark.parametrize("ending", ["mkv", "mov"])
def test_timecode_of_the_pictures_becomes_a_tag(tmp_path: Path, ending: str) -> None:
    source, target = tmp_path / "film.mpg", tmp_path / f"out.{ending}"
    pattern = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4")
    ffmpeg(*pattern, "-c:v", "mpeg2video", "-timecode", "01:02:03:04", "-f", "mpeg", source)
    assert picture_details(probe(source)).timecode == "01:02:03:04"
    carriage = restore(source, target, FAST)
    assert carriage.losses == ()
    with av.open(str(target)) as result:
        assert {value for name, value in result.streams[0].metadata.items() if name.lower() == "timecode"} == {
            "01:02:03:04"
        }


def test_mpeg_without_timecode_has_none(shared: Path) -> None:
    assert picture_details(probe(shared / "media" / "faces" / "grid_bbaf2n.mpg")).timecode is None


# Colour tags


def _tagged(path: Path, *, pictures: str, container: tuple[str, ...] = (), pix_fmt: str = "yuv420p") -> Path:
    plain = path.with_name("pictures.h264.mkv")
    source = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2", "-vf", f"setparams={pictures},format={pix_fmt}")
    ffmpeg(*source, "-c:v", "libx264", plain)
    ffmpeg("-i", plain, "-c", "copy", *container, path)
    return path


BT709 = "colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"


def test_contradictory_tags_are_told_and_both_kept(tmp_path: Path) -> None:
    container = ("-colorspace", "5", "-color_primaries", "5", "-color_trc", "6", "-color_range", "2")
    source, target = _tagged(tmp_path / "in.mkv", pictures=BT709, container=container), tmp_path / "out.mkv"
    carriage = restore(source, target, FAST)
    told = [note for note in carriage.notes if "contradict" in note]
    assert [re.search(r": (\w+ \w+) in the pictures, (\w+) in the container", note)[1] for note in told] == [
        "matrix bt709",
        "range limited",
        "primaries bt709",
    ]  # bt709 and smpte170m are the same curve by two names
    for path in (source, target):
        details = picture_details(probe(path))
        assert (details.container_colour.matrix, details.container_colour.full_range) == ("bt470bg", True)
        assert probe(path).colour.matrix == "bt709"


@pytest.mark.parametrize(
    ("pictures", "pix_fmt", "words"),
    [
        ("colorspace=bt2020nc:color_primaries=smpte170m", "yuv420p10le", ["matrix is tagged bt2020nc", "smpte170m"]),
        ("colorspace=bt709:color_primaries=bt2020", "yuv420p", ["primaries are tagged bt2020", "bt709"]),
        ("color_trc=smpte2084:color_primaries=bt709", "yuv420p10le", ["smpte2084 (PQ)", "primaries bt709"]),
        ("color_trc=arib-std-b67:color_primaries=bt2020", "yuv420p", ["arib-std-b67 (HLG)", "8 bits"]),
    ],
)
def test_wrong_tags_are_told(tmp_path: Path, pictures: str, pix_fmt: str, words: list[str]) -> None:
    source = _tagged(tmp_path / "in.mkv", pictures=pictures, pix_fmt=pix_fmt)
    (note,) = (note for note in plan_carriage(probe(source), tmp_path / "out.mkv", FAST).notes if "wrong" in note)
    assert all(word in note for word in words) and "kept as they are" in note


def test_the_matrix_of_rgb_on_yuv_is_told_and_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.1,format=yuv420p", "-c:v", "ffv1", "-colorspace", "0", source)
    carriage = restore(source, target, EncodeSettings(codec="ffv1"))
    assert any("tagged gbr (RGB), but the pictures are yuv420p" in note for note in carriage.notes)
    assert picture_details(probe(target)).container_colour.matrix == "gbr"


def test_tags_that_agree_are_not_spoken_of(tmp_path: Path, hdr_film: Path) -> None:
    for source in (_tagged(tmp_path / "in.mp4", pictures=BT709), hdr_film):
        assert plan_carriage(probe(source), tmp_path / "out.mp4", FAST).notes == ()


def test_a_tilt_beyond_quarter_turns_is_lost_by_name(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mp4", Clip(codec="libx264", container="mp4"))
    ffmpeg("-display_rotation", "-97.5", "-i", plain, "-c", "copy", tmp_path / "in.mp4")
    details = picture_details(probe(tmp_path / "in.mp4"))
    assert details.rotation == 90
    assert details.embedded == ("a rotation by +7.5 degrees beyond 90",)
