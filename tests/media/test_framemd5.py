"""Checksums of frames, as FFmpeg's own program lists them."""

from fractions import Fraction
from pathlib import Path

import pytest

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import InputError, OutputError, ProbeError
from gpen_video.media import decode, probe
from gpen_video.media.framemd5 import write_framemd5
from tests.media.factories import Clip, ffmpeg, make_clip, picture_md5
from tests.media.restoring import restore


def rows(sidecar: Path, stream: int = 0) -> list[list[str]]:
    lines = sidecar.read_text().splitlines()
    cells = [[cell.strip() for cell in line.split(",")] for line in lines if not line.startswith("#")]
    return [row for row in cells if row[0] == str(stream)]


def test_every_picture_is_listed_with_its_own_time(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film", Clip(pts=(3, 4, 7, 12), noise=True, pix_fmt="yuv422p10le"))
    write_framemd5(film, tmp_path / "film.framemd5")
    head = (tmp_path / "film.framemd5").read_text().splitlines()
    assert head[:3] == ["#format: frame checksums", "#version: 2", "#hash: MD5"]
    tick = next(Fraction(line.split()[-1]) for line in head if line.startswith("#tb 0"))
    ours = [(frame.time.seconds, picture_md5(frame.picture)) for frame in decode(probe(film))]
    assert [(int(row[2]) * tick, row[5]) for row in rows(tmp_path / "film.framemd5")] == ours


def test_a_lossless_copy_has_the_same_sums(tmp_path: Path) -> None:
    source, target = tmp_path / "film.mov", tmp_path / "out.mkv"
    inputs = ("-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.4", "-f", "lavfi", "-i", "anoisesrc=d=0.4:r=48000")
    ffmpeg(*inputs, "-c:v", "libx264", "-c:a", "pcm_s24le", source)
    restore(source, target, EncodeSettings(codec="ffv1"))
    for film in (source, target):
        write_framemd5(film, tmp_path / f"{film.name}.framemd5")
    before, after = (rows(tmp_path / f"{film.name}.framemd5") for film in (source, target))
    assert len(before) == 10 and [row[4:] for row in after] == [row[4:] for row in before]
    assert "#codec_id 1: pcm_s32le" in (tmp_path / "out.mkv.framemd5").read_text()  # 24 bits lose none


def test_it_appears_whole_or_not_at_all(tmp_path: Path, shared: Path) -> None:
    sidecar = tmp_path / "film.framemd5"
    with pytest.raises(InputError, match=r"corrupted\.mp4: no checksums") as caught:
        write_framemd5(shared / "media" / "odd" / "corrupted.mp4", sidecar)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ProbeError, match="no such file"):
        write_framemd5(tmp_path / "nothing.mkv", sidecar)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    film, sidecar = make_clip(tmp_path / "film"), tmp_path / "film.framemd5"
    sidecar.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        write_framemd5(film, sidecar)
    assert sidecar.read_text() == "mine"
    write_framemd5(film, sidecar, overwrite=True)
    assert len(rows(sidecar)) == 12
    with pytest.raises(OutputError, match="cannot be written"):
        write_framemd5(film, tmp_path / "nowhere" / "film.framemd5")
