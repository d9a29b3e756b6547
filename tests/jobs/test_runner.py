"""Good and bad films in real workers, one of which is killed; and what other runs make of what is there."""

import csv
import json
import multiprocessing
import os
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import av
import pytest

from gpen_video.errors import InUseError, UnknownWeightsError
from gpen_video.jobs.hurry import Hurry
from gpen_video.jobs.job import Batch, Job
from gpen_video.jobs.outcome import BatchResult
from gpen_video.jobs.pool import device_names, threads_each
from gpen_video.jobs.report import COLUMNS, film_report_name
from gpen_video.jobs.retry import Pauses
from gpen_video.jobs.runner import BatchOptions, run_batch
from gpen_video.jobs.state import batch_state, state_path
from gpen_video.jobs.worker import Moved
from gpen_video.journal import held, work_folder_of
from tests.cli.films import make_film
from tests.jobs.watching import JOBS, Watching, by_name, written_batch

pytestmark = pytest.mark.filterwarnings("ignore")
STRANGE = ("plain.mkv", 'it\'s "quoted" & <b>bold  ü.mkv')
VICTIM = "victim.mkv"
if os.name != "nt":
    STRANGE += ("line\nbreak.mkv",)


def films(folder: Path) -> None:
    (folder / "in").mkdir()
    good = make_film(folder / "good.mkv", frames=5, width=64, height=48)
    for name in (*STRANGE, "theirs.mkv", "held.mkv"):
        shutil.copy(good, folder / "in" / name)
    make_film(folder / "in" / VICTIM, frames=60, width=320, height=240)
    (folder / "in" / "text.mkv").write_text("no film", encoding="utf-8")
    (folder / "in" / "empty.mkv").touch()
    (folder / "in" / "cut.mkv").write_bytes(good.read_bytes()[:700])
    (folder / "out").mkdir()
    (folder / "out" / "theirs.mkv").write_text("somebody else's", encoding="utf-8")


@dataclass
class FirstRun:
    folder: Path
    batch: Batch
    result: BatchResult
    watching: Watching

    @property
    def finished(self) -> Batch:
        """The films of the batch that the first run finished: another run needs no worker for them."""
        done = {outcome.target for outcome in self.result.outcomes if outcome.status == "done"}
        return replace(self.batch, jobs=tuple(job for job in self.batch.jobs if job.target in done))

    def copied(self, to: Path, text: str = JOBS) -> Batch:
        """What it left, in another folder; times as they were."""
        shutil.copytree(self.folder, to, dirs_exist_ok=True)
        done = {job.source.name for job in self.finished.jobs}
        batch = written_batch(to, text)
        return replace(batch, jobs=tuple(job for job in batch.jobs if job.source.name in done))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    folder = tmp_path_factory.mktemp("first")
    films(folder)
    batch, watching = written_batch(folder), Watching()
    killed: list[int] = []

    def kill_once(job: Job, moved: Moved, worker: int) -> None:
        if job.source.name == VICTIM and moved.frames and not killed:
            process = next(
                child for child in multiprocessing.active_children() if child.name == f"gpen-video worker {worker}"
            )
            assert process.pid is not None
            killed.append(process.pid)
            process.kill()

    watching.when_moved = kill_once
    options = BatchOptions(workers=2, devices=("cpu",), pauses=Pauses(first=0.1), command_line=("gpen-video", "batch"))
    with held(work_folder_of(folder / "out" / "held.mkv")):  # as a run of that one film does
        result = run_batch(batch, options, observer=watching)
    assert killed
    return FirstRun(folder, batch, result, watching)


