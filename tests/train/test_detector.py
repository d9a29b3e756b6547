"""Training the detector on a folder of drawn faces: the loss falls, and a run in two parts is one run."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gpen_video.errors import IncompatibleWeightsError, InputError, WeightsError
from gpen_video.nets.retinaface import DenseFaces, anchors, build_retinaface, match_anchors
from gpen_video.train.composites import degrade, load_portraits, make_composite, paste_one
from gpen_video.train.data import is_held_out
from gpen_video.train.detector import (
    LARGE_FACES,
    DetectorTrainConfig,
    TrainProgress,
    distillation_losses,
    export_detector,
    train_detector,
)

SMALL = DetectorTrainConfig(
    steps=8, warmup=2, shapes=((64, 2, 1.0),), checkpoint_every=4, freeze_statistics_at=0.5, learning_rate=3e-3
)
POINTS = {
    "left_eye": (70, 90),
    "right_eye": (130, 90),
    "nose": (100, 120),
    "left_mouth": (78, 145),
    "right_mouth": (122, 145),
}


PEOPLE = [f"person {number}" for number in range(24)]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    (folder / "images").mkdir()
    rng = np.random.default_rng(5)
    rows = []
    for index in range(len(PEOPLE)):
        picture = np.full((200, 200, 3), rng.integers(0, 256, 3), np.uint8)
        cv2.ellipse(picture, (100, 110), (50, 65), 0, 0, 360, (140, 170, 220), -1)
        for x, y in POINTS.values():
            cv2.circle(picture, (x, y), 7, (40, 30, 30), -1)
        cv2.imwrite(str(folder / "images" / f"{index}.jpg"), picture)
        points = {
            f"{name}_{axis}": value for name, point in POINTS.items() for axis, value in zip("xy", point, strict=True)
        }
        rows.append(
            {"file": f"{index}.jpg", "identity": PEOPLE[index], "x0": 50, "y0": 45, "x1": 150, "y1": 175, **points}
        )
    with (folder / "index.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(11)
    path = tmp_path_factory.mktemp("teacher") / "teacher.pth"
    torch.save({f"module.{name}": tensor for name, tensor in build_retinaface().state_dict().items()}, path)
    return path


def test_the_loss_falls(faces: Path, teacher: Path, tmp_path: Path) -> None:
    seen: list[TrainProgress] = []
    config = replace(SMALL, steps=20, checkpoint_every=100)
    train_detector(config, faces, teacher, tmp_path, seed=1, on_step=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 21))
    first, last = (np.mean([p.features + p.labels for p in part]) for part in (seen[:6], seen[-6:]))
    assert last < 0.8 * first


def test_a_run_in_two_parts_is_one_run(faces: Path, teacher: Path, tmp_path: Path) -> None:
    class InterruptedTrainingError(Exception):
        pass

    def stop_after_six(progress: TrainProgress) -> None:
        if progress.step == 6:
            raise InterruptedTrainingError

    whole = train_detector(SMALL, faces, teacher, tmp_path / "whole", seed=2)
    with pytest.raises(InterruptedTrainingError):
        train_detector(SMALL, faces, teacher, tmp_path / "parts", seed=2, on_step=stop_after_six)
    seen: list[TrainProgress] = []
    parts = train_detector(SMALL, faces, teacher, tmp_path / "parts", seed=2, on_step=seen.append)
    assert [progress.step for progress in seen] == [5, 6, 7, 8]
    expected, given = load_file(whole), load_file(parts)
    assert expected.keys() == given.keys() == build_retinaface().state_dict().keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(given[name], tensor, rtol=0, atol=0)


def test_another_seed_is_another_network(faces: Path, teacher: Path, tmp_path: Path) -> None:
    config = replace(SMALL, steps=1)
    one, other = (load_file(train_detector(config, faces, teacher, tmp_path / str(s), seed=s)) for s in (1, 2))
    assert not torch.equal(one["fpn.output1.0.weight"], other["fpn.output1.0.weight"])


def test_the_backbone_starts_from_its_file(faces: Path, teacher: Path, tmp_path: Path) -> None:
    torch.manual_seed(4)
    body = {n.removeprefix("body."): t for n, t in build_retinaface().state_dict().items() if n.startswith("body.")}
    path = tmp_path / "backbone.tar"
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in body.items()}}, path)
    config = replace(SMALL, steps=0, backbone=path)
    train_detector(config, faces, teacher, tmp_path, seed=1)
    config = replace(SMALL, steps=1, learning_rate=1e-9, backbone=path)
    trained = load_file(train_detector(config, faces, teacher, tmp_path, seed=1))
    torch.testing.assert_close(trained["body.stage1.0.0.weight"].float(), body["stage1.0.0.weight"], rtol=0, atol=1e-3)


def test_only_the_named_parts_are_trained(faces: Path, teacher: Path, tmp_path: Path) -> None:
    start = train_detector(replace(SMALL, steps=1), faces, teacher, tmp_path / "start", seed=1)
    config = replace(SMALL, steps=2, start=start, trained=LARGE_FACES, close_up=1.0)
    before, after = (load_file(path) for path in (start, train_detector(config, faces, teacher, tmp_path, seed=2)))
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith(LARGE_FACES) for name in changed)


def test_export_keeps_what_half_precision_cannot_hold(tmp_path: Path) -> None:
    net = build_retinaface()
    with torch.no_grad():
        net.get_buffer("body.stage1.0.1.running_var").fill_(1.3e5)
    export_detector(net, tmp_path / "detector.safetensors")
    read = load_file(tmp_path / "detector.safetensors")
    assert float(read["body.stage1.0.1.running_var"][0]) == pytest.approx(1.3e5)
    assert read["body.stage1.0.0.weight"].dtype == torch.float16
    assert (tmp_path / "detector.safetensors").stat().st_size < 2_000_000


def test_held_out_people_are_never_trained_on(faces: Path) -> None:
    held_out = [name for name in PEOPLE if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 20 == 0]
    assert 0 < len(held_out) < 6
    assert held_out == [name for name in PEOPLE if is_held_out(name)]
    assert len(load_portraits(faces, held_out=True)) == len(held_out)
    assert len(load_portraits(faces, held_out=False)) == len(PEOPLE) - len(held_out)


def test_composites_are_a_function_of_the_generator(faces: Path) -> None:
    portraits = load_portraits(faces, held_out=False)
    for seed in range(30):
        one, same = (make_composite(portraits, 128, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one.bgr_hwc, same.bgr_hwc)
        np.testing.assert_array_equal(one.landmarks_n5xy, same.landmarks_n5xy)
        assert one.bgr_hwc.shape == one.clean_bgr_hwc.shape == (128, 128, 3)


def test_labels_lie_where_the_face_was_drawn(faces: Path) -> None:
    portraits = load_portraits(faces, held_out=False)
    dark = np.array([30, 30, 40])
    for seed in range(40):
        sample = paste_one(portraits, 256, 90.0, np.random.default_rng(seed))
        assert len(sample.boxes_xyxy) == 1
        assert (sample.boxes_xyxy[0, 2:] - sample.boxes_xyxy[0, :2]).min() == pytest.approx(90, rel=0.25)
        left, right, nose, left_mouth, right_mouth = sample.landmarks_n5xy[0]
        assert left[0] < right[0] and left_mouth[0] < right_mouth[0] and left[1] < nose[1] < left_mouth[1]
        for x, y in sample.landmarks_n5xy[0]:
            spot = sample.clean_bgr_hwc[round(float(y)) - 1 : round(float(y)) + 2, round(float(x))]
            assert np.abs(spot.mean(axis=0) - dark).max() < 40


def test_degrading_writes_into_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    before = picture.copy()
    for seed in range(40):
        degraded = degrade(picture, np.random.default_rng(seed))
        assert degraded.dtype == np.uint8 and not np.shares_memory(degraded, picture)
    np.testing.assert_array_equal(picture, before)


def test_a_perfect_student_has_no_loss() -> None:
    generator = torch.Generator().manual_seed(1)
    parts = [torch.randn(2, 42, n, generator=generator) for n in (4, 2, 10)]
    maps = tuple(torch.randn(2, 8, n, n, generator=generator) for n in (4, 2, 2, 4, 2, 2, 4, 2, 1))
    said = DenseFaces(*parts, maps)
    for loss in distillation_losses(said, said):
        assert float(loss) == pytest.approx(0, abs=1e-6)


def test_every_labelled_face_gets_an_anchor() -> None:
    net = build_retinaface()
    boxes = torch.tensor([[0.1, 0.1, 0.25, 0.3], [0.4, 0.4, 0.9, 0.95]])
    priors = anchors(net, 256, 256)
    positive, encoded, _ = match_anchors(net, boxes, torch.zeros(2, 10), priors, overlap=0.35)
    centres = priors[positive, :2] + encoded[positive, :2] * 0.1 * priors[positive, 2:]
    for box in boxes:
        middle = (box[:2] + box[2:]) / 2
        assert (centres - middle).abs().amax(1).min() < 1e-5


def test_what_is_missing_is_said_in_one_line(faces: Path, teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index\.csv"):
        train_detector(SMALL, tmp_path / "none", teacher, tmp_path, seed=1)
    with pytest.raises(WeightsError, match=r"none\.pth"):
        train_detector(SMALL, faces, tmp_path / "none.pth", tmp_path, seed=1)
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(IncompatibleWeightsError, match=r"bad\.pth"):
        train_detector(SMALL, faces, tmp_path / "bad.pth", tmp_path, seed=1)
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(IncompatibleWeightsError, match="RetinaFace"):
        train_detector(SMALL, faces, tmp_path / "other.pth", tmp_path, seed=1)
