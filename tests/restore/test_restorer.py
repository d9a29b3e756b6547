import numpy as np
import pytest
import torch

from gpen_video.errors import DeviceError
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.restore import GpenRestorer, LatentRestorer, choose_devices, choose_precision

TINY = GpenConfig(32, narrow=1 / 16, style_dim=32, mapping_layers=2)
CPU = torch.device("cpu")


@pytest.fixture
def net() -> Gpen:
    torch.manual_seed(0)
    net = Gpen(TINY)
    for name, parameter in net.named_parameters():
        if name.endswith("noise.weight"):
            torch.nn.init.constant_(parameter, 0.7)
    return net


def crops(count: int) -> np.ndarray:
    rgb = np.random.default_rng(1).random((count, 32, 32, 3), np.float32)
    rgb.flags.writeable = False
    return rgb


@torch.no_grad()
def test_it_is_the_network_with_its_ranges_converted(net: Gpen) -> None:
    rgb = crops(3)
    expected = net(torch.tensor(rgb.transpose(0, 3, 1, 2) * 2 - 1)).numpy().transpose(0, 2, 3, 1) / 2 + 0.5
    np.testing.assert_allclose(GpenRestorer(net, device=CPU).restore(rgb), expected.clip(0, 1), atol=1e-5)


def test_a_face_does_not_depend_on_its_batch(net: Gpen) -> None:
    rgb = crops(7)
    single = GpenRestorer(net, device=CPU, batch=1).restore(rgb)
    for batch in (2, 3, 7):
        np.testing.assert_allclose(GpenRestorer(net, device=CPU, batch=batch).restore(rgb), single, atol=1e-5)


def test_on_a_cpu_the_bits_do_not_depend_on_how_crops_arrive(net: Gpen) -> None:
    restorer, rgb = GpenRestorer(net, device=CPU), crops(5)
    together = restorer.restore(rgb)
    assert np.array_equal(together, np.concatenate([restorer.restore(rgb[i : i + 1]) for i in range(5)]))


def test_no_crops_give_no_faces(net: Gpen) -> None:
    assert GpenRestorer(net, device=CPU).restore(crops(0)).shape == (0, 32, 32, 3)


def fail_above(monkeypatch: pytest.MonkeyPatch, net: Gpen, limit: int) -> list[int]:
    """Let the network run out of memory, as torch says it, for batches larger than `limit`."""
    sizes: list[int] = []
    forward = net.forward

    def limited(rgb: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rgb))
        if len(rgb) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return forward(rgb)

    monkeypatch.setattr(net, "forward", limited)
    return sizes


def test_the_batch_is_halved_and_retried_when_memory_runs_out(net: Gpen, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = GpenRestorer(net, device=CPU, batch=8).restore(crops(8))
    sizes = fail_above(monkeypatch, net, 3)
    restorer = GpenRestorer(net, device=CPU, batch=8)
    np.testing.assert_allclose(restorer.restore(crops(8)), expected, atol=1e-5)
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert restorer.batch == 2


def test_no_memory_for_one_face_is_one_clear_line(net: Gpen, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_above(monkeypatch, net, 0)
    with pytest.raises(DeviceError, match="not enough memory for one face of 32 pixels"):
        GpenRestorer(net, device=CPU, batch=2).restore(crops(2))


def test_a_filter_that_changes_nothing_gives_the_same_face(net: Gpen) -> None:
    restorer, rgb = GpenRestorer(net, device=CPU), crops(3)
    assert isinstance(restorer, LatentRestorer)
    assert np.array_equal(restorer.restore_steadied(rgb, lambda latents: latents), restorer.restore(rgb))
    assert restorer.restore_steadied(crops(0), lambda latents: latents).shape == (0, 32, 32, 3)


@torch.no_grad()
def test_the_filtered_latent_is_decoded_with_the_features_of_the_crop(net: Gpen) -> None:
    rgb = crops(2)
    encoding = net.encode(torch.tensor(rgb.transpose(0, 3, 1, 2) * 2 - 1))
    expected = net.decode(encoding.latent * 0.5, encoding.features).numpy().transpose(0, 2, 3, 1) / 2 + 0.5
    made = GpenRestorer(net, device=CPU).restore_steadied(rgb, lambda latents: latents * np.float32(0.5))
    np.testing.assert_allclose(made, expected.clip(0, 1), atol=1e-5)


@pytest.mark.parametrize("part", ["encode", "decode"])
def test_a_filter_sees_each_latent_once_also_when_memory_runs_out(
    net: Gpen, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    latents = net.encode(torch.tensor(crops(8).transpose(0, 3, 1, 2) * 2 - 1)).latent.detach().numpy()
    method = getattr(net, part)

    def limited(tensor: torch.Tensor, *more: object) -> object:
        if len(tensor) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return method(tensor, *more)

    seen: list[np.ndarray] = []

    def steady(part_nd: np.ndarray) -> np.ndarray:
        seen.extend(part_nd)
        return part_nd + np.float32(0.1 * len(seen))  # shows if a face were given what belongs to another call

    expected = GpenRestorer(net, device=CPU, batch=8).restore_steadied(crops(8), lambda part_nd: part_nd + 0.8)
    monkeypatch.setattr(net, part, limited)
    restorer = GpenRestorer(net, device=CPU, batch=8)
    made = restorer.restore_steadied(crops(8), steady)
    np.testing.assert_allclose(seen, latents, atol=1e-4)
    assert restorer.batch == 2
    if part == "decode":  # the filter was asked once, for all eight
        np.testing.assert_allclose(made, expected, atol=1e-4)


def test_other_errors_pass_through(net: Gpen) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        GpenRestorer(net, device=CPU).restore(np.zeros((1, 30, 30, 3), np.float32))


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "xpu:1", "meta"])
def test_a_device_that_is_not_there_is_one_clear_line(name: str) -> None:
    with pytest.raises(DeviceError, match=r"^device '.*' is not .*use .*auto"):
        choose_devices(name)


def test_a_cpu_computes_in_full_precision_unless_told() -> None:
    assert choose_devices("cpu") == (CPU,)
    assert choose_precision("auto", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"