def frames(film: Path) -> int:
    with av.open(str(film)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_good_films_are_done_whatever_their_names(first: FirstRun) -> None:
    for name in STRANGE:
        outcome = by_name(first.result)[name]
        assert (outcome.status, outcome.attempts, outcome.failure) == ("done", 1, None)
        assert frames(outcome.target) == 5
        assert outcome.figures is not None and outcome.figures.frames == 5
        record = json.loads(outcome.record.read_text(encoding="utf-8")) if outcome.record else {}
        assert record["command_line"] == ["gpen-video", "batch"]
        device = next(setting for setting in record["settings"] if setting["name"] == "restore.device")
        assert (device["value"], device["source"]) == ("cpu", "command line")


def test_broken_films_fail_alone_once_and_are_explained(first: FirstRun) -> None:
    for name in ("text.mkv", "empty.mkv", "cut.mkv"):
        outcome = by_name(first.result)[name]
        assert (outcome.status, outcome.attempts) == ("failed", 1)
        assert outcome.failure is not None
        assert outcome.failure.kind in ("ProbeError", "DecodeError")
        assert name in outcome.failure.line and "\n" not in outcome.failure.line
        assert not outcome.target.exists()


def test_a_killed_worker_costs_one_attempt_of_one_film(first: FirstRun) -> None:
    outcome = by_name(first.result)[VICTIM]
    assert (outcome.status, outcome.attempts) == ("done", 2)
    assert frames(outcome.target) == 60
    assert [name for name, _ in first.watching.retried] == [VICTIM]
    assert "SIGKILL" in first.watching.retried[0][1].line


def test_another_runs_film_and_another_ones_result_are_left_alone(first: FirstRun) -> None:
    held, theirs = by_name(first.result)["held.mkv"], by_name(first.result)["theirs.mkv"]
    assert (held.status, theirs.status) == ("busy", "exists")
    assert held.failure is not None and theirs.failure is not None
    assert f"process {os.getpid()} on {socket.gethostname()}" in held.failure.line
    assert "--overwrite" in theirs.failure.line
    assert theirs.target.read_text(encoding="utf-8") == "somebody else's"
    assert not held.target.exists()


def test_nothing_else_is_left_behind(first: FirstRun) -> None:
    done = {outcome.target.name for outcome in first.result.outcomes if outcome.status == "done"}
    hidden = {path.name for path in (first.folder / "out").iterdir() if not path.name.startswith(f".{VICTIM}")}
    assert hidden == done | {f"{name}.json" for name in done} | {"theirs.mkv"}
    assert not multiprocessing.active_children()


def test_reports_say_what_became_of_each(first: FirstRun) -> None:
    folder = first.folder / "jobs-report"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["finished"] and not report["succeeded"]
    expected = {str(outcome.target): outcome.status for outcome in first.result.outcomes}
    assert {film["target"]: film["status"] for film in report["films"]} == expected
    assert report["counts"] == {
        "films": len(expected),
        **{status: list(expected.values()).count(status) for status in set(expected.values())},
    }
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["target"]: row["status"] for row in rows} == expected
    assert tuple(rows[0]) == COLUMNS
    for outcome in first.result.outcomes:
        film = json.loads((folder / film_report_name(outcome)).read_text(encoding="utf-8"))
        assert (film["source"], film["status"]) == (str(outcome.source), outcome.status)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<b>bold" not in page and "&lt;b&gt;bold" in page


def test_a_second_run_does_nothing_again(first: FirstRun) -> None:
    watching = Watching()
    before = {job.target: job.target.stat() for job in first.finished.jobs}
    result = run_batch(first.finished, BatchOptions(), observer=watching)
    assert result.succeeded
    assert {outcome.status for outcome in result.outcomes} == {"skipped"}
    assert watching.told == []
    assert {job.target: job.target.stat() for job in first.finished.jobs} == before
    again = by_name(result)[VICTIM]
    assert again.figures == by_name(first.result)[VICTIM].figures, "what the first run measured"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("settings", "other settings"),
        ("source", "another source"),
        ("result", "changed since"),
        ("report", "is missing"),
        ("state", "not made by this batch"),
    ],
)
def test_what_does_not_fit_is_left_alone_and_said(first: FirstRun, tmp_path: Path, change: str, said: str) -> None:
    text = JOBS.replace("[settings]", "[settings]\nrestore.strength = 0.5") if change == "settings" else JOBS
    batch = first.copied(tmp_path, text)
    job = next(job for job in batch.jobs if job.source.name == "plain.mkv")
    if change == "source":
        os.utime(job.source, (1, 1))
    elif change == "result":
        with job.target.open("ab") as file:
            file.write(b"\0")
    elif change == "report":
        job.side_files[0].unlink()
    elif change == "state":
        state_path(batch.path).unlink()
    outcome = by_name(run_batch(replace(batch, jobs=(job,))))["plain.mkv"]
    assert outcome.status == "exists"
    assert outcome.failure is not None
    assert said in outcome.failure.line


