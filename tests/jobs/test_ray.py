"""A batch on a cluster of Ray, of which processes are killed: the films are those that are made without one."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import torch

from gpen_video.errors import ClusterError, OutputError, UsageError
from gpen_video.jobs.job import Batch, Job
from gpen_video.jobs.outcome import BatchResult
from gpen_video.jobs.ray_cluster import Plan, Share, connected, machines_of, plan_of, ray_here
from gpen_video.jobs.ray_crew import Patience, RayCrew
from gpen_video.jobs.ray_films import FilmSetup, FilmWorker
from gpen_video.jobs.ray_segments import Place, RayExecutor
from gpen_video.jobs.retry import Pauses
from gpen_video.jobs.runner import BatchOptions, run_batch
from gpen_video.jobs.storage import Storage
from gpen_video.jobs.worker import Moved, WorkerSetup
from gpen_video.pipeline import Models, load_models, restore_video
from gpen_video.pipeline.segment_files import Finished
from gpen_video.pipeline.segment_work import FilmOrder, SegmentWork, adopt_segment, restore_segment
from tests.jobs.object_store import object_store
from tests.jobs.object_store import place as place_in_store
from tests.jobs.watching import Watching, by_name, written_batch
from tests.pipeline.clips import interlaced, sample_greys, write

if find_spec("ray") is None:  # which is imported by `connected`, and not before
    pytest.skip("needs the extra [ray]", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")

JOBS = """
[settings]
restore.device = "cpu"
encode.preset = "ultrafast"
segments.shortest = 3
segments.longest = 16
restore.steady_detail = 0.0
restore.strength = 0.7

[defaults]
output = "out/{stem}.mp4"
matte = "{output}.matte.mkv"
retries = 0
"""
WEIGHTS = {"interlaced.mkv": 'settings.restore.weights = "{network}"'}
"""Small ones for one of the films; what other processes make with those that ship, the others show."""
TWO = Plan(films=1, workers=2, share=Share(1), film_share=Share(1), machines=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ModuleType]:
    with object_store(), connected(cores=3):
        yield ray_here()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, small_network: str) -> Path:
    folder = tmp_path_factory.mktemp("films") / "in"
    folder.mkdir()
    shutil.copy(small_network, folder.parent / "network.safetensors")
    greys = sample_greys(24)
    write(folder / "cut.mkv", [*greys[:19], *[255 - grey[:, ::-1] // 2 for grey in greys[19:]]], 24)
    interlaced(folder / "interlaced.mkv", 10)
    (folder / "text.mkv").write_text("no film", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def here(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """What is made without a cluster, by as many threads as a worker has: pixels depend on that."""
    batch = batch_of(films, tmp_path_factory.mktemp("here"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for job in batch.jobs:
        if job.source.name != "text.mkv":
            job.make_folders()
            restore_video(job.source, job.target, job.settings, extras=job.extras)
    yield made(batch)
    torch.set_num_threads(threads)


def batch_of(films: Path, folder: Path, *names: str) -> Batch:
    names = names or tuple(sorted(path.name for path in films.iterdir()))
    shutil.copytree(films, folder / "in", ignore=lambda _, there: set(there) - set(names))
    network = films.parent / "network.safetensors"
    jobs = (f'[[job]]\ninputs = "in/{name}"\n{WEIGHTS.get(name, "").format(network=network)}\n' for name in names)
    return written_batch(folder, JOBS + "\n".join(jobs))


def made(batch: Batch) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (batch.root / "out").iterdir()}


def killed(place: Place) -> None:
    os.kill(place.process, signal.SIGKILL)


@dataclass
class Run:
    batch: Batch
    result: BatchResult
    watching: Watching


@pytest.fixture(scope="module")
def first(cluster: ModuleType, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A worker is killed while it restores a segment, and the one that follows the film when two segments are done."""
    batch, watching = batch_of(films, tmp_path_factory.mktemp("there")), Watching()
    crew = RayCrew(TWO)
    victims: list[str] = []

    def kill(job: Job, moved: Moved, worker: int) -> None:
        if job.source.name == "cut.mkv" and not victims:
            while not (at_work := crew.state().at_work):
                time.sleep(0.05)
            killed(at_work[0])
            victims.append("segment")
        elif job.source.name == "interlaced.mkv" and len(victims) == 1:
            killed(crew.place(worker))
            victims.append("film")

    watching.when_moved = kill
    result = run_batch(batch, BatchOptions(crew=crew, pauses=Pauses(first=0.1)), observer=watching)
    assert victims == ["segment", "film"]
    return Run(batch, result, watching)


