"""Every example runs, as its docstring says."""

import subprocess
import sys
from pathlib import Path

import av
import cv2
import pytest

from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
SAMPLE = EXAMPLES / "sample.mp4"


def run(name: str, *arguments: str | Path) -> str:
    command = [sys.executable, EXAMPLES / name, *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_sample_makes_the_sample_that_ships(tmp_path: Path) -> None:
    made = tmp_path / "sample.mp4"
    run("make_sample.py", made)
    with av.open(str(made)) as one, av.open(str(SAMPLE)) as other:
        for a, b in zip(one.decode(video=0), other.decode(video=0), strict=True):
            assert cv2.PSNR(a.to_ndarray(format="rgb24"), b.to_ndarray(format="rgb24")) > 35


@pytest.mark.slow
def test_restore_film(tmp_path: Path) -> None:
    assert "96 frames" in run("restore_film.py", SAMPLE, tmp_path / "restored.mp4")


def test_stages(tmp_path: Path) -> None:
    assert "frame 0" in run("stages.py", SAMPLE, tmp_path / "face.png")
    assert cv2.imread(str(tmp_path / "face.png")).shape == (256, 512, 3)


def test_before_after(tmp_path: Path) -> None:
    run("before_after.py", SAMPLE, SAMPLE, tmp_path / "pair.png", "3", "84", "0", "100", "100")
    pair = cv2.imread(str(tmp_path / "pair.png"))
    assert pair.shape == (300, 606, 3)
    assert (pair[:, :300] == pair[:, -300:]).all()
