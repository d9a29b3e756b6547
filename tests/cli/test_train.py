"""``gpen-video train``."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.distributed.run import get_args_parser

from gpen_video.cli.app import main
from gpen_video.nets.arcface import build_arcface
from gpen_video.train.course import trained_network
from gpen_video.train.data import LANDMARK_NAMES
from gpen_video.weights.load import load_gpen

Capture = pytest.CaptureFixture[str]
BOX = {"x0": 70, "y0": 60, "x1": 186, "y1": 215}
POINTS = ((100, 120), (156, 120), (128, 155), (106, 185), (150, 185))


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures with an index, some of them held out by the rule."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    with (folder / "index.csv").open("w", newline="") as file:
        axes = [f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy"]
        rows = csv.DictWriter(file, ["file", "identity", *BOX, *axes])
        rows.writeheader()
        for number in range(40):
            picture = cv2.resize(rng.integers(0, 255, (16, 16, 3), np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / "images" / f"{number}.jpg"), picture)
            points = {
                f"{n}_{a}": v
                for n, xy in zip(LANDMARK_NAMES, POINTS, strict=True)
                for a, v in zip("xy", xy, strict=True)
            }
            rows.writerow({"file": f"{number}.jpg", "identity": f"person-{number}", **BOX, **points})
    return folder


@pytest.fixture(scope="module")
def trained(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of the recipe that needs no GPU."""
    out = tmp_path_factory.mktemp("trained")
    options = ["--phase", "content", "--images", "4", "--batch", "2", "--device", "cpu", "--workers", "0"]
    assert main(["train", "run", "gpen-lite-256-cpu", str(faces), str(out), *options]) == 0
    return out


def test_recipes_lists_phases_and_what_they_start_from(capsys: Capture) -> None:
    assert main(["train", "recipes"]) == 0
    out = capsys.readouterr().out
    assert "gpen-512" in out and "content and prior's discriminator" in out


def test_a_training_leaves_checkpoint_figures_and_sheets(trained: Path, faces: Path, capsys: Capture) -> None:
    phase = trained / "content"
    assert {"latest.ckpt", "figures.jsonl", "sheets"} <= {path.name for path in phase.iterdir()}
    options = ["--phase", "content", "--images", "4", "--batch", "2", "--device", "cpu", "--workers", "0"]
    assert main(["train", "run", "gpen-lite-256-cpu", str(faces), str(trained), *options]) == 0
    assert capsys.readouterr().out.strip() == f"{trained}: done"


def test_an_identity_loss_is_trained_with(faces: Path, tmp_path: Path) -> None:
    recogniser, out = tmp_path / "arcface.safetensors", tmp_path / "out"
    save_file(build_arcface().state_dict(), recogniser)  # of random weights: how much it counts is seen elsewhere
    options = ["--phase", "content", "--images", "1", "--batch", "1", "--device", "cpu", "--workers", "0"]
    words = ["--identity", "0.5", "--recogniser", str(recogniser)]
    assert main(["train", "run", "gpen-lite-256-cpu", str(faces), str(out), *options, *words]) == 0
    (figures,) = map(json.loads, (out / "content" / "figures.jsonl").read_text().splitlines())
    assert 0 < figures["identity"] < 2


def test_another_configuration_is_refused(trained: Path, faces: Path, capsys: Capture) -> None:
    # Two phases of equal name in one folder: the other recipe's content stage is another training.
    options = ["--phase", "content", "--images", "8", "--batch", "2", "--device", "cpu", "--workers", "0"]
    code = main(["train", "run", "gpen-lite-256", str(faces), str(trained), *options])
    error = capsys.readouterr().err
    assert code == 4
    assert error.count("\n") == 1 and "another configuration" in error