def test_settings_that_show_in_no_result_do_not_count(first: FirstRun, tmp_path: Path) -> None:
    batch = first.copied(tmp_path, JOBS.replace("[settings]", "[settings]\nmedia.prefetch = 3\nrestore.batch = 5"))
    assert {outcome.status for outcome in run_batch(batch).outcomes} == {"skipped"}


def test_a_collection_that_was_moved_knows_its_films(first: FirstRun, tmp_path: Path) -> None:
    assert {outcome.status for outcome in run_batch(first.copied(tmp_path)).outcomes} == {"skipped"}


def test_without_its_state_a_batch_takes_over_what_is_proved(first: FirstRun, tmp_path: Path) -> None:
    batch = first.copied(tmp_path)
    state_path(batch.path).unlink()
    touched, changed = batch.jobs[0], batch.jobs[1]
    os.utime(touched.source, (1, 1))  # a copy; its content is the same
    with changed.target.open("ab") as file:
        file.write(b"\0")
    result = run_batch(batch, BatchOptions(adopt=True))
    statuses = {outcome.target: outcome.status for outcome in result.outcomes}
    assert statuses.pop(changed.target) == "exists"
    assert set(statuses.values()) == {"skipped"}
    adopted = next(outcome for outcome in result.outcomes if outcome.target == touched.target)
    known = next(o for o in first.result.outcomes if o.target.name == touched.target.name)
    assert adopted.figures is not None and known.figures is not None
    assert (adopted.figures.frames, adopted.figures.shots) == (known.figures.frames, known.figures.shots)
    later = run_batch(batch)
    assert {outcome.target: outcome.status for outcome in later.outcomes} == statuses | {changed.target: "exists"}


def test_two_runs_of_one_batch_at_once_are_refused(first: FirstRun) -> None:
    with batch_state(first.batch.path), pytest.raises(InUseError, match=rf"process {os.getpid()} on "):
        run_batch(first.batch)


def test_weights_that_do_not_load_stop_the_batch_before_anything_is_begun(first: FirstRun, tmp_path: Path) -> None:
    batch = written_batch(_one_film(first, tmp_path), JOBS.replace("[settings]", '[settings]\nrestore.weights = "no"'))
    watching = Watching()
    with pytest.raises(UnknownWeightsError, match="no weights of this name"):
        run_batch(batch, observer=watching)
    assert ("began", "plain.mkv") not in watching.told
    assert not (tmp_path / "out").exists()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_batch_that_is_stopped_goes_on_next_time(first: FirstRun, tmp_path: Path) -> None:
    shutil.copytree(first.folder / "in", tmp_path / "in", ignore=lambda _, names: set(names) - {VICTIM, "plain.mkv"})
    batch = written_batch(tmp_path)
    watching, hurry = Watching(), Hurry()

    def stop(job: Job, moved: Moved, worker: int) -> None:
        if job.source.name == VICTIM and moved.frames:
            hurry.stop()

    watching.when_moved = stop
    result = run_batch(batch, observer=watching, hurry=hurry)
    assert {name: outcome.status for name, outcome in by_name(result).items()} == {
        "plain.mkv": "done",
        VICTIM: "stopped",
    }
    assert not result.finished
    assert not (tmp_path / "out" / VICTIM).exists()
    assert not multiprocessing.active_children()
    report = json.loads((tmp_path / "jobs-report" / "report.json").read_text(encoding="utf-8"))
    assert report["counts"] == {"films": 2, "done": 1, "stopped": 1}


def _one_film(first: FirstRun, folder: Path) -> Path:
    (folder / "in").mkdir()
    shutil.copy2(first.folder / "in" / "plain.mkv", folder / "in")
    return folder


def test_device_names() -> None:
    assert device_names("cuda:0,1") == ("cuda:0", "cuda:1")
    assert device_names("cpu") == ("cpu",)
    assert device_names("cuda:1, cpu,cpu") == ("cuda:1", "cpu", "cpu")
    for wrong in ("", "0,1", "cuda:0,,1"):
        with pytest.raises(Exception, match="--device"):
            device_names(wrong)


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads_each(1) == cores
    assert threads_each(1000) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads_each(1) == 1
