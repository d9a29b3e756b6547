import copy
import json
from pathlib import Path

import pytest
import torch

from gpen_video.nets.discriminator import Discriminator
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.stylegan2 import Generator
from tests.nets import oracle

TOLERANCE = 3e-5  # of the published network, fp32
FORMS = 1e-5  # between the two forms

LARGEST = "g512_cm2_n1"
NETWORKS = ["g16_tiny", "g64_n025", "g128_n025", "g256_cm1_n05", pytest.param(LARGEST, marks=pytest.mark.slow)]


def build(shared: Path, name: str) -> tuple[Gpen, torch.Tensor, torch.Tensor]:
    entry, arrays = oracle.load(shared, name)
    state = oracle.state(shared, entry)
    net = Gpen(GpenConfig.from_state(state)).eval()
    net.load_state_dict(state, strict=True)
    return net, oracle.tensor(arrays["input"]), oracle.tensor(arrays["output"])


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_both_forms_equal_the_published_network(shared: Path, name: str) -> None:
    net, crops, faces = build(shared, name)
    plain = net(crops)
    torch.testing.assert_close(plain, faces, atol=TOLERANCE, rtol=0)
    fast = net.use_form("fast")(crops.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(fast, faces, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(fast, plain, atol=FORMS, rtol=0)


@torch.no_grad()
def test_the_form_that_restores_equals_the_published_network_of_full_size(shared: Path) -> None:
    net, crops, faces = build(shared, LARGEST)
    fast = net.use_form("fast")(crops.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(fast, faces, atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_intermediate_values_equal_the_published_networks(shared: Path) -> None:
    net, crops, _ = build(shared, "g16_tiny")
    _, arrays = oracle.load(shared, "g16_tiny")
    latent, features = net.encode(crops)
    torch.testing.assert_close(latent[:1], oracle.tensor(arrays["mid/w"]), atol=TOLERANCE, rtol=0)
    for feature, name in zip(features, ["ecd2", "ecd1", "ecd0"], strict=True):
        torch.testing.assert_close(feature[:1], oracle.tensor(arrays[f"mid/{name}"]), atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_decode_of_encode_is_forward_and_takes_a_latent_for_each_layer(shared: Path) -> None:
    net, crops, _ = build(shared, "g64_n025")
    latent, features = net.encode(crops)
    repeated = latent[:, None].expand(-1, net.generator.layer_count, -1)
    assert torch.equal(net.decode(latent, features), net(crops))
    assert torch.equal(net.decode(repeated, features), net(crops))


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_gradients_equal_the_published_networks(shared: Path, form: str) -> None:
    entry, arrays = oracle.load(shared, "g32_training")
    state = oracle.state(shared, entry["G"])
    net = Gpen(GpenConfig.from_state(state))
    net.load_state_dict(state, strict=True)
    net.use_form(form)  # type: ignore[arg-type]
    crops = oracle.tensor(arrays["fwd/input"]).requires_grad_()
    loss = (net(crops) * oracle.tensor(arrays["fwd/cotangent"])).sum()
    loss.backward()
    assert crops.grad is not None
    torch.testing.assert_close(crops.grad, oracle.tensor(arrays["fwd/grad_input"]), atol=1e-3, rtol=1e-4)
    for name, parameter in net.named_parameters():
        expected = oracle.tensor(arrays[f"fwd/grad/{name}"])
        assert parameter.grad is not None
        scale = float(expected.abs().max()) + 1e-6
        torch.testing.assert_close(parameter.grad / scale, expected / scale, atol=2e-4, rtol=0, msg=name)


@pytest.mark.parametrize("concatenate", [True, False])
@torch.no_grad()
def test_the_bare_prior_equals_the_published_one(shared: Path, concatenate: bool) -> None:
    entry, arrays = oracle.load(shared, "prior32_concat" if concatenate else "prior32_add")
    prior = Generator(32, narrow=1 / 16, style_dim=32, mapping_layers=2, concatenate=concatenate)
    prior.load_state_dict(oracle.state(shared, entry), strict=True)
    noises = [oracle.tensor(arrays[f"noise{i}"]) for i in range(7)]
    assert [tuple(noise.shape) for noise in noises] == prior.noise_shapes(2)
    made = prior(oracle.tensor(arrays["z"]), noises)
    torch.testing.assert_close(made, oracle.tensor(arrays["output"]), atol=TOLERANCE, rtol=0)


KEY_TABLES = [
    "gpen-64-cm2-n0.25",
    "gpen-128-cm2-n0.25",
    "gpen-bfr-256",
    "gpen-bfr-512",
    "gpen-bfr-1024",
    "gpen-bfr-2048",
]


@pytest.mark.parametrize("table", KEY_TABLES)
def test_keys_and_shapes_are_the_published_ones(shared: Path, table: str) -> None:
    wanted = json.loads((shared / "oracle" / f"keys_{table}_generator.json").read_text())
    config = wanted["config"]
    with torch.device("meta"):
        net = Gpen(GpenConfig(config["size"], config["channel_multiplier"], config["narrow"]))
    have = {name: list(value.shape) for name, value in net.state_dict().items()}
    assert have == {entry["name"]: entry["shape"] for entry in wanted["entries"]}
    parameters = {name for name, _ in net.named_parameters()}
    assert parameters == {entry["name"] for entry in wanted["entries"] if entry["kind"] == "param"}
    assert GpenConfig.from_state(net.state_dict()) == net.config


@pytest.mark.parametrize("table", [f"{t}_discriminator" for t in KEY_TABLES] + ["D256_cm1_n1", "D256_cm2_n1"])
def test_discriminator_keys_and_shapes_are_the_published_ones(shared: Path, table: str) -> None:
    wanted = json.loads((shared / "oracle" / f"keys_{table}.json").read_text())
    config = wanted["config"]
    with torch.device("meta"):
        net = Discriminator(config["size"], channel_multiplier=config["channel_multiplier"], narrow=config["narrow"])
    have = {name: list(value.shape) for name, value in net.state_dict().items()}
    assert have == {entry["name"]: entry["shape"] for entry in wanted["entries"]}


@pytest.mark.parametrize("name", ["d32_tiny", "d64_n025", "d256_cm1_n05"])
@torch.no_grad()
def test_discriminator_logits_equal_the_published_ones(shared: Path, name: str) -> None:
    entries, arrays = oracle.load(shared, "discriminator")
    entry = entries[name]
    config = entry["config"]
    net = Discriminator(config["size"], channel_multiplier=config["channel_multiplier"], narrow=config["narrow"])
    net.load_state_dict(oracle.state(shared, entry), strict=True)
    for batch in range(1, 7):
        if f"{name}/b{batch}/logit" not in arrays:
            continue
        size, seed = config["size"], entry["seed"]
        faces = oracle.tensor(oracle.recipe(shared).image(f"{name}_b{batch}", size, size, seed, n=batch))
        logits = oracle.tensor(arrays[f"{name}/b{batch}/logit"])
        torch.testing.assert_close(net(faces), logits, atol=2e-4, rtol=2e-5)


def test_an_untrained_network_is_refused_with_other_keys() -> None:
    with pytest.raises(ValueError, match="not a GPEN"):
        GpenConfig.from_state({"body.weight": torch.zeros(1)})


def test_size_must_be_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="power of two"):
        Gpen(GpenConfig(100))


@torch.no_grad()
def test_equal_crops_give_equal_faces() -> None:
    net = Gpen(GpenConfig(32, narrow=1 / 16, style_dim=32, mapping_layers=2)).use_form("fast")
    for parameter in net.parameters():
        parameter.normal_()
    crop = torch.randn(1, 3, 32, 32)
    assert torch.equal(net(crop), net(crop.clone()))


SMALL = GpenConfig(32, narrow=1 / 8, style_dim=32, mapping_layers=2)
"""Wide enough at 16 and 32 pixels for Winograd."""


def with_random_parameters(config: GpenConfig) -> Gpen:
    torch.manual_seed(0)
    net = Gpen(config)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("bias", "noise.weight", "generator.input.input")):
                parameter.add_(torch.randn_like(parameter) / 4)
    return net


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("per_layer", [False, True])
def test_the_fast_form_equals_the_plain_one_with_and_without_gradients(batch: int, per_layer: bool) -> None:
    net = with_random_parameters(SMALL)
    latent, features = net.encode(torch.randn(batch, 3, 32, 32))
    if per_layer:
        latent = latent[:, None] * torch.rand(net.generator.layer_count, 1)
    plain = net.decode(latent, features)
    net.use_form("fast")
    torch.testing.assert_close(net.decode(latent, features), plain, atol=FORMS, rtol=0)
    with torch.inference_mode():
        torch.testing.assert_close(net.decode(latent, features), plain, atol=FORMS, rtol=0)


@torch.no_grad()
def test_nothing_kept_outlives_a_change_of_any_parameter() -> None:
    net = with_random_parameters(SMALL).use_form("fast")
    crops = torch.randn(1, 3, 32, 32)
    last = net(crops)
    kinds = {name: ".".join(name.split(".")[-2:]) for name, _ in net.named_parameters()}
    for kind in sorted(set(kinds.values())):
        for name, parameter in net.named_parameters():
            if kinds[name] == kind:
                parameter.add_(torch.randn_like(parameter) * 0.1 * parameter.abs().max())
        face = net(crops)
        torch.testing.assert_close(face, copy.deepcopy(net)(crops), atol=FORMS, rtol=0, msg=kind)
        assert not torch.equal(face, last), kind
        last = face


@pytest.mark.parametrize("batch", [1, 2])
def test_second_derivatives_of_both_forms_are_equal(batch: int) -> None:
    net = with_random_parameters(GpenConfig(16, narrow=1 / 16, style_dim=32, mapping_layers=2)).double()
    crops = torch.randn(batch, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    penalties: dict[str, list[torch.Tensor]] = {}
    for form in ("plain", "fast"):
        (slope,) = torch.autograd.grad(net.use_form(form)(crops).square().sum(), crops, create_graph=True)  # type: ignore[arg-type]
        net.zero_grad()
        slope.square().sum().backward()
        penalties[form] = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    for plain, fast in zip(penalties["plain"], penalties["fast"], strict=True):
        # The demodulation's sum is single precision in the fast form.
        torch.testing.assert_close(fast, plain, atol=1e-4 * float(plain.abs().max()), rtol=0)


@torch.no_grad()
def test_the_fast_form_works_under_autocast_and_in_half_precision() -> None:
    net = with_random_parameters(SMALL).use_form("fast")
    crops = torch.randn(1, 3, 32, 32)
    exact = net(crops)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = net(crops).float()
    low = net.to(torch.bfloat16)(crops.bfloat16()).float()
    for rounded in (mixed, low):
        assert float((rounded - exact).abs().mean()) < 0.02 * float(exact.abs().max())


def test_a_copy_of_a_used_network_works() -> None:
    net = with_random_parameters(SMALL).use_form("fast")
    crops = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        face = net(crops)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(net)(crops), face)