def test_export_then_evaluate(trained: Path, faces: Path, tmp_path: Path, capsys: Capture) -> None:
    weights = tmp_path / "mine.safetensors"
    assert main(["train", "export", str(trained / "content"), str(weights), "--terms", "mine alone"]) == 0
    sheet = tmp_path / "sheet.png"
    capsys.readouterr()
    assert main(["train", "evaluate", str(weights), str(faces), "--count", "1", "--json", "--sheet", str(sheet)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["faces"] == 1
    assert {row["name"] for row in report["degradations"]} >= {"published", "archival"}
    assert cv2.imread(str(sheet)) is not None


def test_export_of_a_mixture(trained: Path, tmp_path: Path) -> None:
    phase, mixed = str(trained / "content"), tmp_path / "mixed.safetensors"
    assert main(["train", "export", phase, str(mixed), "--towards", "gpen-lite-256", "--share", "0.25"]) == 0
    ours = trained_network(trained / "content").state_dict()
    theirs, got = (load_gpen(weights).net.state_dict() for weights in ("gpen-lite-256", str(mixed)))
    for name, weight in got.items():
        wanted = 0.25 * ours[name] + 0.75 * theirs[name]
        assert torch.allclose(weight, wanted, rtol=1e-3, atol=1e-6), name  # 16 bits
    assert any(not torch.equal(ours[name], theirs[name]) for name in got)


def test_prepare_and_pack(faces: Path, tmp_path: Path, capsys: Capture) -> None:
    pack = tmp_path / "faces.pack"
    assert main(["train", "prepare", str(faces), str(tmp_path / "index"), "--pack", str(pack)]) == 0
    out = capsys.readouterr().out
    assert "40 faces of 40 persons" in out and pack.stat().st_size > 1000
    assert (tmp_path / "index" / "held-out.txt").exists()


def test_degradations_are_drawn(faces: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["train", "degradations", str(faces / "images" / "0.jpg"), str(sheet)]) == 0
    assert cv2.imread(str(sheet)).shape[1] > 1000


def test_torchrun_takes_none_of_the_options_for_its_own(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["train", "run", "--help"])
    options = sorted(set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"})
    assert "--start-from" in options
    words = ["train", "run", "gpen-lite-256", "faces", "out", *options]
    taken = get_args_parser().parse_args(["--nproc-per-node", "4", "-m", "gpen_video", *words])
    assert taken.training_script_args == words  # even behind its script it reads what begins as one of its own does


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "gpen-3", "{faces}", "{tmp}/out"], 2, "no such recipe; there are gpen-lite-256"),
        (["run", "gpen-256", "{faces}", "{tmp}/out", "--phase", "middle"], 2, "has prior, fine-tuning"),
        (["run", "gpen-256", "{tmp}/none", "{tmp}/out", "--device", "cpu"], 3, "none"),
        (["run", "gpen-256", "{faces}", "{tmp}/out", "--device", "abacus"], 2, "no such device"),
        (["run", "gpen-256", "{faces}", "{faces}/index.csv/out", "--device", "cpu"], 5, "cannot be made a folder"),
        (["run", "gpen-256", "{faces}", "{tmp}/out", "--images", "0"], 2, "must be 1 or more"),
        (
            ["run", "gpen-lite-256", "{faces}", "{tmp}/out", "--start-from", "gpen-lite-256"],
            4,
            "cannot start from a restorer",
        ),
        (["run", "gpen-256", "{faces}", "{tmp}/out", "--identity", "0"], 2, "must be above 0"),
        (["run", "gpen-256", "{faces}", "{tmp}/out", "--identity", "1", "--recogniser", "nobody"], 4, "nobody"),
        (["export", "{tmp}", "{tmp}/x.safetensors"], 4, "no such checkpoint"),
        (["export", "nothing", "{tmp}/x.safetensors"], 4, "nothing"),
        (["export", "gpen-lite-256", "{tmp}/x.safetensors", "--share", "1.5"], 2, "must be from 0 to 1"),
        (["evaluate", "nothing", "{faces}"], 4, "nothing"),
        (["evaluate", "gpen-lite-256", "{tmp}"], 3, "index.csv"),
        (["prepare", "{tmp}/none", "{tmp}/out"], 3, "no such folder"),
        (["degradations", "{tmp}/none.jpg", "{tmp}/x.png"], 3, "none.jpg"),
        (["detector", "{faces}", "{tmp}/none.pth", "{tmp}/out"], 4, "none.pth"),
        (["evaluate-detector", "retinaface-mobile0.25", "{faces}", "--teacher", "x.pth"], 2, "go together"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], code: int, words: str, faces: Path, tmp_path: Path, capsys: Capture
) -> None:
    filled = [part.format(faces=faces, tmp=tmp_path) for part in arguments]
    assert main(["train", *filled]) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1 and "Traceback" not in error


def test_a_broken_picture_in_training_is_named(faces: Path, tmp_path: Path, capsys: Capture) -> None:
    broken = tmp_path / "faces"
    (broken / "images").mkdir(parents=True)
    (broken / "index.csv").write_text((faces / "index.csv").read_text())
    for path in (faces / "images").iterdir():
        (broken / "images" / path.name).write_bytes(path.read_bytes()[:500])
    options = ["--phase", "content", "--images", "4", "--batch", "2", "--device", "cpu", "--workers", "0"]
    assert main(["train", "run", "gpen-lite-256-cpu", str(broken), str(tmp_path / "out"), *options]) == 3
    error = capsys.readouterr().err
    assert ".jpg" in error and error.count("\n") == 1
