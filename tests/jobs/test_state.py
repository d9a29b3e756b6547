"""What a batch remembers, killed and damaged in every way that a file can be."""

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpen_video.errors import InUseError, JournalError, OutputError
from gpen_video.jobs.digest import job_digest
from gpen_video.jobs.lock import lock_path, locked
from gpen_video.jobs.outcome import Figures
from gpen_video.jobs.state import FinishedFilm, batch_state, state_path
from gpen_video.jobs.triage import look_at
from gpen_video.journal import start_journal
from gpen_video.media.fingerprint import Fingerprint, fingerprint, result_fingerprint
from tests.jobs.watching import written_batch

A, B = Fingerprint(1, 2, "a"), Fingerprint(3, 4, "b")


def film(target: Path, warnings: tuple[str, ...] = ()) -> FinishedFilm:
    figures = Figures(frames=5, faces=2, tracks=1, shots=1, seconds=1.5)
    return FinishedFilm(target=target, source=A, result=B, settings="s", figures=figures, warnings=warnings)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20), min_size=1, max_size=4))
def test_what_was_added_is_there_again(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("state")
    batch = folder / "jobs.toml"
    films = {name: film(folder / name, (name,)) for name in names}
    with batch_state(batch) as state:
        for each in films.values():
            state.add(each)
    with batch_state(batch) as state:
        assert {name: state.film(folder / name) for name in names} == films
        assert state.film(folder / "another/one") is None


def test_a_cut_off_line_never_happened(tmp_path: Path) -> None:
    batch = tmp_path / "jobs.toml"
    with batch_state(batch) as state:
        state.add(film(tmp_path / "one"))
        state.add(film(tmp_path / "two"))
    path = state_path(batch)
    path.write_bytes(path.read_bytes()[:-10])
    with batch_state(batch) as state:
        assert state.film(tmp_path / "one") is not None
        assert state.film(tmp_path / "two") is None
        state.add(film(tmp_path / "three"))
    with batch_state(batch) as state:
        assert state.film(tmp_path / "three") is not None


def test_other_damage_is_told_and_nothing_is_overwritten(tmp_path: Path) -> None:
    batch, path = tmp_path / "jobs.toml", state_path(tmp_path / "jobs.toml")
    with batch_state(batch) as state:
        state.add(film(tmp_path / "one"))
        state.add(film(tmp_path / "two"))
    whole = path.read_bytes()
    for damaged in (whole.replace(b'"one"', b'"0ne"'), b"no journal\nat all\n"):
        path.write_bytes(damaged)
        with pytest.raises(JournalError, match="--adopt") as told, batch_state(batch):
            pass
        assert str(path) in str(told.value) and "--resume" not in str(told.value)
        assert path.read_bytes() == damaged
    path.unlink()
    start_journal(path, {"kind": "film"}).close()
    with pytest.raises(JournalError, match="is not the state of a batch"), batch_state(batch):
        pass
    journal = start_journal(path, {"kind": "batch"})
    journal.append({"event": "done"})
    journal.close()
    with pytest.raises(JournalError, match="not understood"), batch_state(batch):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_disk_that_was_full_leaves_no_broken_line_between_others(tmp_path: Path) -> None:
    import resource

    batch, limits = tmp_path / "jobs.toml", resource.getrlimit(resource.RLIMIT_FSIZE)
    with batch_state(batch) as state:
        state.add(film(tmp_path / "one"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (state_path(batch).stat().st_size + 20, limits[1]))
        try:
            with pytest.raises(OutputError, match="cannot be written"):
                state.add(film(tmp_path / "two"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        state.add(film(tmp_path / "three"))
    with batch_state(batch) as state:
        assert [state.film(tmp_path / name) is not None for name in ("one", "two", "three")] == [True, False, True]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be locked"), batch_state(tmp_path / "jobs.toml"):
        pass


def test_a_film_that_was_finished_by_a_run_that_was_killed_is_ours(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "film.mkv").write_bytes(b"source")
    (job,) = written_batch(tmp_path).jobs
    job.make_folders()
    report = job.side_files[0]
    with batch_state(tmp_path / "jobs.toml") as state:
        report.write_text("{}", encoding="utf-8")
        job.target.write_bytes(b"made by who knows")
        assert look_at(job, state, adopt=False).action == "leave"
        state.begin(job.target, fingerprint(job.source), job_digest(job), result_fingerprint(job.target))
        assert look_at(job, state, adopt=False).action == "leave", "it is still what was there before"
    with batch_state(tmp_path / "jobs.toml") as state:
        job.target.write_bytes(b"made by this batch")
        report.unlink()
        assert look_at(job, state, adopt=False).action == "leave", "its report is not there yet"
        report.write_text("{}", encoding="utf-8")
        finding = look_at(job, state, adopt=False)
        assert finding.action == "skip" and finding.film is not None and finding.is_news
        state.add(finding.film)
    with batch_state(tmp_path / "jobs.toml") as state:
        assert state.begun(job.target) is None
        assert look_at(job, state, adopt=False).action == "skip"
        job.target.unlink()
        finding = look_at(job, state, adopt=False)
        assert finding.action == "leave" and "film.mkv.json is there" in finding.reason
        report.unlink()
        assert look_at(job, state, adopt=False).action == "restore"


def test_overwrite_replaces_others_and_leaves_ones_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "film.mkv").write_bytes(b"source")
    text = '[[job]]\ninputs = "in/*.mkv"\noutput = "out/{stem}.mkv"\n'
    (job,) = written_batch(tmp_path, text, overwrite=True).jobs
    job.make_folders()
    job.target.write_bytes(b"result")
    with batch_state(tmp_path / "jobs.toml") as state:
        assert look_at(job, state, adopt=False).action == "restore"
        source, result = fingerprint(job.source), result_fingerprint(job.target)
        own = FinishedFilm(target=job.target, source=source, result=result, settings=job_digest(job), figures=None)
        state.add(own)
        assert look_at(job, state, adopt=False).film == own
        assert look_at(written_batch(tmp_path, text).jobs[0], state, adopt=False).film == own


def test_a_lock_says_who_holds_it_and_goes_away(tmp_path: Path) -> None:
    for name in ("film.mkv", "f" * 255):
        file = tmp_path / name
        with locked(file, "it"):
            held_by = json.loads(lock_path(file).read_text(encoding="utf-8"))
            assert held_by["pid"] == os.getpid()
            with pytest.raises(InUseError, match=f"it is in use by process {os.getpid()} on {held_by['host']}"):  # noqa: SIM117
                with locked(file, "it"):
                    pass
        with locked(file, "it"):
            pass
        assert list(tmp_path.iterdir()) == []
