"""The main job on real input: the sample clip, and the real clips where they are present."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import gpen_video
from gpen_video import NoObserver, Progress, RunPlan, Settings, restore_video
from gpen_video.cli.app import main
from gpen_video.errors import DecodeError, DeviceError, OutputError, UsageError, WeightsError
from tests.conftest import ROOT

SAMPLE = ROOT / "examples" / "sample.mp4"
LOSSLESS = {"codec": "ffv1", "crf": None, "preset": None}


def settings(**sections: dict[str, object]) -> Settings:
    return Settings.model_validate(sections)


def times(film: Path) -> list[Fraction]:
    """Presentation times of all frames in seconds, exactly."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        base = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        return [frame.pts * base for frame in container.decode(stream)]


def pictures(film: Path) -> np.ndarray:
    """(N, H, W) luma."""
    with av.open(str(film)) as container:
        return np.stack([frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)])


def sound(film: Path) -> str:
    """A hash over the packets of the first audio stream; of nothing where there is none."""
    with av.open(str(film)) as container:
        if not container.streams.audio:
            return hashlib.sha256(b"").hexdigest()
        packets = (bytes(packet) for packet in container.demux(audio=0) if packet.size)
        return hashlib.sha256(b"".join(packets)).hexdigest()


class Watcher(NoObserver):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.plan: RunPlan | None = None
        self.last: Progress | None = None
        self.warnings: list[str] = []

    def planned(self, plan: RunPlan) -> None:
        self.plan = plan

    def progressed(self, progress: Progress) -> None:
        assert self.last is None or progress.frames >= self.last.frames
        self.last = progress

    def warned(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 13 frames of the sample clip, which need no later one, with their sound; packets untouched."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as target:
        streams = {
            s.index: target.add_stream_from_template(s) for s in (source.streams.video[0], source.streams.audio[0])
        }
        for packet in source.demux():
            if packet.dts is not None and packet.pts * packet.time_base <= Fraction(12, 24):
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return path


@pytest.fixture(scope="module")
def restored(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, gpen_video.RunSummary, Watcher]:
    target, watcher = tmp_path_factory.mktemp("restored") / "restored.mkv", Watcher()
    return target, restore_video(clip, target, settings(encode=LOSSLESS), observer=watcher), watcher


def test_frame_count_and_times_are_the_sources(
    clip: Path, restored: tuple[Path, gpen_video.RunSummary, Watcher]
) -> None:
    want, have = times(clip), times(restored[0])
    assert len(have) == len(want) == restored[1].frames
    assert all(abs(a - b) <= Fraction(1, 2000) for a, b in zip(want, have, strict=True))  # Matroska counts milliseconds


def test_the_face_changes_and_everything_else_keeps_its_bits(
    clip: Path, restored: tuple[Path, gpen_video.RunSummary, Watcher]
) -> None:
    changed = pictures(clip) != pictures(restored[0])
    assert changed.any(axis=(1, 2)).all()
    rows, columns = np.flatnonzero(changed.any(axis=(0, 2))), np.flatnonzero(changed.any(axis=(0, 1)))
    face = (columns[0], rows[0], columns[-1], rows[-1])  # the head is about 100 by 120 pixels, at 160, 85
    assert face[0] > 60 and face[2] < 260 and face[3] < 190
    with av.open(str(clip)) as a, av.open(str(restored[0])) as b:
        for one, other in zip(a.decode(video=0), b.decode(video=0), strict=True):
            for plane in (1, 2):  # a black and white film stays exactly as neutral as it was
                assert bytes(one.planes[plane]) == bytes(other.planes[plane])


def test_sound_comes_along_untouched(clip: Path, restored: tuple[Path, gpen_video.RunSummary, Watcher]) -> None:
    assert sound(clip) == sound(restored[0])


def test_the_observer_is_told(clip: Path, restored: tuple[Path, gpen_video.RunSummary, Watcher]) -> None:
    _, summary, watcher = restored
    assert watcher.plan is not None and watcher.last is not None
    assert watcher.plan.codec == "ffv1"
    assert watcher.plan.restorer == "gpen-lite-256"
    assert any("aac" in line for line in watcher.plan.carried)
    assert watcher.last.frames == summary.frames == summary.faces
    assert (summary.tracks, summary.shots) == (1, 1)
    faces = ["detect", "track", "crop", "gate", "restore", "steady", "guard", "grain", "mask", "paste"]
    assert list(summary.stage_seconds) == ["decode", "shots", *faces, "encode"]
    assert all(seconds > 0 for seconds in summary.stage_seconds.values())


def test_strength_zero_changes_nothing(clip: Path, tmp_path: Path, small_network: str) -> None:
    target = tmp_path / "same.mkv"
    restore_video(clip, target, settings(encode=LOSSLESS, restore={"strength": 0, "weights": small_network}))
    assert np.array_equal(pictures(clip), pictures(target))


def test_the_result_does_not_depend_on_batch_and_wait(
    clip: Path, restored: tuple[Path, gpen_video.RunSummary, Watcher], tmp_path: Path
) -> None:
    target = tmp_path / "again.mkv"
    other = settings(encode=LOSSLESS, detect={"batch": 1}, restore={"batch": 1, "max_wait": 0}, media={"prefetch": 1})
    restore_video(clip, target, other)
    assert np.array_equal(pictures(restored[0]), pictures(target))


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_existing_target_is_kept_unless_told(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "there.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        restore_video(clip, target)
    assert target.read_bytes() == b"precious"
    assert left_behind(tmp_path) == ["there.mp4"]


def test_a_source_is_never_its_own_target(clip: Path) -> None:
    before = clip.read_bytes()
    with pytest.raises(UsageError, match="source itself"):
        restore_video(clip, clip, overwrite=True)
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"restore": {"device": "cuda:99"}}, DeviceError, "cuda:99"),
        ({"restore": {"weights": "no-such-weights"}}, WeightsError, "no-such-weights"),
        ({"encode": {"codec": "libx999"}}, gpen_video.ConfigError, "libx999"),
        ({"encode": {"options": {"no_such_option": "1"}}}, gpen_video.ConfigError, "no_such_option"),
    ],
)
def test_what_cannot_be_is_refused_before_work(
    clip: Path, tmp_path: Path, changes: dict[str, dict[str, object]], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        restore_video(clip, tmp_path / "out.mp4", settings(**changes))
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path) == []


