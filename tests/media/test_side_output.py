"""Matte and layer as files: samples and times come back, FFmpeg composites them, failures leave nothing."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gpen_video.errors import OutputError, UsageError
from gpen_video.faces.align import Aligner
from gpen_video.faces.layer import layer_format, layer_of, matte_format, matte_of
from gpen_video.faces.mask import face_mask
from gpen_video.faces.paste import Pasted, paste_change
from gpen_video.media import decode, probe
from gpen_video.media.encode import FrameWriter
from gpen_video.media.picture import widen
from gpen_video.media.side_output import (
    check_side_targets,
    needs_full_chroma,
    plan_side_output,
    publish_side_output,
)
from gpen_video.types import Frame, FrameFaces, MaskedFace, Picture, RestoredFace, VideoInfo
from tests.faces.scenes import tracked_at
from tests.media.factories import Clip, ffmpeg, listed_frames, make_clip

SIZE = (96, 80)
VARIABLE = tuple(itertools.accumulate([40, 1, 33, 120, 7, 40]))


def film(path: Path, clip: Clip) -> tuple[VideoInfo, list[Frame]]:
    info = probe(make_clip(path, clip))
    return info, list(decode(info))


def pasted(frame: Frame) -> Pasted:
    """A face made of noise, on every frame but the second."""
    if frame.index == 1:
        return paste_change(FrameFaces(frame))
    aligner = Aligner(64)
    crop = aligner.crop(frame, tracked_at(44, 40, 66, 0.3))
    change = np.random.default_rng(frame.index).normal(0, 0.1, crop.rgb_hwc.shape).astype(np.float32)
    mask = face_mask(aligner._template_5xy, 64, 0.12)
    return paste_change(FrameFaces(frame, (MaskedFace(RestoredFace(crop, crop.rgb_hwc + change), mask),)), "restore")


def write(kind: Any, path: Path, info: VideoInfo, frames: Sequence[Frame]) -> None:
    output = plan_side_output(kind, path, info, frames[0].picture.format)
    pictures = path.with_name("pictures")
    writer = FrameWriter(pictures, output.carriage.encoder, output.like, None)
    for frame in frames:
        writer.add(frame)
    writer.finish()
    publish_side_output(output, pictures)
    pictures.unlink()


def mattes(info: VideoInfo, frames: Sequence[Frame], path: Path) -> list[Frame]:
    made = [replace(frame, picture=matte_of(pasted(frame))) for frame in frames]
    assert made[0].picture.format == matte_format(info.format)
    write("matte", path, info, made)
    return made


def layers(info: VideoInfo, frames: Sequence[Frame], path: Path) -> list[Frame]:
    full = needs_full_chroma(path, info.format)
    made = [replace(frame, picture=layer_of(pasted(frame), full_chroma=full)) for frame in frames]
    assert made[0].picture.format == layer_format(info.format, full_chroma=full)
    write("layer", path, info, made)
    return made


def assert_same_samples(have: Picture, want: Picture) -> None:
    """The same, by way of what FFV1 may make of it: more bits, or neutral chroma with gray."""
    want = widen(want, have.format)
    assert len(have.planes) == len(want.planes)
    for ours, theirs in zip(have.planes, want.planes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gray10le", "gbrp12le"])
def test_matte_comes_back_sample_for_sample(tmp_path: Path, name: str) -> None:
    info, frames = film(tmp_path / "film", Clip("rawvideo", pix_fmt=name, size=SIZE, pts=(0, 1, 2), noise=True))
    made = mattes(info, frames, tmp_path / "matte.mkv")
    written = probe(tmp_path / "matte.mkv")
    assert (written.codec, written.container) == ("ffv1", "matroska,webm")
    assert written.format == matte_format(info.format) and written.colour.full_range
    for have, want in zip(decode(written), made, strict=True):
        assert_same_samples(have.picture, want.picture)
        assert have.picture.planes[0].any() == (want.index != 1)


FORMATS = """
yuv420p yuv422p yuv444p yuv411p yuv440p yuv420p9le yuv420p10le yuv420p12le yuv422p12le yuv444p16le
gray gray10le gray16le gbrp gbrp10le gbrp12le gbrp16le
"""


@pytest.mark.parametrize("name", FORMATS.split())
def test_layer_comes_back_sample_for_sample(tmp_path: Path, name: str) -> None:
    size = (SIZE[0] + 1, SIZE[1] - 1)
    info, frames = film(tmp_path / "film", Clip("rawvideo", pix_fmt=name, size=size, pts=(0, 1), noise=True))
    made = layers(info, frames, tmp_path / "layer.mkv")
    written = probe(tmp_path / "layer.mkv")
    assert (written.codec, written.format.has_alpha) == ("ffv1", True)
    for have, want in zip(decode(written), made, strict=True):
        assert_same_samples(have.picture, want.picture)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_prores_layer_keeps_alpha_exactly_and_colour_nearly(tmp_path: Path, name: str) -> None:
    info, frames = film(tmp_path / "film", Clip("rawvideo", pix_fmt=name, size=SIZE, pts=(0, 1, 2)))
    made = layers(info, frames, tmp_path / "layer.mov")
    written = probe(tmp_path / "layer.mov")
    assert (written.codec, written.format.family) == ("prores", "yuv")
    assert (written.format.log2_chroma_w, written.format.log2_chroma_h) == (0, 0)
    for have, want in zip(decode(written), made, strict=True):
        wide = widen(want.picture, replace(want.picture.format, name="yuva444p10le", bits=10))
        deepest = have.picture.format.bits - 10  # FFmpeg decodes 4444 to 12 bits
        alpha = have.picture.planes[3] / (2**have.picture.format.bits - 1)
        np.testing.assert_allclose(alpha, wide.planes[3] / 1023, atol=1e-3)
        for ours, theirs in zip(have.picture.planes[:3], wide.planes[:3], strict=True):
            assert np.abs(ours / 2**deepest - theirs).mean() < 3


TIMES = {
    "constant": (Fraction(1, 25), tuple(range(6))),
    "variable": (Fraction(1, 1000), VARIABLE),
    "ntsc": (Fraction(1001, 24000), tuple(range(6))),
    "late": (Fraction(1, 12800), tuple(range(51200, 54000, 512))),
}


@pytest.mark.parametrize("ending", [".mkv", ".mov"])
@pytest.mark.parametrize("case", TIMES)
def test_times_are_the_sources_by_ffmpegs_reckoning(tmp_path: Path, case: str, ending: str) -> None:
    time_base, pts = TIMES[case]
    info, frames = film(tmp_path / "film", Clip("rawvideo", size=SIZE, time_base=time_base, pts=pts))
    steps = [late - early for early, late in itertools.pairwise(pts)]
    steps.append(2 * steps[0])
    ticks = time_base / info.time_base
    frames = [replace(frame, duration=int(step * ticks)) for frame, step in zip(frames, steps, strict=True)]
    outputs = [tmp_path / f"layer{ending}"]
    layers(info, frames, outputs[0])
    if ending == ".mkv":
        outputs.append(tmp_path / "matte.mkv")
        mattes(info, frames, outputs[1])
    # Matroska counts in milliseconds.
    off = Fraction(1, 2000) if ending == ".mkv" and 1000 % time_base.denominator else 0
    for path in outputs:
        have = listed_frames(path)
        assert len(have) == len(pts)
        assert all(abs(one.seconds - at * time_base) <= off for one, at in zip(have, pts, strict=True))
        for frame, step in zip(decode(probe(path)), steps, strict=True):
            assert frame.duration is not None
            assert abs(frame.duration * frame.time.time_base - step * time_base) <= 2 * off


# The filter rounds down, and beside 4:2:2 it takes three quarters of the left alpha with one quarter of the right one.
OVERLAY = {"yuv420p": ("yuv420", 2), "yuv422p10le": ("yuv422p10", 8), "yuv444p": ("yuv444", 2), "gbrp": ("gbrp", 2)}


@pytest.mark.parametrize("name", OVERLAY)
def test_ffmpegs_overlay_of_the_layer_gives_the_result(tmp_path: Path, name: str) -> None:
    info, frames = film(tmp_path / "film", Clip("rawvideo", pix_fmt=name, size=SIZE, pts=(0, 1, 2), noise=True))
    layers(info, frames, tmp_path / "layer.mkv")
    how, off = OVERLAY[name]
    graph = f"[0:v][1:v]overlay=format={how}:alpha=straight"
    inputs = ("-i", tmp_path / "film", "-i", tmp_path / "layer.mkv")
    raw = ffmpeg(*inputs, "-filter_complex", graph, "-f", "rawvideo", "-pix_fmt", name, "-")
    samples = np.frombuffer(raw, np.uint8 if info.format.bits == 8 else np.uint16).astype(int)
    results = [pasted(frame).frame.picture for frame in frames]
    want = np.concatenate([plane.ravel() for picture in results for plane in picture.planes]).astype(int)
    sources = np.concatenate([plane.ravel() for frame in frames for plane in frame.picture.planes]).astype(int)
    assert np.abs(want - sources).max() > 40 * 2 ** (info.format.bits - 8)
    assert np.abs(samples - want).max() <= off


def test_rotation_aspect_ratio_and_timecode_are_the_sources(tmp_path: Path) -> None:
    straight = make_clip(tmp_path / "straight.mov", Clip("mpeg4", "mov", size=SIZE, pts=(0, 1, 2)))
    turned = tmp_path / "turned.mov"
    ffmpeg(
        "-display_rotation", "90", "-i", straight, "-c", "copy", "-aspect", "4:3", "-timecode", "01:00:00:00", turned
    )
    info = probe(turned)
    frames = list(decode(info))
    assert info.rotation and info.sample_aspect_ratio not in (None, 1)
    for path in (tmp_path / "layer.mov", tmp_path / "layer.mkv"):
        layers(info, frames, path)
        written = probe(path)
        assert written.rotation == info.rotation
        assert written.sample_aspect_ratio == info.sample_aspect_ratio
        with av.open(str(path)) as container:
            tags = {name.lower(): value for name, value in container.streams.video[0].metadata.items()}
        assert tags["timecode"] == "01:00:00:00"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    info, _ = film(tmp_path / "film", Clip(size=SIZE))
    target = tmp_path / "matte.mkv"
    target.write_bytes(b"old")
    (tmp_path / "pictures").write_bytes(b"no film")
    output = plan_side_output("matte", target, info, matte_format(info.format))
    with pytest.raises(OutputError):
        publish_side_output(output, tmp_path / "pictures", overwrite=True)
    with pytest.raises(OutputError, match="--overwrite"):
        publish_side_output(output, tmp_path / "pictures")
    assert files(tmp_path) == ["film", "matte.mkv", "pictures"]
    assert target.read_bytes() == b"old"


def test_wrong_targets_are_refused_first(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mkv", tmp_path / "result.mkv"
    source.write_bytes(b"film")
    (tmp_path / "there.mkv").write_bytes(b"film")
    (tmp_path / "link.mkv").symlink_to(source)
    (tmp_path / "folder.mkv").mkdir()
    before = files(tmp_path)
    cases: list[tuple[str | None, str | None, type[Exception], str]] = [
        ("result.mkv", None, UsageError, "the result goes there already"),
        (None, "folder.mkv/../result.mkv", UsageError, "the result goes there already"),
        ("both.mkv", "both.mkv", UsageError, "the matte goes there already"),
        ("source.mkv", None, UsageError, "is the source itself"),
        (None, "link.mkv", UsageError, "is the source itself"),
        ("matte.mov", None, UsageError, "ends in .mkv"),
        (None, "layer.mp4", UsageError, "ends in .mkv or .mov"),
        ("matte", None, UsageError, "ends in .mkv"),
        ("nowhere/matte.mkv", None, OutputError, "does not exist"),
        (None, "folder.mkv", OutputError, "is a folder"),
        ("there.mkv", None, OutputError, "--overwrite"),
    ]
    for matte, layer, error, says in cases:
        paths = [None if name is None else tmp_path / name for name in (matte, layer)]
        with pytest.raises(error, match=says) as caught:
            check_side_targets(*paths, source=source, target=target)
        assert "\n" not in str(caught.value)
    check_side_targets(tmp_path / "a.mkv", tmp_path / "b.MOV", source=source, target=target)
    check_side_targets(tmp_path / "there.mkv", None, source=source, target=target, overwrite=True)
    check_side_targets(None, None, source=source, target=target)
    assert files(tmp_path) == before
