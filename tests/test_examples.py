"""Every example runs, as its docstring says."""

import runpy
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gpen_video.train.data import Portrait
from gpen_video.train.pack import pack as pack_faces
from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
SAMPLE = EXAMPLES / "sample.mp4"


def run(name: str, *arguments: str | Path) -> None:
    """As ``python NAME ARGUMENTS`` does, but in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_make_sample_makes_the_sample_that_ships(tmp_path: Path) -> None:
    made = tmp_path / "sample.mp4"
    run("make_sample.py", made)
    with av.open(str(made)) as one, av.open(str(SAMPLE)) as other:
        for a, b in zip(one.decode(video=0), other.decode(video=0), strict=True):
            assert cv2.PSNR(a.to_ndarray(format="rgb24"), b.to_ndarray(format="rgb24")) > 35


@pytest.mark.slow
def test_restore_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("restore_film.py", SAMPLE, tmp_path / "restored.mp4")
    assert "96 frames" in capsys.readouterr().out


def test_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("stages.py", SAMPLE, tmp_path / "face.png")
    assert "frame 0" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "face.png")).shape == (256, 512, 3)


def test_before_after(tmp_path: Path) -> None:
    run("before_after.py", SAMPLE, SAMPLE, tmp_path / "pair.png", "3", "84", "0", "100", "100")
    pair = cv2.imread(str(tmp_path / "pair.png"))
    assert pair.shape == (300, 606, 3)
    assert (pair[:, :300] == pair[:, -300:]).all()


@pytest.mark.slow
def test_train_on_gpu_needs_torch_numpy_and_opencv_alone(tmp_path: Path) -> None:
    # The lent GPU machine has nothing else. Everything else that is installed here is hidden from the script.
    pack = tmp_path / "faces.pack"
    portraits = _portraits(tmp_path, 12)
    pack_faces(portraits, pack, size=256)
    hidden = ["av", "pydantic", "rich", "safetensors", "facexlib", "filterpy", "scipy", "ffmpeg", "torchvision"]
    code = (
        "import sys, runpy\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Hide(MetaPathFinder):\n"
        f"    names = {hidden!r}\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.split('.')[0] in self.names: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    steps = ["--budget", "0.0001", "--calibrate", "1", "--batch", "2", "--device", "cpu", "--workers", "0"]
    out = tmp_path / "out"
    command = [sys.executable, "-c", code, EXAMPLES / "train_on_gpu.py", pack, out, *steps]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fine-tuning: 2 images, done" in done.stdout
    carried = {path.name: path.stat().st_size for path in (out / "carry").iterdir()}
    assert {"prior.average.ckpt", "prior.discriminator.ckpt", "content.average.ckpt"} <= carried.keys()
    assert max(carried.values()) < 16 * 2**20  # a file that comes back from that machine must be smaller


def _portraits(folder: Path, count: int) -> list[Portrait]:
    rng = np.random.default_rng(0)
    points = np.array([[100, 120], [156, 120], [128, 155], [106, 185], [150, 185]], float)
    made = []
    for number in range(count):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (16, 16, 3), np.uint8), (256, 256)))
        made.append(Portrait(path, f"person-{number}", points))
    return made
