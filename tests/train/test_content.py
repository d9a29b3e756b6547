import csv
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gpen_video.errors import InputError
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.train.content import ContentConfig, Stage, Trainer, pairs, to_network
from gpen_video.train.data import Crops, Portrait, order, read_index
from gpen_video.train.export import export_gpen
from gpen_video.train.growth import grow
from gpen_video.train.losses import content_loss, psnr, relative_loss
from gpen_video.weights import load_gpen

POINTS = {
    "left_eye": (60, 70),
    "right_eye": (110, 70),
    "nose": (85, 100),
    "left_mouth": (65, 125),
    "right_mouth": (105, 125),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures with an index, as `../shared/faces` has them."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    with (folder / "index.csv").open("w", newline="") as file:
        axes = [f"{name}_{axis}" for name in POINTS for axis in "xy"]
        rows = csv.DictWriter(file, ["file", "identity", *axes])
        rows.writeheader()
        for number in range(12):
            picture = cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (170, 170), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / "images" / f"{number}.jpg"), picture)
            points = {f"{k}_{a}": v for k, xy in POINTS.items() for a, v in zip("xy", xy, strict=True)}
            rows.writerow({"file": f"{number}.jpg", "identity": f"person-{number}", **points})
    return folder


CONFIG = ContentConfig(
    stages=(Stage(size=16, images=8, batch=2), Stage(size=32, images=16, batch=2)),
    channel_multiplier=2,
    narrow=1 / 16,
    style_dim=32,
    mapping_layers=2,
    checkpoint_every=4,
)


def test_order_depends_on_seed_and_position_alone() -> None:
    whole = list(islice(order(7, 3), 20))
    later = list(islice(order(7, 3, start=9), 11))
    assert [index for index, _ in whole[9:]] == [index for index, _ in later]
    assert [a.random() for _, a in whole[9:]] == [b.random() for _, b in later]
    assert sorted(index for index, _ in whole[:7]) == list(range(7))


def test_crops_put_the_landmarks_on_the_published_template(tmp_path: Path) -> None:
    marked = np.zeros((170, 170, 3), np.uint8)
    for x, y in POINTS.values():
        cv2.circle(marked, (x, y), 2, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "marked.png"), marked)
    points = np.array(list(POINTS.values()), float)
    crop = Crops([Portrait(tmp_path / "marked.png", "marked", points)], 512).crop(0)
    assert crop.shape == (512, 512, 3) and crop.dtype == np.float32
    # gpen_spec.md section 3: the published points at 512; a similarity fits five points to within some pixels
    for x, y in [(202.0, 242.9), (309.4, 242.3), (256.1, 304.0), (212.0, 366.8), (300.9, 366.3)]:
        assert crop[round(y) - 12 : round(y) + 13, round(x) - 12 : round(x) + 13].max() > 0.8
    assert crop.mean() < 0.05


def test_a_folder_without_index_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index\.csv: no such file"):
        read_index(tmp_path)


def test_an_index_without_landmarks_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("file,identity\na.jpg,a\n")
    with pytest.raises(InputError, match="not a portrait index"):
        read_index(tmp_path)


def test_resuming_gives_the_weights_of_an_uninterrupted_run(folder: Path, tmp_path: Path) -> None:
    portraits = read_index(folder)
    whole = Trainer(CONFIG, portraits, tmp_path / "whole").run(lambda line: None)

    class StoppedError(Exception):
        pass

    def stop_once(line: str, at: str = "32 px: 8 images") -> None:
        if line.startswith(at):
            raise StoppedError

    # The checkpoint is written after the line: this run is cut off between the two, and goes on from the one before.
    with pytest.raises(StoppedError):
        Trainer(CONFIG, portraits, tmp_path / "parts").run(stop_once)
    resumed = Trainer(CONFIG, portraits, tmp_path / "parts")
    assert (resumed.state.stage, resumed.state.seen) == (1, 4)
    parts = resumed.run(lambda line: None)
    for (name, a), b in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_the_producer_thread_ends_with_its_block(folder: Path) -> None:
    import threading

    before = threading.active_count()
    with pairs(Crops(read_index(folder), 16), 2, 0) as batches:
        degraded, target = next(batches)
        assert degraded.shape == target.shape == (2, 3, 16, 16)
    assert threading.active_count() == before


def test_a_grown_network_keeps_what_the_smaller_one_learnt() -> None:
    small, large = CONFIG.network(16), CONFIG.network(32)
    fresh = set(grow(small, large))
    for key, value in small.state_dict().items():
        if key.startswith("generator"):
            assert torch.equal(large.state_dict()[key], value)
    assert torch.equal(large.get_parameter("ecd2.0.1.weight"), small.get_parameter("ecd1.0.1.weight"))
    assert {key for key in fresh if key.startswith("ecd")} == {
        "ecd0.0.0.weight",
        "ecd0.0.1.bias",
        "ecd1.0.0.kernel",
        "ecd1.0.1.weight",
        "ecd1.0.2.bias",
    }


def test_growing_into_other_widths_is_refused() -> None:
    wider = Gpen(GpenConfig(32, 2, 1 / 8, 32, 2))
    with pytest.raises(ValueError, match="widths must be equal"):
        grow(CONFIG.network(16), wider)


def test_psnr_is_the_closed_form() -> None:
    target = torch.zeros(2, 3, 8, 8)
    made = target + torch.tensor([0.2, 0.02]).view(2, 1, 1, 1)  # of a range of 2: 20 dB and 40 dB
    torch.testing.assert_close(psnr(made, target), torch.tensor([20.0, 40.0]), atol=1e-3, rtol=0)


def test_content_loss_without_detail_is_l1_and_is_zero_for_equals() -> None:
    a, b = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(content_loss(a, b, detail=0).mean(), (a - b).abs().mean())
    assert content_loss(a, a).abs().max() == 0


def test_relative_loss_is_one_for_doing_nothing_and_counts_images_alike() -> None:
    target = torch.zeros(2, 3, 16, 16)
    degraded = torch.randn(2, 3, 16, 16) * torch.tensor([10.0, 100.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(relative_loss(degraded, degraded, target), torch.tensor(1.0), atol=1e-2, rtol=0)
    half = degraded * torch.tensor([0.5, 1.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(relative_loss(half, degraded, target), torch.tensor(0.75), atol=1e-2, rtol=0)


def test_an_exported_network_loads_as_weights(tmp_path: Path) -> None:
    net = CONFIG.network(32)
    path = tmp_path / "mine.safetensors"
    export_gpen(net, path, name="mine", terms="mine alone")
    loaded = load_gpen(str(path))
    assert loaded.net.config == net.config
    assert loaded.template == "gpen"
    crops = to_network(np.random.default_rng(0).random((1, 32, 32, 3), np.float32))
    with torch.no_grad():
        torch.testing.assert_close(loaded.net(crops), net(crops), atol=0.05, rtol=0.01)
    assert not list(tmp_path.glob("*.part"))
