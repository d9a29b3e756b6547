"""Runs that are killed (SIGKILL) at moments drawn by lot, and gone on with: the result is the uninterrupted one's."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from gpen_video.journal import work_folder_of
from tests.media.factories import listed_frames
from tests.pipeline.clips import sample_greys, write

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")

OPTIONS = """
[segments]
shortest = 6
longest = 16
[restore]
steady_detail = 0.5
weights = "{weights}"
[encode]
preset = "ultrafast"
"""
"""libx264, as by default: its B-frames and their decoding times have to come out the same too."""


@dataclass(frozen=True)
class Run:
    """The command, as it runs by itself."""

    film: Path
    options: Path
    seconds: float
    result: Path

    def started(self, target: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "gpen_video", self.film, target, "--config", self.options, "-q"]
        return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)

    def finish(self, target: Path) -> None:
        with self.started(target) as process:
            _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said.decode()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_network: str) -> Run:
    """One shot of a face, longer than a segment; a blank one; and the face again in another light."""
    folder = tmp_path_factory.mktemp("run")
    greys = sample_greys(26)
    blank = [np.full_like(greys[0], 90 + index) for index in range(7)]
    film = write(folder / "film.mkv", [*greys[:20], *blank, *[255 - grey[:, ::-1] // 2 for grey in greys[20:]]], 24)
    options = folder / "options.toml"
    options.write_text(OPTIONS.format(weights=small_network))
    run = Run(film, options, 0.0, folder / "out.mp4")
    begun = time.monotonic()
    run.finish(run.result)
    return Run(film, options, time.monotonic() - begun, run.result)


def packets(path: Path) -> list[tuple[object, ...]]:
    with av.open(str(path)) as container:
        return [(p.stream.index, p.pts, p.dts, p.duration, p.size) for p in container.demux() if p.size]


def assert_same(target: Path, run: Run) -> None:
    assert listed_frames(target) == listed_frames(run.result)
    assert packets(target) == packets(run.result)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def kill(process: "subprocess.Popen[bytes]") -> bool:
    """Whether it was still running."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def after(seconds: float) -> Callable[[], bool]:
    """Whether so much time has passed since now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def there(folder: Path, pattern: str) -> Callable[[], bool]:
    """Whether a file of such a name is there: what is being done just then."""
    return lambda: any(folder.glob(pattern))


EVENTS = ("00000.video", "00000.notes", "00001.notes", "00002.video", "joined.video", ".out.mp4.*.part")


def survives(run: Run, folder: Path, seed: int) -> int:
    """Kill one to three runs for one result, then let one finish; how many were killed before their end."""
    lot, target, killed = random.Random(seed), folder / "out.mp4", 0
    work = work_folder_of(target)
    for _ in range(lot.randint(1, 3)):
        now = after(lot.uniform(0.2, 1.0) * run.seconds)
        is_time = now if lot.random() < 0.5 else there(work, lot.choice(EVENTS))
        process = run.started(target)
        while not is_time() and process.poll() is None:
            time.sleep(0.002)
        if process.poll() is None:
            killed += kill(process)
        else:
            process.communicate()
        if target.exists():
            return killed
    run.finish(target)
    return killed


@pytest.mark.parametrize("seed", [12])  # at an event, so that no machine is too fast to be killed
def test_killed_it_goes_on_to_the_same_film(run: Run, tmp_path: Path, seed: int) -> None:
    assert survives(run, tmp_path, seed) > 0
    assert_same(tmp_path / "out.mp4", run)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_twenty_moments(run: Run, tmp_path: Path, seed: int) -> None:
    survives(run, tmp_path, seed)
    assert_same(tmp_path / "out.mp4", run)
