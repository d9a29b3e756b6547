"""``gpen-video batch`` as it is used: what it prints, how it ends, and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from gpen_video.cli import batch
from gpen_video.cli.app import main
from gpen_video.cli.batch_display import BatchDisplay
from gpen_video.cli.console import Console
from gpen_video.config import Settings
from gpen_video.jobs.job_file import load_batch
from gpen_video.jobs.outcome import Failure, Figures, Outcome
from gpen_video.jobs.worker import Moved
from gpen_video.pipeline import restore_video
from tests.cli.films import make_film
from tests.pipeline.test_segment_work import Stop

Capture = pytest.CaptureFixture[str]
JOBS = """
[settings]
restore.device = "cpu"
encode.preset = "ultrafast"
detect.long_side = 64

[[job]]
inputs = "in/*.mkv"
output = "out/{stem}.mkv"
"""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    (folder / "in").mkdir()
    make_film(folder / "in" / "[red] one.mkv", frames=4, width=64, height=48)
    (folder / "in" / "broken.mkv").write_text("no film", encoding="utf-8")
    (folder / "jobs.toml").write_text(JOBS, encoding="utf-8")
    return folder


def test_a_run_and_what_the_next_ones_make_of_it(collection: Path, capsys: Capture) -> None:
    jobs, reports = str(collection / "jobs.toml"), collection / "my reports"
    arguments = ["batch", jobs, "--jobs", "1", "--retries", "0", "--report-dir", str(reports), "--set", "track.lag=3"]
    assert main(arguments) == 8
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 3
    assert any(line.startswith(f"{collection}/in/[red] one.mkv: done, 4 frames, 0 faces in ") for line in lines), lines
    assert any(line.startswith("gpen-video: warning: ") and "broken.mkv" in line for line in lines)
    assert lines[-1] == f"gpen-video: error: 1 of 2 films are not done; {reports}/report.html says why"
    assert {path.name for path in reports.iterdir()} == {"films", "report.html", "report.json", "report.csv"}
    (collection / "in" / "broken.mkv").rename(collection / "broken.mkv")
    assert main(["batch", jobs, "--report-dir", str(reports)]) == 8, "other settings"
    assert "other settings; --overwrite" in capsys.readouterr().err
    assert main(arguments) == 0
    assert capsys.readouterr().err == ""
    assert main([*arguments, "-v"]) == 0
    assert "1 films done, 1 of them before" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.toml"], "none.toml"),
        (["jobs.toml", "--device", "0"], "--device 0: write names"),
        (["jobs.toml", "--jobs", "0"], "argument --jobs: '0': should be a whole number from 1 to 1000"),
        (["jobs.toml", "--retries", "-1"], "--retries"),
        (["jobs.toml", "--settle", "soon"], "argument --settle: 'soon': should be a number of seconds"),
        (["jobs.toml", "--watch", "nowhere"], "nowhere is no folder"),
        (["jobs.toml", "--set", "track.lagg=3"], "did you mean track.lag?"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], said: str, collection: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(collection)
    assert main(["batch", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gpen-video: error: ")
    assert said in line


def test_every_error_of_a_batch_file_has_its_line(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "jobs.toml").write_text('[[job]]\ninputs = "*.mkv"\noutput = "{stm}.mkv"\n', encoding="utf-8")
    assert main(["batch", str(tmp_path / "jobs.toml")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in lines] == [["gpen-video", " error"]] * 2
    assert f"{tmp_path}/jobs.toml:2: " in lines[0] and f"{tmp_path}/jobs.toml:3: " in lines[1]


def test_a_hot_folder_may_be_empty(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "jobs.toml").write_text(JOBS, encoding="utf-8")
    arguments = batch.build_parser().parse_args([str(tmp_path / "jobs.toml"), "--watch", str(tmp_path / "in")])
    assert batch._loader(arguments)().jobs == ()
    (tmp_path / "in" / "one.mkv").touch()
    assert [job.source.name for job in batch._loader(arguments)().jobs] == ["one.mkv"]
    shutil.rmtree(tmp_path / "in")
    assert main(["batch", str(tmp_path / "jobs.toml")]) == 2
    assert "no file is called so" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.slow
def test_ctrl_c_stops_in_an_orderly_way(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    make_film(tmp_path / "in" / "long.mkv", frames=600, width=320, height=240)
    shutil.copy(tmp_path / "in" / "long.mkv", tmp_path / "in" / "next.mkv")
    (tmp_path / "jobs.toml").write_text(JOBS, encoding="utf-8")
    command = [sys.executable, "-m", "gpen_video", "batch", str(tmp_path / "jobs.toml"), "-v"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, process_group=0)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "begun by worker" in line:
            break
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all
    said += process.stderr.read().splitlines()
    assert process.wait(60) == 130
    assert said[-1] == "gpen-video: error: stopped: 0 of 2 films are done; the same command goes on"
    assert not any("Traceback" in line for line in said)
    report = json.loads((tmp_path / "jobs-report" / "report.json").read_text(encoding="utf-8"))
    assert report["counts"] == {"films": 2, "stopped": 1, "waiting": 1}
    assert [path for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")] == []


def test_the_display_on_a_terminal(collection: Path, tmp_path: Path) -> None:
    console = Console()
    console.err = RichConsole(force_terminal=True, width=110, highlight=False, file=(tmp_path / "screen").open("w"))  # type: ignore[assignment]
    (job, *_) = load_batch(collection / "jobs.toml").jobs
    figures = Figures(frames=40, faces=2, tracks=1, shots=1, seconds=4.0)
    failure = Failure(kind="WorkerDied", line="killed", worth_retrying=True)
    with BatchDisplay(console) as display:
        display.queued(job)
        display.began(job, 0)
        display.moved(job, Moved(20, 40, 1, 2.0))
        display._bar.refresh()
        display.retrying(job, failure, 5.0)
        display.warned(job, "a [bold]warning")
        display.warned(replace(job, source=Path("other.mkv")), "a [bold]warning")
        display.began(job, 0)
        display.ended(Outcome(job="x", line=1, source=job.source, target=job.target, status="done", figures=figures))
    console.err.file.close()
    screen = (tmp_path / "screen").read_text(encoding="utf-8")
    assert "[red] one.mkv" in screen
    assert "20/40 frames, 1 faces, 10 fps, 0:02 left" in screen
    assert screen.count("a [bold]warning") == 1
    assert "killed; tried again in 5 s" in screen
    assert "done, 40 frames, 2 faces in 0:04, 10 fps" in screen
    assert "1 done, 0 left" in screen


def test_few_flags_and_a_new_one_is_a_decision() -> None:
    flags = {flag for action in batch.build_parser()._actions for flag in action.option_strings if flag[:2] == "--"}
    assert flags == {
        *("--help", "--verbose", "--quiet", "--dry-run", "--overwrite", "--adopt", "--report-dir", "--set"),
        *("--jobs", "--device", "--retries", "--watch", "--settle", "--patience", "--offline"),
        *("--engine", "--address", "--workers", "--cpus-per-worker", "--gpus-per-worker", "--storage"),
    }


def test_a_dry_run_writes_nothing_and_says_what_is_to_do(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    make_film(tmp_path / "in" / "one.mkv", frames=30, width=64, height=48)
    (tmp_path / "in" / "theirs.mkv").write_text("a film", encoding="utf-8")
    (tmp_path / "out" / "theirs.mkv").write_text("a result", encoding="utf-8")
    (tmp_path / "jobs.toml").write_text(JOBS, encoding="utf-8")
    settings = Settings.model_validate({"segments": {"shortest": 3, "longest": 16}, "restore": {"device": "cpu"}})
    with pytest.raises(InterruptedError):
        restore_video(tmp_path / "in/one.mkv", tmp_path / "out/one.mkv", settings, observer=Stop(at=20))
    before = sorted(tmp_path.rglob("*"))
    assert main(["batch", str(tmp_path / "jobs.toml"), "--dry-run", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {Path(line.split()[0]).name: line for line in lines if line.startswith("/")}
    assert " to restore " in rows["one.mkv"] and " 30 " in rows["one.mkv"]
    assert "16 frames are finished" in rows["one.mkv"]
    assert " left alone " in rows["theirs.mkv"] and "not made by this batch" in rows["theirs.mkv"]
    assert lines[-1].startswith("1 of 2 films to restore, 1 at a time: about ")
    assert sorted(tmp_path.rglob("*")) == before
