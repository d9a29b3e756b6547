"""A cluster of several hosts, one of which is cut off from the others: the film is that which is made without one."""

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.jobs.hosts import Hosts, can_be_made, hosts
from tests.jobs.object_store import BUCKET

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_be_made(), reason="needs root, for network namespaces"),
]
JOBS = """
[settings]
restore.device = "cpu"
encode.preset = "ultrafast"
segments.shortest = 3
segments.longest = 16
restore.steady_detail = 0.0

[[job]]
inputs = "in/*.mp4"
output = "out/{stem}.mp4"
"""
STORE = "10.99.0.2:5555"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": f"http://{STORE}",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
}
FOLLOWS, RESTORES = '{"films": 1}', "{}"


def filled(folder: Path) -> Path:
    (folder / "in").mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "sample.mp4", folder / "in")
    (folder / "jobs.toml").write_text(JOBS, encoding="utf-8")
    return folder


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A folder that some hosts do not see."""
    return filled(tmp_path / "seen")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The film as one machine makes it, with as many threads as a worker has."""
    folder = filled(tmp_path_factory.mktemp("alone"))
    command = (sys.executable, "-m", "gpen_video", "batch", str(folder / "jobs.toml"), "-q")
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    return (folder / "out" / "sample.mp4").read_bytes()


@pytest.fixture
def network() -> Iterator[Hosts]:
    with hosts("abcd", ENVIRONMENT) as made:
        yield made


def cluster(network: Hosts, collection: Path, head: tuple[str, ...], nodes: dict[str, str]) -> None:
    """The store and Ray's head are on host a; only hosts that follow films see them."""
    network.start("a", "moto_server", "-H", network.address("a"), "-p", STORE.partition(":")[2])
    network.run("a", sys.executable, "-c", _MAKE_BUCKET)
    ray = ("ray", "start", "--disable-usage-stats", "--node-ip-address")
    network.run("a", *ray, network.address("a"), "--head", "--port", "6379", "--include-dashboard", "false", *head)
    for host, resources in nodes.items():
        command = (*ray, network.address(host), "--address", f"{network.address('a')}:6379", "--num-cpus", "1")
        network.run(host, *command, "--resources", resources, without=None if resources == FOLLOWS else collection)


_MAKE_BUCKET = f"""
import time, s3fs
for _ in range(60):
    try:
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("{BUCKET}")
        break
    except OSError:
        time.sleep(1)
"""


def batch(network: Hosts, collection: Path, cut: Callable[[], str]) -> str:
    """Run it; when two segments are there, cut a host off. Returns what the command says."""
    work, log = collection / "out" / ".sample.mp4.gpen-work", collection.parent / "log.txt"
    options = ("--engine", "ray", "--address", f"{network.address('a')}:6379", "--cpus-per-worker", "1", "--jobs", "1")
    where = str(collection / "jobs.toml")
    command = network.start("a", "gpen-video", "batch", where, *options, "--storage", f"s3://{BUCKET}/place", log=log)
    until = time.monotonic() + 600
    while command.poll() is None and len(list(work.glob("*.video"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert command.poll() is None, log.read_text(encoding="utf-8")
    network.cut_off(cut())
    assert command.wait(timeout=900) == 0, log.read_text(encoding="utf-8")
    return log.read_text(encoding="utf-8")


def test_one_that_restores_segments(network: Hosts, collection: Path, alone: bytes) -> None:
    cluster(network, collection, ("--num-cpus", "1", "--resources", FOLLOWS), {"b": RESTORES, "c": RESTORES})
    told = batch(network, collection, lambda: "b")
    assert (collection / "out" / "sample.mp4").read_bytes() == alone
    assert "done, 96 frames" in told


def test_one_that_follows_the_film(network: Hosts, collection: Path, alone: bytes) -> None:
    """Its disk is not cut off: as long as it may be at work, nobody else is."""
    cluster(network, collection, ("--num-cpus", "0"), {"b": FOLLOWS, "c": RESTORES, "d": FOLLOWS})
    writers: list[set[int]] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            writers.append({p for host in "bd" for p in network.processes(host) if _writes_journal(p)})

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        told = batch(network, collection, lambda: network.where("ray::FilmWorker"))
    finally:
        is_over.set()
        watching.join()
    assert "another goes on with it" in told
    assert (collection / "out" / "sample.mp4").read_bytes() == alone
    assert max(map(len, writers)) == 1
    assert len(set.union(*writers)) == 2


def _writes_journal(process: int) -> bool:
    with suppress(OSError):
        return any(
            str(file.readlink()).endswith(".gpen-work/journal") for file in Path(f"/proc/{process}/fd").iterdir()
        )
    return False
