"""`verify` finds planted faults, one kind a test, and finds none where there is none."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from gpen_video.config.schema import EncodeSettings
from gpen_video.media import probe
from gpen_video.media.lossless import is_lossless
from gpen_video.media.packets import read_contents
from gpen_video.pipeline.verification import Verification
from gpen_video.pipeline.verify import verify
from gpen_video.pipeline.verify_frames import in_step
from gpen_video.report import Column, Setting, read_record, write_record
from gpen_video.types import Frame, Timestamp
from tests.faces.scenes import gray_frame
from tests.media.factories import listed_packets
from tests.pipeline.treated_films import (
    ALL,
    FACE_FRAMES,
    FFV1,
    FRAMES,
    PRORES,
    X264,
    X264_LOSSLESS,
    Treated,
    ffmpeg,
    make_source,
    remuxed,
    rewritten,
    spoilt,
    treat,
    with_flipped_sound,
    with_frame_dropped,
    with_sample_changed,
    with_time_shifted,
)

HOW = MappingProxyType({"mkv": ("ffv1", FFV1), "mov": ("libx264", X264_LOSSLESS)})
"""The source's codec, and how the result is encoded; MP4 is written by what writes MOV."""


@pytest.fixture(scope="module", params=["mkv", "mov"])
def treated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Treated:
    """A film and its correct result in one container."""
    folder = tmp_path_factory.mktemp(request.param)
    codec, how = HOW[request.param]
    return treat(make_source(folder / f"source.{request.param}", codec=codec), folder / f"result.{request.param}", how)


def judge(treated: Treated) -> Verification:
    return verify(treated.source, treated.result, treated.record)


def failed(verification: Verification) -> dict[str, str]:
    assert not verification.passed
    texts: dict[str, str] = {}
    for finding in verification.failures:
        texts[finding.check] = "; ".join(filter(None, (texts.get(finding.check), finding.text)))
    return texts


def test_a_correct_result_passes(treated: Treated) -> None:
    verification = judge(treated)
    assert verification.passed, verification.failures
    assert verification.frames == FRAMES
    figures = verification.samples
    assert figures.is_lossless and figures.compared_frames == FRAMES
    assert (figures.changed_outside, figures.largest_change_outside, figures.psnr_outside) == (0, 0, None)
    recorded = max(track.faces[:, Column.LARGEST_CHANGE].max() for track in treated.record.tracks)
    assert figures.largest_change_inside == recorded > 10
    checks = {finding.check: finding for finding in verification.findings}
    assert "exactly" in checks["frame times"].text
    assert json.loads(json.dumps(verification.as_dict()))["passed"] is True


def test_the_record_may_come_from_its_file(treated: Treated, tmp_path: Path) -> None:
    write_record(treated.record, tmp_path / "film.json")
    assert verify(treated.source, treated.result, read_record(tmp_path / "film.json")).passed


@pytest.mark.parametrize(
    ("frame", "plane", "x", "y"),
    [(0, 0, 0, 0), (5, 0, 159, 119), (5, 1, 1, 2), (11, 2, 79, 59), (FACE_FRAMES[0], 0, 3, 60)],
)
def test_one_changed_sample_outside_the_masks_is_found_and_named(
    treated: Treated, frame: int, plane: int, x: int, y: int
) -> None:
    verification = judge(spoilt(treated, with_sample_changed(frame, plane, x, y)))
    text = failed(verification)["outside the masks"]
    assert f"frame {frame}: 1 sample outside" in text and f"plane {plane} at x {x}, y {y}" in text
    assert (verification.samples.changed_outside, verification.samples.largest_change_outside) == (1, 1)
    assert len(verification.failures) == 1


def test_one_changed_sample_inside_a_mask_is_found(treated: Treated) -> None:
    assert "track 0" in failed(judge(spoilt(treated, with_sample_changed(5, 0, 85, 62))))["inside the masks"]


@pytest.mark.parametrize("frame", [0, 6, FRAMES - 1])
def test_one_dropped_frame_is_found_and_named(treated: Treated, frame: int) -> None:
    verification = judge(spoilt(treated, with_frame_dropped(frame)))
    failures = failed(verification)
    assert f"frame {frame} of the source" in failures["frame count"]
    assert failures["record"] == f"the record counts {FRAMES} frames in the result, there are {FRAMES - 1}"
    assert "outside the masks" not in failures, "the other frames are compared with their own"


@pytest.mark.parametrize("frame", [1, FRAMES - 2])
def test_one_time_off_by_a_tick_is_found(treated: Treated, frame: int) -> None:
    assert f"frame {frame} is shown at" in failed(judge(spoilt(treated, with_time_shifted(frame))))["frame times"]


