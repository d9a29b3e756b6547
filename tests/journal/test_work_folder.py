"""The work folder: one run at a time, and nothing left of a run that kept nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpen_video.errors import InUseError, OutputError
from gpen_video.journal import held, work_folder_of, work_folders_in

HOLD = """
import sys, time
from pathlib import Path
from gpen_video.journal import held
with held(Path(sys.argv[1])) as folder:
    (folder.path / "00000.video").write_text("kept")
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_another_process_is_kept_out_until_it_is_killed(tmp_path: Path) -> None:
    path = work_folder_of(tmp_path / "out.mkv")
    with holder(path) as process:
        with pytest.raises(InUseError, match=rf"another run .*process {process.pid} on ") as caught, held(path):
            pytest.fail("held twice")
        assert "\n" not in str(caught.value)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with held(path) as folder:
        assert (folder.path / "00000.video").read_text() == "kept"
        assert not folder.is_empty
        folder.clear()
        assert folder.is_empty
    assert not path.exists()


def test_it_is_removed_when_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / ".out.gpen-work"
    with pytest.raises(ValueError, match="stop"), held(path):
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_speaks_of_is_removed(tmp_path: Path) -> None:
    with held(tmp_path / ".out.gpen-work") as folder:
        for name in ("journal", "00000.video", "00001.video"):
            (folder.path / name).touch()
        folder.tidy(frozenset({"00000.video"}))
        assert {"journal", "00000.video"} <= {path.name for path in folder.path.iterdir()}
        assert not (folder.path / "00001.video").exists()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"), held(tmp_path / "none" / ".out.gpen-work"):
        pytest.fail("held")


def test_names(tmp_path: Path) -> None:
    long = [tmp_path / ("x" * 200 + end) for end in "ab"]
    folders = {work_folder_of(path) for path in (*long, tmp_path / "out.mkv", tmp_path / "out.mp4")}
    assert len(folders) == 4
    assert all(len(os.fsencode(path.name)) < 200 for path in folders)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    made = [work_folder_of(below / "one.mkv"), work_folder_of(tmp_path / "two.mkv")]
    for path in made:
        path.mkdir()
    assert work_folders_in(tmp_path) == sorted(made)
