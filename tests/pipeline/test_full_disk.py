"""A disk that is full: told, nothing lost, and gone on with when there is room again."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gpen_video.cli.app import main
from gpen_video.journal import work_folder_of
from tests.pipeline.clips import write

SMALL, LARGE = "26m", "70m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_it_is_told_and_gone_on_with(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lot = np.random.default_rng(0)
    greys = [lot.integers(0, 256, (480, 640), np.uint8) for _ in range(50)]  # that nothing can compress
    film, target = write(tmp_path / "film.mkv", greys, 25), disk / "out.mkv"
    options = ["--codec=ffv1", "--set=segments.shortest=16", "--set=segments.longest=16", "--set=shots.enabled=false"]
    options += ["--set=detect.every=30", "--set=detect.long_side=64"]
    assert main([str(film), str(target), *options]) == 5
    *warnings, last = capsys.readouterr().err.splitlines()
    assert last.startswith("gpen-video: error: ") and "disk is" in last and "full" in last
    assert any("may not hold the result" in line for line in warnings)
    assert any("frames" in line and "goes on from there" in line for line in warnings)
    assert [path.name for path in disk.iterdir()] == [work_folder_of(target).name]
    kept = sorted(path.name for path in work_folder_of(target).glob("*.video"))
    assert kept[:2] == ["00000.video", "00001.video"]
    subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(disk)], check=True)
    assert main([str(film), str(target), *options, "--resume=require"]) == 0, capsys.readouterr().err
    assert [path.name for path in disk.iterdir()] == ["out.mkv"]
    assert main([str(film), str(tmp_path / "whole.mkv"), *options]) == 0
    assert target.read_bytes() == (tmp_path / "whole.mkv").read_bytes()
