"""A run that is stopped goes on, and what comes out is what an uninterrupted run makes, byte for byte."""

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpen_video.cli.app import main
from gpen_video.config import Settings
from gpen_video.errors import JournalError, OutputError
from gpen_video.journal import work_folder_of
from gpen_video.pipeline import Extras, NoObserver, Progress, RunSummary, restore_video, resume_info
from tests.cli.command import gpen_video
from tests.media.factories import listed_frames, listed_packets
from tests.pipeline.clips import interlaced, sample_greys, write

SETTINGS = {
    "encode": {"codec": "ffv1", "crf": None, "preset": None},
    "segments": {"shortest": 4, "longest": 16},
    "restore": {"steady_detail": 0.5},  # a shorter memory, and so a shorter way to warm up
}
FRAMES = 38
PARTS = [(0, 16), (16, 20), (20, 30), (30, 38)]
"""A shot of 20 frames, divided at 16; one of 10 without a face; and one of 8."""


class StoppedError(Exception):
    """What stops the runs of these tests."""


class Stopper(NoObserver):
    """Stops the run at a frame; keeps the warnings."""

    def __init__(self, at: int = 10**9) -> None:
        self.at = at
        self.warnings: list[str] = []

    def progressed(self, progress: Progress) -> None:
        if progress.frames >= self.at:
            raise StoppedError

    def warned(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def how(small_network: str) -> Settings:
    return settings(restore={"steady_detail": 0.5, "weights": small_network})


def settings(**changes: dict[str, Any]) -> Settings:
    return Settings.model_validate(SETTINGS | changes)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    greys = sample_greys(28)
    wall = np.tile(np.arange(greys[0].shape[1], dtype=np.uint8) // 3, (greys[0].shape[0], 1))
    shots = [*greys[:20], *[np.roll(wall, 2 * index, axis=1) for index in range(10)], *[g[:, ::-1] for g in greys[20:]]]
    return write(tmp_path_factory.mktemp("film") / "film.mkv", shots, 24)


def extras_at(folder: Path) -> Extras:
    return Extras(report=folder / "record.json", matte=folder / "matte.mkv")


Whole = tuple[Path, RunSummary]


@pytest.fixture(scope="module")
def whole(film: Path, how: Settings, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    summary = restore_video(film, folder / "out.mkv", how, extras=extras_at(folder))
    return folder, summary


def assert_same(folder: Path, whole: Whole) -> None:
    """The same files, but for where they are and when the record was written."""
    for name in ("out.mkv", "matte.mkv"):
        assert (folder / name).read_bytes() == (whole[0] / name).read_bytes()
    one, other = (json.loads((place / "record.json").read_text()) for place in (folder, whole[0]))
    for key in ("shots", "tracks", "decisions", "settings", "carried"):
        assert one[key] == other[key]
    assert sorted(path.name for path in folder.iterdir()) == ["matte.mkv", "out.mkv", "record.json"]


def test_the_whole_is_the_source_divided(film: Path, whole: Whole) -> None:
    folder, summary = whole
    assert (summary.frames, summary.frames_before, summary.shots, summary.tracks) == (FRAMES, 0, 3, 2)
    assert [row.seconds for row in listed_frames(folder / "out.mkv")] == [row.seconds for row in listed_frames(film)]
    assert len(listed_packets(folder / "out.mkv", "v:0")) == FRAMES
    record = json.loads((folder / "record.json").read_text())
    assert [track["frames"] for track in record["tracks"]] == [[[0, 19]], [[30, 37]]]  # one face through two segments


@pytest.mark.parametrize(
    "at",
    [pytest.param([5], marks=pytest.mark.slow), [17, 31], [FRAMES]],
    ids=["first", "twice", "end"],
)
def test_stopped_it_goes_on_to_the_same_film(
    film: Path, how: Settings, whole: Whole, tmp_path: Path, at: list[int]
) -> None:
    target, extras = tmp_path / "out.mkv", extras_at(tmp_path)
    for stop in at:
        watcher = Stopper(stop)
        with pytest.raises(StoppedError):
            restore_video(film, target, how, extras=extras, observer=watcher)
        finished = max((end for _, end in PARTS if end < stop), default=0)
        assert any(f"{finished} frames" in warning for warning in watcher.warnings) == (finished > 0)
        assert work_folder_of(target).exists() == (finished > 0)
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    summary = restore_video(film, target, how, extras=extras, resume="require" if finished else "auto")
    assert summary.frames_before == finished
    assert (summary.frames, summary.faces, summary.tracks, summary.shots) == (
        FRAMES,
        whole[1].faces,
        whole[1].tracks,
        whole[1].shots,
    )
    assert_same(tmp_path, whole)


@pytest.fixture(scope="module")
def kept(film: Path, how: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a run left that finished two segments."""
    base = tmp_path_factory.mktemp("stopped")
    (base / "now").mkdir()
    with pytest.raises(StoppedError):
        restore_video(film, base / "now" / "out.mkv", how, extras=extras_at(base / "now"), observer=Stopper(22))
    return (base / "now").rename(base / "kept")


@pytest.fixture
def stopped(kept: Path) -> Path:
    """The folder of that run, each time as it was left, where it was made."""
    now = kept.with_name("now")
    shutil.rmtree(now, ignore_errors=True)
    return shutil.copytree(kept, now)


def test_resume_info_tells_and_removes(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = stopped / "out.mkv"
    (info,) = resume_info(stopped)
    assert (info,) == resume_info(target)
    assert (info.frames, info.segments, info.result, info.restored, info.in_use) == (20, 2, str(target), False, False)
    files = [path for path in info.folder.iterdir() if path.name[0].isdecimal()]
    assert info.bytes == sum(path.stat().st_size for path in files)
    assert main(["resume-info", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["frames"] == 20
    assert main(["resume-info", str(stopped), "--remove", "-v"]) == 0
    told = capsys.readouterr()
    assert "20 of" in told.out and "removed" in told.err
    assert list(stopped.iterdir()) == []
    assert main(["resume-info", str(target)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_the_user_is_told(film: Path, stopped: Path, small_network: str) -> None:
    command = [film, stopped / "out.mkv", "--resume=require", "-v", f"--report={stopped / 'record.json'}"]
    options = stopped / "options.toml"
    options.write_text(
        "encode = {codec = 'ffv1'}\nsegments = {shortest = 4, longest = 16}\n"
        f"restore = {{steady_detail = 0.5, weights = '{small_network}'}}\n"
    )
    told = gpen_video(*command, f"--matte={stopped / 'matte.mkv'}", f"--config={options}", "--crf=none")
    assert told.returncode == 5  # the encoder's preset is another
    assert "nothing to go on with" in told.stderr and "encode.preset" in told.stderr
    told = gpen_video(
        *command, f"--matte={stopped / 'matte.mkv'}", f"--config={options}", "--crf=none", "--set=encode.preset=none"
    )
    assert told.returncode == 0, told.stderr
    assert "going on: 20 frames are finished" in told.stderr
    assert "38 frames (20 by an earlier run)" in told.stderr


class Remover(Stopper):
    """Takes the storage away."""

    def progressed(self, progress: Progress) -> None:
        if progress.frames >= self.at and self.folder.exists():
            shutil.rmtree(self.folder)

    folder = Path()


def test_storage_that_vanishes_is_told(film: Path, how: Settings, tmp_path: Path) -> None:
    watcher = Remover(5)
    watcher.folder = tmp_path / "share"
    watcher.folder.mkdir()
    with pytest.raises(OutputError, match="cannot be written") as caught:
        restore_video(film, watcher.folder / "out.mkv", how, observer=watcher)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_settings_start_anew_and_say_why(film: Path, how: Settings, stopped: Path) -> None:
    target, watcher = stopped / "out.mkv", Stopper(3)
    other = how.model_copy(update={"blend": how.blend.model_copy(update={"feather": 0.2})})
    with pytest.raises(JournalError, match=r"blend\.feather = 0\.12 \(now 0\.2\)") as caught:
        restore_video(film, target, other, extras=extras_at(stopped), resume="require")
    assert "\n" not in str(caught.value)
    assert resume_info(target)[0].frames == 20  # nothing was lost
    with pytest.raises(StoppedError):
        restore_video(film, target, other, extras=extras_at(stopped), observer=watcher)
    assert any("starting anew" in warning and "blend.feather" in warning for warning in watcher.warnings)
    assert list(stopped.iterdir()) == []


def cut_journal(folder: Path) -> None:
    journal = folder / "journal"
    journal.write_bytes(journal.read_bytes()[:-9])


def spoil(folder: Path) -> None:
    with (folder / "00001.video").open("r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(b"\0")


def lose(folder: Path) -> None:
    (folder / "00000.notes").unlink()


@pytest.mark.parametrize(
    ("harm", "finished", "says"),
    [(cut_journal, 16, None), (spoil, 16, "segment 1"), (lose, 4, "segment 0")],
    ids=["journal cut off", "segment damaged", "notes lost"],
)
def test_what_is_damaged_is_made_again(
    film: Path,
    how: Settings,
    whole: Whole,
    stopped: Path,
    harm: Callable[[Path], None],
    finished: int,
    says: str | None,
) -> None:
    harm(work_folder_of(stopped / "out.mkv"))
    watcher = Stopper()
    summary = restore_video(film, stopped / "out.mkv", how, extras=extras_at(stopped), observer=watcher)
    assert summary.frames_before == finished
    assert [says in warning for warning in watcher.warnings if says] == ([True] if says else [])
    assert_same(stopped, whole)


def test_it_keeps_to_the_threads_with_which_it_was_begun(
    film: Path, how: Settings, whole: Whole, stopped: Path
) -> None:
    torch.set_num_threads(1)
    try:
        restore_video(film, stopped / "out.mkv", how, extras=extras_at(stopped), resume="require")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(2)
    assert_same(stopped, whole)


def test_a_newer_journal_is_left_alone(film: Path, how: Settings, stopped: Path) -> None:
    journal = work_folder_of(stopped / "out.mkv") / "journal"
    text = '{"format":"gpen-video/journal/2"}'
    journal.write_bytes(f"{zlib.crc32(text.encode()):08x} {text}\n".encode())
    before = sorted(journal.parent.iterdir())
    with pytest.raises(JournalError, match="newer gpen-video"):
        restore_video(film, stopped / "out.mkv", how, extras=extras_at(stopped))
    assert sorted(journal.parent.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "changes"),
    [("progressive", {"detect": {"every": 3}}), ("interlaced", {"media": {"filters": "hqdn3d=8"}})],
    ids=["detected now and then", "interlaced and filtered"],
)
def test_all_kinds_of_reading_go_on_within_a_shot(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    path, how = tmp_path / "film.mkv", settings(**changes, restore={"steady_detail": 0.0})
    film = interlaced(path, 20, step=2) if kind == "interlaced" else write(path, sample_greys(20), 24)
    once = restore_video(film, tmp_path / "once.mkv", how)
    with pytest.raises(StoppedError):
        restore_video(film, tmp_path / "twice.mkv", how, observer=Stopper(18))
    twice = restore_video(film, tmp_path / "twice.mkv", how, resume="require")
    assert twice.frames_before == 16
    assert (once.frames, once.faces, once.tracks, once.shots) == (twice.frames, twice.faces, twice.tracks, twice.shots)
    assert (tmp_path / "once.mkv").read_bytes() == (tmp_path / "twice.mkv").read_bytes()
