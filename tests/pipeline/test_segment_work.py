"""Segments that other processes restore, in any order: the film is the one that is made here, byte for byte."""

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest

from gpen_video.config import Settings
from gpen_video.pipeline import Extras, NoObserver, Progress, restore_video
from gpen_video.pipeline.models import load_models
from gpen_video.pipeline.segment_files import Finished
from gpen_video.pipeline.segment_work import FilmOrder, SegmentWork, restore_segment
from tests.pipeline.clips import interlaced, sample_greys, write

SETTINGS: dict[str, dict[str, object]] = {
    "encode": {"preset": "ultrafast"},
    "segments": {"shortest": 3, "longest": 16},
    "restore": {"steady_detail": 0.0, "strength": 0.7},
}


def work(order: FilmOrder, work: SegmentWork) -> Finished:
    with load_models(order.settings, offline=order.offline) as models:
        return restore_segment(order, work, models)


class Pool:
    """A process of its own; what is done first is given last."""

    def __init__(self, processes: ProcessPoolExecutor) -> None:
        self.processes = processes
        self.futures: list[Future[Finished]] = []

    def takes(self, order: FilmOrder) -> bool:
        return True

    def submit(self, order: FilmOrder, segment: SegmentWork) -> None:
        self.futures.append(self.processes.submit(work, order, segment))

    def finished(self, order: FilmOrder, *, wait: bool = False) -> Iterable[Finished]:
        if not wait:
            return
        while self.futures:
            yield self.futures.pop().result()


class Stop(NoObserver):
    def __init__(self, at: int) -> None:
        self.at = at

    def progressed(self, progress: Progress) -> None:
        if progress.frames >= self.at:
            raise InterruptedError


@pytest.fixture(scope="module")
def processes() -> Iterable[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    greys = sample_greys(24)
    cut = write(folder / "cut.mkv", [*greys[:19], *[255 - grey[:, ::-1] // 2 for grey in greys[19:]]], 24)
    return {"cut": cut, "interlaced": interlaced(folder / "interlaced.mkv", 18)}


@pytest.mark.parametrize("name", ["cut", "interlaced"])
def test_it_is_the_film_that_is_made_here(
    films: dict[str, Path], name: str, processes: ProcessPoolExecutor, tmp_path: Path, small_network: str
) -> None:
    restore = {**SETTINGS["restore"], "weights": small_network}  # tests/jobs/test_ray.py has those that ship
    settings = Settings.model_validate({**SETTINGS, "restore": restore})
    files = {}
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        target = tmp_path / place / "out.mp4"
        extras = Extras(matte=tmp_path / place / "matte.mkv")
        pool = None if place == "here" else Pool(processes)
        summary = restore_video(films[name], target, settings, extras=extras, executor=pool)
        files[place] = [path.read_bytes() for path in (target, extras.matte or target)]
        files[place].append(repr((summary.frames, summary.faces, summary.tracks, summary.shots)).encode())
    assert files["here"] == files["there"]


@pytest.mark.slow
def test_a_driver_that_dies_goes_on_behind_its_gaps(
    films: dict[str, Path], processes: ProcessPoolExecutor, tmp_path: Path
) -> None:
    settings, target = Settings.model_validate(SETTINGS), tmp_path / "out.mp4"
    whole = restore_video(films["cut"], tmp_path / "whole.mp4", settings)
    with pytest.raises(InterruptedError):  # behind the last segment, which is given first; the first one is a gap
        restore_video(films["cut"], target, settings, observer=Stop(5), executor=Pool(processes))
    summary = restore_video(films["cut"], target, settings, resume="require")
    assert summary.frames_before == 5
    assert (summary.frames, summary.faces, summary.tracks) == (whole.frames, whole.faces, whole.tracks)
    assert target.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
