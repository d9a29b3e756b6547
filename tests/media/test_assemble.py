"""Everything else of the source: streams, chapters, tags, rotation and times in the assembled result."""

import os
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import EncodeError, OutputError, UsageError
from gpen_video.media import Carriage, assemble, decode, encode, picture_details, plan_carriage, probe
from gpen_video.media.binary import last_line
from tests.media.factories import ffmpeg, listed_frames, listed_packets

FAST = EncodeSettings(preset="ultrafast")
FFV1 = EncodeSettings(codec="ffv1")
EXACT, MILLISECOND = Fraction(0), Fraction(1, 1000)

CHAPTERS = """;FFMETADATA1
title=The Film
comment=scanned in 1999
[CHAPTER]
TIMEBASE=1/1000
START=0
END=400
title=First
[CHAPTER]
TIMEBASE=1/1000
START=400
END=1000
title=Second
"""
SUBTITLES = "1\n00:00:00,200 --> 00:00:00,800\nWords\n"


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Matroska with B-frames, two sounds, subtitles, an attachment, chapters and tags."""
    folder = tmp_path_factory.mktemp("film")
    (folder / "meta.txt").write_text(CHAPTERS)
    (folder / "words.srt").write_text(SUBTITLES)
    (folder / "note.txt").write_text("attached")
    tone = "sine=frequency={}:duration=1"
    inputs = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1"]
    inputs += ["-f", "lavfi", "-i", tone.format(440), "-f", "lavfi", "-i", tone.format(880)]
    inputs += ["-i", str(folder / "words.srt"), "-f", "ffmetadata", "-i", str(folder / "meta.txt")]
    maps = ["-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata", "4", "-map_chapters", "4"]
    codecs = ["-c:v", "libx264", "-bf", "3", "-c:a:0", "aac", "-c:a:1", "flac", "-c:s", "srt", "-vf", "setsar=16/15"]
    tags = ["-metadata:s:a:0", "language=fra", "-metadata:s:a:1", "language=deu", "-metadata:s:s:0", "language=eng"]
    tags += ["-metadata:s:a:1", "title=Commentary", "-disposition:a:1", "comment", "-disposition:s:0", "forced"]
    attached = ["-attach", str(folder / "note.txt"), "-metadata:s:t", "mimetype=text/plain"]
    path = folder / "-a film: 100% 'it' \"is\".mkv"
    ffmpeg(*inputs, *maps, *codecs, *tags, *attached, f"file:{path}")
    return path


def restore(source: Path, target: Path, how: EncodeSettings = FAST) -> Carriage:
    """All steps but restoring."""
    info = probe(source)
    carriage = plan_carriage(info, target, how)
    video = target.with_suffix(".video")
    encode(decode(info), video, like=info, settings=how)
    part = target.with_suffix(".part")
    assemble(video, info, part, carriage)
    part.replace(target)
    return carriage


def assert_times(source: Path, target: Path, carriage: Carriage, tolerance: Fraction) -> None:
    """The restored frames and the packets of each copied stream are where they were."""
    for place, carried in enumerate(carriage.streams):
        if carried.action == "restored":
            want, have = listed_frames(source, carried.source_index), listed_frames(target, place)
        elif carried.action == "copied":
            want, have = listed_packets(source, carried.source_index), listed_packets(target, place)
            assert [row.md5 for row in have] == [row.md5 for row in want]
        else:
            continue
        assert len(have) == len(want)
        for ours, theirs in zip(have, want, strict=True):
            assert abs(ours.seconds - theirs.seconds) <= tolerance


def test_matroska_to_matroska_loses_nothing(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "-out: 100% 'of' it.mkv"
    carriage = restore(film, target, FFV1)
    assert carriage.losses == ()
    assert [carried.action for carried in carriage.streams] == ["restored", *["copied"] * 4]
    assert_times(film, target, carriage, EXACT)
    with av.open(f"file:{film}") as before, av.open(f"file:{target}") as after:
        assert [s.type for s in after.streams] == ["video", "audio", "audio", "subtitle", "attachment"]
        assert [s.metadata.get("language") for s in after.streams][1:4] == ["fra", "deu", "eng"]
        assert after.streams[2].metadata["title"] == "Commentary"
        assert after.metadata["title"] == "The Film"
        names = [[c["metadata"]["title"] for c in film.chapters()] for film in (before, after)]
        assert names == [["First", "Second"]] * 2
        dispositions = [[int(s.disposition) for s in film.streams] for film in (before, after)]
        assert dispositions[0] == dispositions[1]
        assert not any(name.startswith("BPS") for name in after.streams[0].metadata)
    assert probe(target).sample_aspect_ratio == Fraction(16, 15)


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_mp4_and_mov_keep_exact_times_and_tell_what_they_cannot_hold(film: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    carriage = restore(film, target)
    assert_times(film, target, carriage, MILLISECOND)
    assert [row.seconds for row in listed_frames(target)] == [row.seconds for row in listed_frames(film)]
    assert any("subrip" in note and "mov_text" in note for note in carriage.notes)
    assert any("attachment" in loss for loss in carriage.losses)
    written = probe(target)
    assert written.chapter_count == 2
    subtitle = next(s for s in written.streams if s.kind == "subtitle")
    assert (subtitle.codec, subtitle.language) == ("mov_text", "eng")


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_rotation_and_mirroring_come_along(tmp_path: Path, turn: int, mirrored: bool, ending: str) -> None:
    plain, source, target = tmp_path / "plain.mp4", tmp_path / "turned.mp4", tmp_path / f"out.{ending}"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2", "-c:v", "libx264", plain)
    ffmpeg("-display_rotation", -turn, *(["-display_hflip"] if mirrored else []), "-i", plain, "-c", "copy", source)
    if ending == "mkv" and mirrored:
        pytest.skip("Matroska knows no mirroring; listed as a loss")
    assert probe(source).rotation == turn
    carriage = restore(source, target)
    assert carriage.losses == ()
    details = picture_details(probe(target))
    assert (details.rotation, details.mirrored) == (turn, mirrored)


def test_field_order_comes_along(tmp_path: Path) -> None:
    source = tmp_path / "fields.mkv"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=25:d=0.2",
        "-vf",
        "setfield=bff",
        "-c:v",
        "ffv1",
        "-field_order",
        "bb",
        source,
    )
    assert picture_details(probe(source)).field_order == "bt"
    carriage = restore(source, tmp_path / "out.mkv", FFV1)
    assert carriage.losses == ()
    assert picture_details(probe(tmp_path / "out.mkv")).field_order == "bt"


def test_colour_tags_reach_a_container_whose_codec_has_none(tmp_path: Path) -> None:
    source = tmp_path / "colour.mkv"
    tags = "setparams=colorspace=bt470bg:color_primaries=bt470bg:color_trc=smpte170m:range=pc"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=25:d=0.2",
        "-vf",
        f"{tags},format=yuv420p",
        "-c:v",
        "ffv1",
        "-color_range",
        "pc",
        source,
    )
    want = probe(source).colour
    assert (want.matrix, want.full_range) == ("bt470bg", True)
    restore(source, tmp_path / "out.mkv", FFV1)
    assert probe(tmp_path / "out.mkv").colour == want


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_of_any_bytes(film: Path, tmp_path: Path) -> None:
    source, target = (tmp_path / os.fsdecode(name) for name in (b"caf\xe9.mkv", b"<source> <result> \xff.mkv"))
    shutil.copy(film, source)
    restore(source, target)
    restore(film, tmp_path / "plain.mkv")
    assert target.read_bytes() == (tmp_path / "plain.mkv").read_bytes()


def test_the_same_input_gives_the_same_bytes(film: Path, tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        restore(film, tmp_path / name)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


@pytest.mark.parametrize(
    ("ending", "error", "says"),
    [
        ("webm", EncodeError, "cannot hold libx264"),
        ("avi", EncodeError, "does not keep the times"),
        ("txt", UsageError, r"\.txt is no film format"),
        ("", UsageError, "no ending"),
    ],
)
def test_unsuitable_targets_are_refused_before_work(
    film: Path, tmp_path: Path, ending: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        plan_carriage(probe(film), tmp_path / ("out" + (f".{ending}" if ending else "")), FAST)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_ffmpeg_says_is_in_the_error(film: Path, tmp_path: Path) -> None:
    info = probe(film)
    carriage = plan_carriage(info, tmp_path / "out.mkv", FAST)
    video = tmp_path / "video"
    encode(decode(info), video, like=info, settings=FAST)
    with pytest.raises(OutputError, match="No such file or directory") as caught:
        assemble(video, info, tmp_path / "nowhere" / "out.part", carriage)
    assert "\n" not in str(caught.value)


def test_the_last_line_that_means_something_is_taken() -> None:
    log = "[mp4 @ 0x55d0] Could not find tag\n[out#0 @ 0x1f] Error writing header\nConversion failed!\n\n"
    assert last_line(log) == "Error writing header"
    assert "No space" in last_line("av_interleaved_write_frame(): No space left on device\nError muxing\n")
    assert last_line("") == "ffmpeg gave no reason"


REAL = ["vfr_rotated.mp4", "video_90.mov", "sample_with_srt.mkv", "sample_with_ssa_subtitles.mkv", "nasa_13013.mp4"]
REAL += ["unordered.mov", "dolbyVision-hdr.MOV", "sample_sef_slow_motion.mp4", "sample_fragmented.mp4"]


def in_each(name: str) -> list[object]:
    """All containers for a film, of which all but the first are slow."""
    first = Path(name).suffix.lower() if name != "nasa_13013.mp4" else ".mkv"
    order = sorted([".mp4", ".mkv", ".mov"], key=lambda ending: ending != first)
    return [pytest.param(name, order[0])] + [pytest.param(name, e, marks=pytest.mark.slow) for e in order[1:]]


@pytest.mark.parametrize(("name", "ending"), [case for name in REAL for case in in_each(name)])
def test_real_films_keep_their_times(shared: Path, tmp_path: Path, name: str, ending: str) -> None:
    source, target = shared / "media" / "odd" / name, tmp_path / f"out{ending}"
    carriage = restore(source, target)
    assert_times(source, target, carriage, MILLISECOND if ending == ".mkv" or name.endswith(".mkv") else EXACT)
    if ending != ".mkv":
        assert [r.seconds for r in listed_frames(target)] == [
            r.seconds for r in listed_frames(source, probe(source).stream_index)
        ]
    before, after = probe(source), probe(target)
    assert (after.rotation, after.sample_aspect_ratio) == (before.rotation, before.sample_aspect_ratio)