def test_killed_workers_cost_no_film_an_attempt_and_nobody_sees_it_in_the_films(
    first: Run, here: dict[str, bytes]
) -> None:
    for name in ("cut.mkv", "interlaced.mkv"):
        outcome = by_name(first.result)[name]
        assert (outcome.status, outcome.attempts, outcome.failure) == ("done", 1, None)
    assert made(first.batch) == here
    assert len(here) == 4


def test_what_was_lost_is_said(first: Run) -> None:
    said = by_name(first.result)
    host = socket.gethostname()
    assert any(f"was lost ({host})" in line and "segment" in line for line in said["cut.mkv"].warnings)
    assert any(f"was lost ({host})" in line and "followed" in line for line in said["interlaced.mkv"].warnings)


def test_a_broken_film_fails_as_it_does_here(first: Run) -> None:
    outcome = by_name(first.result)["text.mkv"]
    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.kind) == ("failed", "ProbeError")
    assert "text.mkv" in outcome.failure.line and "\n" not in outcome.failure.line


class Late:
    """Restores each segment twice: whoever was first is believed, the other one was only cut off, and goes on."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.done: list[Finished] = []

    def takes(self, order: FilmOrder) -> bool:
        return True

    def submit(self, order: FilmOrder, work: SegmentWork) -> None:
        finished = restore_segment(order, work, self.models, "first")
        adopt_segment(order, finished, "first")
        restore_segment(order, work, self.models, "late")
        assert (order.folder / f"{work.number:05}.video.late").exists()
        self.done.append(finished)

    def finished(self, order: FilmOrder, *, wait: bool = False) -> Iterator[Finished]:
        while self.done:
            yield self.done.pop()


def test_who_is_late_spoils_nothing_and_leaves_nothing(here: dict[str, bytes], films: Path, tmp_path: Path) -> None:
    batch = batch_of(films, tmp_path, "interlaced.mkv")
    (job,) = batch.jobs
    job.make_folders()
    with load_models(job.settings.settings) as models:
        restore_video(job.source, job.target, job.settings, extras=job.extras, executor=Late(models))
    assert made(batch) == {name: content for name, content in here.items() if name.startswith("interlaced")}


@pytest.mark.slow  # fast ones of a storage: test_storage.py
def test_through_a_storage_the_films_are_the_same_and_nothing_stays_there(
    cluster: ModuleType, here: dict[str, bytes], films: Path, tmp_path: Path
) -> None:
    batch, watching, storage = batch_of(films, tmp_path, "interlaced.mkv"), Watching(), place_in_store()
    crew = RayCrew(TWO, storage=storage)
    stored: list[str] = []

    def kill(job: Job, moved: Moved, worker: int) -> None:
        if not stored:
            while not (at_work := crew.state().at_work):
                time.sleep(0.05)
            stored.extend(storage.names(""))
            killed(at_work[0])

    watching.when_moved = kill
    result = run_batch(batch, BatchOptions(crew=crew), observer=watching)
    (outcome,) = result.outcomes
    assert (outcome.status, outcome.attempts) == ("done", 1)
    assert any("was lost" in line for line in outcome.warnings)
    assert made(batch) == {name: content for name, content in here.items() if name.startswith("interlaced")}
    assert any(name.endswith(".film") for name in stored)
    assert storage.names("") == []


def gone(process: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while (there := Path(f"/proc/{process}").exists()) and time.monotonic() < until:
        time.sleep(0.1)
    return not there


@pytest.mark.slow
def test_a_worker_that_hangs_does_not_hold_up_the_film(
    cluster: ModuleType, here: dict[str, bytes], films: Path, tmp_path: Path
) -> None:
    batch, watching = batch_of(films, tmp_path, "cut.mkv"), Watching()
    crew = RayCrew(TWO, patience=Patience(late=1.0))
    hanging: list[int] = []

    def stop(job: Job, moved: Moved, worker: int) -> None:
        if not hanging:
            while not (at_work := crew.state().at_work):
                time.sleep(0.05)
            os.kill(at_work[0].process, signal.SIGSTOP)
            hanging.append(at_work[0].process)

    watching.when_moved = stop
    (outcome,) = run_batch(batch, BatchOptions(crew=crew), observer=watching).outcomes
    assert (outcome.status, outcome.attempts) == ("done", 1)
    assert any(f"took very long ({socket.gethostname()})" in line for line in outcome.warnings)
    assert made(batch) == {name: content for name, content in here.items() if name.startswith("cut")}
    assert gone(hanging[0], seconds=60)


@pytest.mark.slow
def test_one_that_follows_a_film_and_hangs_is_replaced(
    cluster: ModuleType, here: dict[str, bytes], films: Path, tmp_path: Path
) -> None:
    batch, watching = batch_of(films, tmp_path, "cut.mkv"), Watching()
    crew = RayCrew(TWO, patience=Patience(lease=3.0, margin=1.0, absence=20.0))
    hanging: list[int] = []

    def stop(job: Job, moved: Moved, worker: int) -> None:
        if not hanging:
            hanging.append(crew.place(worker).process)
            os.kill(hanging[0], signal.SIGSTOP)

    watching.when_moved = stop
    (outcome,) = run_batch(batch, BatchOptions(crew=crew), observer=watching).outcomes
    assert (outcome.status, outcome.attempts) == ("done", 1)
    assert any("followed it was lost" in line for line in outcome.warnings)
    assert made(batch) == {name: content for name, content in here.items() if name.startswith("cut")}
    assert gone(hanging[0], seconds=10)


@pytest.mark.slow
def test_a_storage_that_is_not_there_fails_the_film_in_one_line(
    cluster: ModuleType, films: Path, tmp_path: Path
) -> None:
    batch = batch_of(films, tmp_path, "interlaced.mkv")
    crew = RayCrew(TWO, storage=Storage(str(tmp_path / "nowhere")))
    (outcome,) = run_batch(batch, BatchOptions(crew=crew)).outcomes
    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.kind) == ("failed", "ClusterError")
    assert "nowhere cannot be" in outcome.failure.line and "\n" not in outcome.failure.line


@pytest.mark.slow
def test_a_lost_desk_is_replaced(cluster: ModuleType, here: dict[str, bytes], films: Path, tmp_path: Path) -> None:
    batch, watching, crew = batch_of(films, tmp_path, "cut.mkv"), Watching(), RayCrew(TWO)
    lost: list[int] = []

    def lose(job: Job, moved: Moved, worker: int) -> None:
        if not lost:
            while not crew.state().at_work:
                time.sleep(0.05)
            cluster.kill(crew.desk, no_restart=False)
            lost.append(worker)

    watching.when_moved = lose
    result = run_batch(batch, BatchOptions(crew=crew), observer=watching)
    assert (result.outcomes[0].status, result.outcomes[0].attempts) == ("done", 1)
    assert made(batch) == {name: content for name, content in here.items() if name.startswith("cut")}


class Elsewhere(RayExecutor):
    """Sends workers to a folder that is not there."""

    def submit(self, order: FilmOrder, work: SegmentWork) -> None:
        super().submit(replace(order, folder=order.folder / "nowhere"), work)


def test_what_a_worker_cannot_do_ends_the_film_as_itself(cluster: ModuleType, films: Path, tmp_path: Path) -> None:
    (job,) = batch_of(films, tmp_path, "interlaced.mkv").jobs
    job.make_folders()
    crew = RayCrew(TWO)
    crew.start(0, offline=True, command_line=())
    try:
        executor = Elsewhere(crew.desk, 3, warn=lambda line: None)
        with pytest.raises(OutputError, match=rf"nowhere is not there on {socket.gethostname()}") as raised:
            restore_video(job.source, job.target, job.settings, executor=executor)
        assert "\n" not in str(raised.value)
        executor.close(is_whole=False)
    finally:
        crew.close()


@pytest.mark.slow
def test_without_any_worker_a_film_is_given_up(cluster: ModuleType, films: Path, tmp_path: Path) -> None:
    batch = batch_of(films, tmp_path, "interlaced.mkv")
    plan = Plan(films=1, workers=1, share=Share(64), film_share=Share(0), machines=1)
    result = run_batch(batch, BatchOptions(crew=RayCrew(plan, patience=Patience(absence=10.0))))
    (outcome,) = result.outcomes
    assert outcome.failure is not None
    assert outcome.failure.kind == "ClusterError"
    assert "had no worker for 10 seconds" in outcome.failure.line
    assert "\n" not in outcome.failure.line


def test_who_hears_nothing_any_more_leaves_the_film_alone(cluster: ModuleType, films: Path, tmp_path: Path) -> None:
    (job,) = batch_of(films, tmp_path, "cut.mkv").jobs
    job.make_folders()
    crew = RayCrew(Plan(films=1, workers=1, share=Share(64), film_share=Share(0), machines=1))
    crew.start(0, offline=True, command_line=())
    try:
        setup = FilmSetup(WorkerSetup(1, offline=True, command_line=()), most=2, lease=2.0)
        ray = cluster
        worker = ray.remote(FilmWorker).options(num_cpus=0, max_concurrency=4).remote(setup, crew.desk)
        ray.get(worker.place.remote())
        began = time.monotonic()
        with pytest.raises(ray.exceptions.RayActorError):
            ray.get(worker.begin.remote(job), timeout=60)  # its segments are never restored: it would wait for ever
        assert time.monotonic() - began >= 2.0
    finally:
        crew.close()


def test_nothing_of_it_is_reached_from_outside(cluster: ModuleType) -> None:
    assert {node["NodeManagerAddress"] for node in cluster.nodes()} == {"127.0.0.1"}
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert machines_of(cluster)[0]["CPU"] == 3


def test_a_cluster_that_is_not_there_is_said_soon() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"{address} cannot be reached: connection refused"), connected(address):
            pass
    with pytest.raises(UsageError, match="HOST:PORT"), connected("host:port"):
        pass


@pytest.mark.slow
def test_something_else_that_listens_is_no_cluster() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        threading.Thread(target=lambda: server.accept()[0].recv(1), daemon=True).start()
        with pytest.raises(ClusterError, match="does not answer as a cluster"), connected(address):
            pass


@pytest.mark.parametrize(
    ("machines", "asked", "plan"),
    [
        ([(8, 0)] * 3, {}, (2, 4, 4, 0.0)),
        ([(2, 0)], {}, (1, 1, 1, 0.0)),
        ([(32, 1)] * 2, {}, (5, 11, 4, 0.125)),
        ([(32, 4)], {"gpus": 0.5}, (2, 6, 4, 0.5)),
        ([(16, 8)], {"cpus": 2}, (2, 6, 2, 1.0)),
        ([(16, 1), (64, 0)], {"gpus": 0}, (6, 14, 4, 0.0)),
        ([(8, 0)], {"films": 5, "workers": 3}, (5, 3, 4, 0.0)),
    ],
)
def test_how_a_cluster_is_shared_out(
    machines: list[tuple[int, int]], asked: dict[str, float], plan: tuple[int, int, int, float]
) -> None:
    found = plan_of([{"CPU": cpus, "GPU": gpus} for cpus, gpus in machines], **asked)  # type: ignore[arg-type]
    assert (found.films, found.workers, found.share.cpus, found.share.gpus) == plan
    places = sum(found.share.fits({"CPU": cpus, "GPU": gpus}) for cpus, gpus in machines)
    assert found.film_share == (found.share if found.films + found.workers <= places else Share(0))


def test_films_are_followed_where_they_are_seen() -> None:
    machines = [{"CPU": 8.0}] * 9 + [{"CPU": 8.0, "films": 1.0}]
    found = plan_of(machines)
    assert (found.films, found.workers, found.film_share, found.films_are_marked) == (2, 18, Share(0), True)
    assert not plan_of(machines[:9]).films_are_marked


def test_a_cluster_without_room_is_refused() -> None:
    with pytest.raises(ClusterError, match="8 cores and 1 GPUs"):
        plan_of([{"CPU": 4.0}], cpus=8, gpus=1)


DRIVER = """
import sys
from pathlib import Path
from gpen_video.jobs.job_file import load_batch
from gpen_video.jobs.ray_cluster import connected
from gpen_video.jobs.ray_crew import RayCrew
from gpen_video.jobs.runner import BatchOptions, run_batch
from tests.jobs.test_ray import TWO
with connected(cores=3):
    result = run_batch(load_batch(Path(sys.argv[1])), BatchOptions(crew=RayCrew(TWO)))
print(result.outcomes[0].status)
"""


@pytest.mark.slow
def test_a_batch_whose_machine_dies_goes_on_next_time(films: Path, here: dict[str, bytes], tmp_path: Path) -> None:
    batch = batch_of(films, tmp_path, "cut.mkv")
    command = [sys.executable, "-c", DRIVER, str(batch.path)]
    work = tmp_path / "out" / ".cut.mp4.gpen-work"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (work / "00000.video").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not (tmp_path / "out" / "cut.mp4").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == "done"
    assert again.stderr == ""
    assert (tmp_path / "out" / "cut.mp4").read_bytes() == here["cut.mp4"]
