"""``gpen-video batch --engine ray``: what is refused before anything starts."""

import socket
import sys
from pathlib import Path

import pytest

from gpen_video.cli.app import main
from tests.cli.films import make_film

JOBS = """
[[job]]
inputs = "in/*.mkv"
output = "out/{stem}.mkv"
"""


@pytest.fixture
def jobs(tmp_path: Path) -> str:
    (tmp_path / "in").mkdir()
    make_film(tmp_path / "in" / "one.mkv", frames=2, width=64, height=48)
    (tmp_path / "jobs.toml").write_text(JOBS, encoding="utf-8")
    return str(tmp_path / "jobs.toml")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "3"], "--workers is for a cluster; add --engine ray"),
        (["--gpus-per-worker", "0.5"], "--gpus-per-worker is for a cluster"),
        (["--engine", "ray", "--device", "cpu"], "--device is for --engine local"),
        (["--engine", "ray", "--gpus-per-worker", "1.5"], "0, a part of 1, or a whole number"),
        (["--engine", "ray", "--address", "host:port"], "write HOST:PORT"),
    ],
)
def test_options_that_make_no_sense(
    jobs: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["batch", jobs, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_without_ray_it_is_said_how_to_get_it(
    jobs: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # what Python makes of a module that is not there
    assert main(["batch", jobs, "--engine", "ray"]) == 2
    assert "pip install 'gpen-video[ray]'" in capsys.readouterr().err


def test_a_cluster_that_is_not_there(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        assert main(["batch", jobs, "--engine", "ray", "--address", f"127.0.0.1:{taken.getsockname()[1]}"]) == 9
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("cannot be reached: connection refused")
