"""What a run leaves beside its result, and films that are no plain sequence of frames."""

import json
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from gpen_video.cli.app import main
from gpen_video.config import Settings
from gpen_video.errors import OutputError, UsageError
from gpen_video.media import decode, probe
from gpen_video.pipeline import Extras, restore_video, verify
from gpen_video.pipeline.reading import plan_reading
from gpen_video.report import read_record
from tests.conftest import ROOT

SAMPLE = ROOT / "examples" / "sample.mp4"
LOSSLESS = Settings.model_validate({"encode": {"codec": "ffv1", "crf": None, "preset": None}})
FRAMES = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the sample, as they are."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    with av.open(str(SAMPLE)) as source:
        pictures = [frame.to_ndarray(format="yuv420p") for frame in islice(source.decode(video=0), FRAMES)]
    _write(pictures, path, 24)
    return path


@pytest.fixture(scope="module")
def interlaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same camera with two moments in each frame, the top field first, as tape has it."""
    path = tmp_path_factory.mktemp("clip") / "interlaced.mkv"
    with av.open(str(SAMPLE)) as source:
        pictures = [frame.to_ndarray(format="gray") for frame in islice(source.decode(video=0), 3 * 2 * FRAMES)]
    woven = []
    for top, bottom in list(pairwise(pictures[::3]))[::2]:  # every third, so that the camera moves plainly
        both = top.copy()
        both[1::2] = bottom[1::2]
        chroma = np.full((both.shape[0] // 2, both.shape[1]), 128, np.uint8)
        woven.append(np.vstack([both, chroma]))
    _write(woven, path, 25, top_first=True)
    return path


@pytest.fixture(scope="module")
def quick(small_network: str) -> Settings:
    """Lossless, for tests to which it does not matter what the network makes of a face."""
    return Settings.model_validate({**LOSSLESS.model_dump(), "restore": {"weights": small_network}})


def _write(pictures: list[np.ndarray], path: Path, rate: int, *, top_first: bool = False) -> None:
    height, width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
    with av.open(str(path), "w") as target:
        stream = target.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if top_first:
            stream.codec_context.field_order = 2
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def test_all_of_them_at_once(clip: Path, tmp_path: Path) -> None:
    result = tmp_path / "out.mkv"
    extras = Extras(
        report=tmp_path / "record.json",
        matte=tmp_path / "matte.mkv",
        layer=tmp_path / "layer.mkv",
        framemd5=True,
        verify=True,
    )
    summary = restore_video(clip, result, LOSSLESS, extras=extras, command_line=["gpen-video", "in", "out"])
    assert summary.verification is not None and summary.verification.passed
    record = read_record(tmp_path / "record.json")
    assert record.command_line == ("gpen-video", "in", "out")
    assert record.result.path == str(result)
    assert sum(len(track.faces) for track in record.tracks) == summary.faces > 0
    assert verify(clip, result, record).passed

    source, restored, mattes = (list(decode(probe(path))) for path in (clip, result, tmp_path / "matte.mkv"))
    assert [f.time.seconds for f in mattes] == [f.time.seconds for f in source]
    for before, after, matte in zip(source, restored, mattes, strict=True):
        changed = before.picture.planes[0] != after.picture.planes[0]
        assert changed.any()
        assert (matte.picture.planes[0][changed] > 0).all()
    for before, after, layer in zip(source, restored, decode(probe(tmp_path / "layer.mkv")), strict=True):
        colour, alpha = (layer.picture.planes[i].astype(float) for i in (0, -1))
        a = alpha / 255
        composite = before.picture.planes[0] * (1 - a) + colour * a
        assert np.abs(composite - after.picture.planes[0]).max() <= 1
    for ending in (".source.framemd5", ".framemd5"):
        assert (tmp_path / (result.name + ending)).read_text().count("\n0,") == FRAMES


def test_interlaced_film_comes_out_interlaced(interlaced: Path, tmp_path: Path, quick: Settings) -> None:
    result = tmp_path / "out.mkv"
    extras = Extras(report=tmp_path / "record.json", matte=tmp_path / "matte.mkv", verify=True)
    summary = restore_video(interlaced, result, quick, extras=extras)
    assert "split fields" in summary.stage_seconds
    assert summary.frames == FRAMES and summary.faces > FRAMES
    assert summary.verification is not None and summary.verification.passed
    source, restored, mattes = (list(decode(probe(path))) for path in (interlaced, result, tmp_path / "matte.mkv"))
    for before, after, matte in zip(source, restored, mattes, strict=True):
        changed = before.picture.planes[0] != after.picture.planes[0]
        assert changed[0::2].any() and changed[1::2].any()
        assert (matte.picture.planes[0][changed] > 0).all()
    assert probe(result).first_field == probe(interlaced).first_field


def test_deinterlacing_gives_progressive_film_and_says_so(interlaced: Path, tmp_path: Path, quick: Settings) -> None:
    settings = Settings.model_validate({**quick.model_dump(), "media": {"deinterlace": True}})
    warnings: list[str] = []

    class Watcher:
        def planned(self, plan: object) -> None:
            warnings.extend(plan.warnings)  # type: ignore[attr-defined]

        def progressed(self, progress: object) -> None:
            pass

        def warned(self, message: str) -> None:
            warnings.append(message)

    result = tmp_path / "out.mkv"
    summary = restore_video(interlaced, result, settings, observer=Watcher())
    assert "split fields" not in summary.stage_seconds and "filters" in summary.stage_seconds
    assert summary.frames == FRAMES
    assert probe(result).first_field is None
    assert any("bwdif" in warning for warning in warnings)


def test_filters_that_leave_no_equal_fields_are_told(interlaced: Path, tmp_path: Path, quick: Settings) -> None:
    media = {"filters": "crop=383:287:0:0:exact=1,format=yuv444p", "fields": "fields"}
    settings = Settings.model_validate({**quick.model_dump(), "media": media})
    reading = plan_reading(probe(interlaced), settings.media)
    assert reading.behind.height == 287 and reading.first_field is None
    assert any("not two equal fields" in warning for warning in reading.warnings)
    assert restore_video(interlaced, tmp_path / "out.mkv", settings).frames == FRAMES


def test_filters_reach_the_faces(clip: Path, tmp_path: Path, quick: Settings) -> None:
    settings = Settings.model_validate({**quick.model_dump(), "media": {"filters": "crop=320:240:32:16"}})
    result = tmp_path / "out.mkv"
    assert restore_video(clip, result, settings).faces > 0
    assert (probe(result).width, probe(result).height) == (320, 240)


def test_an_image_sequence_goes_in_and_comes_out(clip: Path, tmp_path: Path) -> None:
    settings = {"media": {"frame_rate": "24"}, "encode": {"codec": "png", "crf": None, "preset": None}}
    scans = tmp_path / "scans"
    scans.mkdir()
    with av.open(str(clip)) as source:
        for index, frame in enumerate(source.decode(video=0)):
            frame.to_image().save(scans / f"scan_{index + 86400:06d}.png") if index < 4 else None
    result = tmp_path / "restored" / "scan_%06d.png"
    extras = Extras(report=tmp_path / "record.json")
    summary = restore_video(scans, result, Settings.model_validate(settings), extras=extras)
    assert summary.frames == 4 and summary.faces > 0
    assert [path.name for path in sorted(result.parent.iterdir())] == [f"scan_{86400 + i:06d}.png" for i in range(4)]


@pytest.mark.parametrize("name", ["report", "matte", "layer"])
def test_side_files_are_checked_before_work_starts(name: str, clip: Path, tmp_path: Path) -> None:
    ending = "json" if name == "report" else "mkv"
    result, there = tmp_path / "out.mkv", tmp_path / f"there.{ending}"
    there.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        restore_video(clip, result, LOSSLESS, extras=Extras(**{name: there}))
    with pytest.raises(OutputError, match="does not exist"):
        restore_video(clip, result, LOSSLESS, extras=Extras(**{name: tmp_path / "none" / f"x.{ending}"}))
    with pytest.raises(UsageError):
        restore_video(clip, result, LOSSLESS, extras=Extras(**{name: clip}))
    with pytest.raises(UsageError):
        restore_video(clip, result, LOSSLESS, extras=Extras(**{name: result}))
    assert there.read_text() == "mine" and not result.exists()
    assert [path.name for path in tmp_path.iterdir()] == [there.name]


def test_the_record_says_which_faces_were_left_out_and_why(clip: Path, tmp_path: Path, quick: Settings) -> None:
    settings = Settings.model_validate({**quick.model_dump(), "detect": {"min_face": 200}})
    summary = restore_video(clip, tmp_path / "out.mkv", settings, extras=Extras(report=tmp_path / "record.json"))
    assert summary.faces == 0
    (decision,) = read_record(tmp_path / "record.json").decisions
    assert (decision.first_frame, decision.last_frame, decision.reason) == (0, FRAMES - 1, "too small")
    assert decision.value is not None and 24 < decision.value < 200


def test_what_fails_after_the_last_frame_leaves_no_matte_either_and_is_gone_on_with(
    clip: Path, tmp_path: Path, quick: Settings
) -> None:
    def full(*_: object) -> None:
        raise OutputError("the disk is full")

    fault = pytest.MonkeyPatch()
    fault.setattr("gpen_video.pipeline.run.assemble", full)
    extras = Extras(matte=tmp_path / "m.mkv", layer=tmp_path / "l.mkv", report=tmp_path / "r.json", framemd5=True)
    with pytest.raises(OutputError, match="the disk is full"):
        restore_video(clip, tmp_path / "out.mkv", quick, extras=extras)
    assert [path.name for path in tmp_path.iterdir()] == [".out.mkv.gpen-work"]
    fault.undo()
    summary = restore_video(clip, tmp_path / "out.mkv", quick, extras=extras, resume="require")
    assert (summary.frames, summary.frames_before) == (FRAMES, FRAMES)
    names = {"m.mkv", "l.mkv", "r.json", "out.mkv", "out.mkv.framemd5", "out.mkv.source.framemd5"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_checksums_of_two_films_of_one_name_have_two_names(clip: Path, tmp_path: Path, quick: Settings) -> None:
    restore_video(clip, tmp_path / clip.name, quick, extras=Extras(framemd5=True))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {clip.name, f"{clip.name}.framemd5", f"{clip.name}.source.framemd5"}


def test_verify_finds_a_changed_sample(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quick: Settings
) -> None:
    result, report = tmp_path / "out.mkv", tmp_path / "record.json"
    restore_video(clip, result, quick, extras=Extras(report=report))
    assert main(["verify", str(clip), str(result), str(report)]) == 0
    spoilt = tmp_path / "spoilt.mkv"
    with av.open(str(result)) as source:
        pictures = [frame.to_ndarray(format="yuv420p") for frame in source.decode(video=0)]
    pictures[3][5, 5] ^= 1
    _write(pictures, spoilt, 24)
    capsys.readouterr()
    assert main(["verify", "--json", str(clip), str(spoilt), str(report)]) == 7
    out = json.loads(capsys.readouterr().out)
    assert out["samples"]["changed_outside"] == 1 and not out["passed"]


def test_rgb_film_whose_matrix_is_not_stated_passes(tmp_path: Path) -> None:
    # A GIF states nothing; FFV1 says of RGB samples that they are RGB.
    source = tmp_path / "film.gif"
    with av.open(str(source), "w") as target:
        stream = target.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8"
        for index in range(4):
            picture = np.full((48, 64, 3), 60 * index, np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="rgb8")))
        target.mux(stream.encode(None))
    summary = restore_video(source, tmp_path / "out.mkv", LOSSLESS, extras=Extras(verify=True))
    assert summary.verification is not None and summary.verification.passed