def truncated(clip: Path, folder: Path) -> Path:
    """The clip as Matroska, cut off in the middle."""
    whole, part = folder / "whole.mkv", folder / "part.mkv"
    with av.open(str(clip)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = whole.read_bytes()
    part.write_bytes(data[: len(data) * 6 // 10])
    whole.unlink()
    return part


def test_a_truncated_film_is_refused_and_names_the_frame(clip: Path, tmp_path: Path) -> None:
    part = truncated(clip, tmp_path)
    with pytest.raises(DecodeError, match=r"part\.mkv: frame \d+"):
        restore_video(part, tmp_path / "out.mkv")
    assert left_behind(tmp_path) == ["part.mkv"]


def test_a_truncated_film_is_restored_as_far_as_it_goes_if_tolerated(
    clip: Path, tmp_path: Path, small_network: str
) -> None:
    part, watcher = truncated(clip, tmp_path), Watcher()
    how = settings(media={"tolerant": True}, restore={"weights": small_network})
    summary = restore_video(part, tmp_path / "out.mkv", how, observer=watcher)
    assert 0 < summary.frames < len(times(clip))
    assert len(times(tmp_path / "out.mkv")) == summary.frames
    assert len(watcher.warnings) == 1 and "frame" in watcher.warnings[0]


def heed_sigint() -> None:
    """A shell's background jobs, of which this test may be one, start with SIGINT ignored, and so would theirs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_in_the_middle_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gpen_video", str(SAMPLE), str(tmp_path / "out.mp4")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_sigint)
    deadline = time.monotonic() + 120
    while not any(path.stat().st_size for path in tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)  # until the first restored frames are on disk
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in said and "Traceback" not in said
    assert left_behind(tmp_path) == []


def test_a_full_disk_is_one_clear_line(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit on the file's size fails a write half-way, as a full disk does; Python ignores the signal of it."""
    options = ["--codec", "ffv1", "--crf", "none", "--encoder-option", "level=3"]
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        code = main([str(clip), str(tmp_path / "out.mkv"), *options])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err.splitlines()
    assert code == 5, said
    assert [line for line in said if "warning" not in line] == [said[-1]]
    assert left_behind(tmp_path) == []


CLIPS = ["chaplin.mp4", "grid_bbaf2n.mpg", "asl_yes.mkv", "portrait_ac3.mkv", "foreman_h264.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_keep_their_frames_and_times(shared: Path, tmp_path: Path, name: str) -> None:
    source, target = shared / "media" / "faces" / name, tmp_path / "restored.mkv"
    summary = restore_video(source, target)
    want, have = times(source), times(target)
    assert summary.faces > 0
    assert len(want) == len(have) == summary.frames
    assert all(abs(a - b) <= Fraction(1, 1000) for a, b in zip(want, have, strict=True))
    assert sound(source) == sound(target)