def test_a_time_off_by_a_millisecond_is_found_where_the_container_rounds(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source.mov", codec="libx264", rate=Fraction(24000, 1001))
    good = treat(source, tmp_path / "result.mkv", FFV1)
    verification = judge(good)
    assert verification.passed, verification.failures
    times = next(finding.text for finding in verification.findings if finding.check == "frame times")
    assert "1 ms" in times and "exactly" not in times
    late = with_time_shifted(4, probe(source).time_base.denominator // 1000 + 1)
    assert "frame 4 is shown at" in failed(judge(spoilt(good, late)))["frame times"]


FAULTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "chapters": (("-map_chapters", "-1"), "chapters", "the source has 2 chapters, the result 0"),
    "sound": (("-map", "-0:a"), "streams", "audio stream 1 (aac) is not in the result"),
    "words": (("-map", "-0:s"), "streams", "is not in the result"),
    "title": (("-metadata", "title=Another"), "film tags", "the tag 'title' is 'Another' instead of 'The Film'"),
    "comment": (("-metadata", "comment="), "film tags", "the tag 'comment'"),
    "language": (("-metadata:s:a:0", "language=ita"), "streams", "the language is ita instead of eng"),
    "flags": (("-disposition:s:0", "0"), "streams", "its disposition is"),
    "colour": (("-color_primaries", "bt2020"), "colour tags", "the primaries is bt2020 instead of bt709"),
    "aspect": (("-aspect", "2:1"), "picture", "the sample aspect ratio is 3/2 instead of"),
    "delay": (("-bsf:a", "setts=ts=TS+TB*0+48"), "streams", "packets at other times"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_did_not_come_along_is_found(treated: Treated, fault: str) -> None:
    if fault == "flags" and treated.result.suffix == ".mov":
        pytest.skip("MOV knows no forced subtitles")
    options, check, says = FAULTS[fault]
    found = failed(judge(remuxed(treated, *options)))
    assert says in found[check]
    assert all("\n" not in text for text in found.values())


def test_a_copy_by_ffmpeg_passes(treated: Treated) -> None:
    """So that what the tests above find is the fault and not the copying."""
    verification = judge(remuxed(treated))
    assert verification.passed, verification.failures


def test_a_lost_attachment_is_found(treated: Treated) -> None:
    if treated.result.suffix == ".mkv":
        assert "attachment stream 3" in failed(judge(remuxed(treated, "-map", "-0:t")))["streams"]


@pytest.mark.parametrize("packet", [0, 11])
def test_one_changed_bit_of_sound_is_found_and_named(treated: Treated, packet: int) -> None:
    text = failed(judge(with_flipped_sound(treated, packet)))["streams"]
    assert f"the first is packet {packet}" in text and text.startswith("audio stream 1 (aac): 1 of ")


def test_a_turned_picture_is_found(treated: Treated) -> None:
    turned = treated.result.with_stem("turned")
    ffmpeg("-display_rotation", "90", "-i", treated.result, *ALL, turned)
    assert "the rotation is" in failed(judge(rewritten(treated, turned)))["picture"]


def test_a_file_that_is_another_is_found(treated: Treated) -> None:
    copy = remuxed(treated)
    stale = replace(copy, record=treated.record)
    assert "is not the file that was written" in failed(judge(stale))["result file"]
    swapped = replace(treated, source=treated.result)
    assert "is not the film that was restored" in failed(judge(swapped))["source file"]
    assert verify(stale.source, stale.result, stale.record, hashes=False).passed


def test_a_stream_that_is_in_no_list_is_found(treated: Treated) -> None:
    silent = replace(treated.record, carried=tuple(s for s in treated.record.carried if s.kind != "audio"))
    assert "neither carried nor announced" in failed(judge(replace(treated, record=silent)))["streams"]


def test_a_record_that_claims_another_change_is_found(treated: Treated) -> None:
    track = treated.record.tracks[0]
    faces = track.faces.copy()
    faces[2, Column.LARGEST_CHANGE] += 1
    false = replace(treated.record, tracks=(replace(track, faces=faces),))
    assert f"frame {FACE_FRAMES[2]}, track 0" in failed(judge(replace(treated, record=false)))["inside the masks"]
    none = replace(treated.record, tracks=())
    assert "outside the masks" in failed(judge(replace(treated, record=none)))


@pytest.mark.parametrize(("how", "ending"), [(X264, "mp4"), (PRORES, "mov")])
def test_a_lossy_codec_is_said_to_be_one_and_measured(tmp_path: Path, how: EncodeSettings, ending: str) -> None:
    pix_fmt = "yuv422p10le" if how is PRORES else "yuv420p"
    source = make_source(tmp_path / "source.mkv", pix_fmt=pix_fmt)
    verification = judge(treat(source, tmp_path / f"result.{ending}", how))
    assert verification.passed, verification.failures
    outside = next(finding for finding in verification.findings if finding.check == "outside the masks")
    assert outside.outcome == "note" and "lossy" in outside.text and "PSNR" in outside.text
    figures = verification.samples
    assert not figures.is_lossless and figures.changed_outside > 1000
    assert figures.psnr_outside is not None and 20 < figures.psnr_outside < 80


def test_what_a_container_cannot_hold_is_a_note_if_it_was_announced(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source.mkv")
    other = treat(source, tmp_path / "result.mp4", X264_LOSSLESS)
    verification = judge(other)
    assert verification.passed, verification.failures
    assert any(f.outcome == "note" and "attachment stream 3" in f.text for f in verification.findings)
    silent = replace(other, record=replace(other.record, lost=()))
    assert "attachment stream 3" in failed(judge(silent))["streams"]


def test_a_filter_is_said_to_change_the_whole_picture(treated: Treated) -> None:
    filtered = replace(treated.record, settings=(Setting("media.filters", "hqdn3d", "command line"),))
    changed = replace(spoilt(treated, with_sample_changed(0, 0, 0, 0)), record=filtered)
    verification = verify(changed.source, changed.result, filtered, hashes=False)
    assert verification.passed
    assert any("media.filters changed the whole picture" in f.text for f in verification.findings)


def test_wider_samples_of_the_result_are_compared(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source.mkv")
    how = EncodeSettings(codec="ffv1", pix_fmt="yuv444p10le")
    good = treat(source, tmp_path / "result.mkv", how)
    assert judge(good).passed
    found = judge(spoilt(good, with_sample_changed(2, 1, 30, 7)))
    assert found.samples.changed_outside == 4 and not found.passed  # one sample of chroma became four


def timed(*times: int, base: int = 25) -> list[Frame]:
    return [
        replace(gray_frame(i, width=4, height=4), time=Timestamp(t, Fraction(1, base))) for i, t in enumerate(times)
    ]


@pytest.mark.parametrize(
    ("source", "result", "pairs"),
    [
        ([0, 1, 2], [0, 1, 2], [(0, 0), (1, 1), (2, 2)]),
        ([0, 1, 2, 3], [0, 2, 3], [(0, 0), (1, None), (2, 2), (3, 3)]),
        ([0, 1, 2], [1, 2], [(0, None), (1, 1), (2, 2)]),
        ([0, 1, 2], [0, 1], [(0, 0), (1, 1), (2, None)]),
        ([0, 20, 40], [0, 9, 20, 40, 60], [(0, 0), (None, 9), (20, 20), (40, 40), (None, 60)]),
        ([0, 10, 20], [0, 11, 20], [(0, 0), (10, 11), (20, 20)]),
        ([0, 10, 20], [], [(0, None), (10, None), (20, None)]),
        ([], [3], [(None, 3)]),
    ],
)
def test_frames_are_paired_by_their_times(
    source: list[int], result: list[int], pairs: list[tuple[int | None, int | None]]
) -> None:
    found = in_step(timed(*source), timed(*result), Fraction(1, 25))
    assert [tuple(frame and frame.time.pts for frame in pair) for pair in found] == pairs


def test_packets_are_those_that_ffmpeg_lists(treated: Treated) -> None:
    contents = read_contents(treated.source, without=0)
    assert contents.streams[0].pts.tolist() == []
    sound = contents.streams[1]
    listed = listed_packets(treated.source, 1)
    assert [pts * sound.time_base for pts in sound.pts] == [packet.seconds for packet in listed]
    assert [chapter.title for chapter in contents.chapters] == ["First", "Second"]


def test_the_header_of_adts_is_not_sound(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source.mp4", codec="libx264")
    ffmpeg("-i", source, "-map", "0:a", "-c", "copy", tmp_path / "sound.aac")
    (raw,) = read_contents(tmp_path / "sound.aac").streams
    assert raw.sha256 == read_contents(source).streams[1].sha256


@pytest.mark.parametrize(
    ("codec", "options", "bits", "lossless"),
    [
        ("ffv1", {}, 10, True),
        ("rawvideo", {}, 8, True),
        ("v210", {}, 10, True),
        ("prores", {}, 10, False),
        ("h264", {"crf": "16"}, 8, False),
        ("h264", {"crf": "0"}, 8, True),
        ("h264", {"crf": "0"}, 10, False),
        ("hevc", {"x265-params": "log-level=none:lossless=1"}, 8, True),
        ("hevc", {"crf": "0"}, 8, False),
        ("jpeg2000", {}, 8, False),
    ],
)
def test_lossless_codecs_are_known(codec: str, options: dict[str, str], bits: int, lossless: bool) -> None:
    assert is_lossless(codec, options, bits) is lossless


def test_regions_reach_no_further_than_the_masks_need(treated: Treated) -> None:
    """A region is for one face, not for the picture: else a record would prove nothing."""
    for row in treated.record.tracks[0].faces:
        wide = row[Column.REGION_RIGHT] - row[Column.REGION_LEFT]
        high = row[Column.REGION_BOTTOM] - row[Column.REGION_TOP]
        assert 10 < wide < 60 and 10 < high < 60
    known = [column for column in Column if column != Column.LIKENESS]
    assert np.isfinite(treated.record.tracks[0].faces[:, known]).all()
