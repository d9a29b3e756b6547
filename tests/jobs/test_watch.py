"""A hot folder: what is taken, and when."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from gpen_video.errors import JobFileError
from gpen_video.jobs.hurry import Hurry
from gpen_video.jobs.job import Batch, Job
from gpen_video.jobs.outcome import Outcome
from gpen_video.jobs.runner import BatchOptions, run_batch
from gpen_video.jobs.watch import HotFolder, Unreadable, Watcher, is_being_written, is_unfinished_name
from tests.cli.films import make_film
from tests.jobs.watching import Watching, by_name, written_batch

SETTLE, PATIENCE = 10.0, 100.0


class Watched:
    """A hot folder whose clock the test moves."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "in"
        self.folder.mkdir()
        self.film = make_film(root / "film.mkv", frames=3, width=64, height=48).read_bytes()
        self.now = 1000.0
        self.warnings: list[str] = []
        self.fault: JobFileError | None = None
        self._root = root
        hot = HotFolder(folder=self.folder, reload=self._reload, settle=SETTLE, patience=PATIENCE)
        self._watcher = Watcher(hot, self.warnings.append, lambda: self.now)

    def _reload(self) -> Batch:
        if self.fault is not None:
            raise self.fault
        if not any(self.folder.glob("*.mkv")):
            return Batch(self._root / "jobs.toml", ())
        return written_batch(self._root)

    def look(self, later: float = 0.0, busy: tuple[Path, ...] = ()) -> list[Job | Unreadable]:
        self.now += later
        return list(self._watcher.arrivals(busy))

    def taken(self, later: float = 0.0) -> list[str]:
        return [found.source.name for found in self.look(later) if isinstance(found, Job)]


@pytest.fixture
def hot(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_film_is_taken_once_when_it_has_come_to_rest(hot: Watched) -> None:
    assert hot.look() == []
    path = hot.folder / "a.mkv"
    path.write_bytes(hot.film[:500])
    assert hot.taken() == []
    path.write_bytes(hot.film)
    assert hot.taken(SETTLE + 1) == [], "it has changed meanwhile"
    assert hot.taken(SETTLE - 1) == []
    assert hot.taken(1) == ["a.mkv"]
    assert hot.taken(SETTLE * 2) == []


def test_a_half_film_waits_and_is_given_up_once(hot: Watched) -> None:
    path = hot.folder / "a.mkv"
    path.write_bytes(hot.film[:100])
    assert hot.look() == []
    assert hot.look(SETTLE) == []
    assert hot.look(PATIENCE - 1) == []
    (given_up,) = hot.look(1)
    assert isinstance(given_up, Unreadable)
    assert str(path) in str(given_up.error)
    assert hot.look(PATIENCE * 2) == []
    path.write_bytes(hot.film)
    hot.look()
    assert hot.taken(SETTLE) == ["a.mkv"], "somebody copied it again"


def test_a_film_that_is_replaced_is_a_new_one(hot: Watched) -> None:
    path = hot.folder / "a.mkv"
    path.write_bytes(hot.film)
    hot.look()
    assert hot.taken(SETTLE) == ["a.mkv"]
    path.write_bytes(hot.film)
    os.utime(path, (1, 1))
    assert hot.look(SETTLE, busy=(path.resolve(),)) == [], "it is still being restored"
    assert hot.taken() == []
    assert hot.taken(SETTLE) == ["a.mkv"]
    path.unlink()
    assert hot.look() == []
    path.write_bytes(hot.film)
    hot.look()
    assert hot.taken(SETTLE) == ["a.mkv"]


@pytest.mark.parametrize(
    ("name", "unfinished"),
    [
        ("film.mkv", False),
        (".film.mkv", True),
        ("~film.mkv", True),
        ("film.mkv.part", True),
        ("film.mkv.CRDOWNLOAD", True),
        ("film.mkv.tmp", True),
        ("part.mkv", False),
    ],
)
def test_names_of_what_is_being_written(name: str, unfinished: bool) -> None:
    assert is_unfinished_name(Path("folder") / name) == unfinished


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_file_that_somebody_has_open_for_writing_is_left(hot: Watched) -> None:
    path = hot.folder / "a 'b'.mkv"
    with path.open("wb") as file:
        file.write(hot.film)
        file.flush()
        assert is_being_written(path)
        hot.look()
        assert hot.look(SETTLE) == []
    with path.open("rb"):
        assert not is_being_written(path)
        assert hot.taken() == ["a 'b'.mkv"]


def test_a_batch_file_that_is_wrong_for_now_is_told_once(hot: Watched) -> None:
    (hot.folder / "a.mkv").write_bytes(hot.film)
    hot.look()
    hot.fault = JobFileError("jobs.toml:1: two inputs, one output")
    assert hot.look(SETTLE) == []
    assert hot.look(SETTLE) == []
    assert len(hot.warnings) == 1 and "jobs.toml:1" in hot.warnings[0]
    hot.fault = None
    assert hot.taken() == ["a.mkv"]


def test_only_what_lies_in_the_folder(hot: Watched, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(hot.folder, target_is_directory=True)
    for folder in (hot.folder, link):
        watched = HotFolder(folder=folder, reload=lambda: Batch(tmp_path, ()))
        assert watched.holds(hot.folder / "deep" / "a.mkv")
        assert not watched.holds(tmp_path / "a.mkv")
        assert not watched.holds(tmp_path / "in2" / "a.mkv")


@pytest.mark.slow
def test_a_slowly_written_film_is_restored_when_it_is_whole(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", frames=4, width=64, height=48).read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "first.mkv").write_bytes(film)
    whole_at: list[float] = []

    def write_slowly() -> None:
        with (tmp_path / "in" / "slow.mkv").open("wb", buffering=0) as file:
            for part in range(0, len(film), len(film) // 5):
                file.write(film[part : part + len(film) // 5])
                time.sleep(0.4)
        whole_at.append(time.monotonic())

    watching, hurry = Watching(), Hurry()
    began: dict[str, float] = {}

    def ended(outcome: Outcome) -> None:
        began[outcome.source.name] = time.monotonic()
        if outcome.source.name == "slow.mkv":
            hurry.stop()

    watching.when_ended = ended
    hot = HotFolder(folder=tmp_path / "in", reload=lambda: written_batch(tmp_path), settle=0.7, interval=0.1)
    writer = threading.Thread(target=write_slowly)
    writer.start()
    try:
        result = run_batch(written_batch(tmp_path), BatchOptions(watch=hot), observer=watching, hurry=hurry)
    finally:
        writer.join()
    assert {name: outcome.status for name, outcome in by_name(result).items()} == {
        "first.mkv": "done",
        "slow.mkv": "done",
    }
    assert [name for what, name in watching.told if what == "began"] == ["first.mkv", "slow.mkv"]
    assert began["slow.mkv"] > whole_at[0] + 0.7
