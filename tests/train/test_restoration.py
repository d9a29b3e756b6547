"""The restoring network in training."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gpen_video.train.degrade import training_clip
from gpen_video.train.restoration import Rates, RestorationConfig, RestorationTraining, Weights, _share, _to_next
from gpen_video.train.training import Moment, Training
from tests.train.test_loop import CPU, TINY, Noise, of_content_alone, restoration


def test_the_map_to_the_next_frame_is_the_clips_motion() -> None:
    rng = np.random.default_rng(5)
    portrait = cv2.resize(rng.random((12, 12, 3), np.float32), (64, 64), interpolation=cv2.INTER_LINEAR)
    clip = training_clip(portrait, rng, 3, stops=(0.0, 0.0))
    target = torch.from_numpy(clip.target_thwc).permute(0, 3, 1, 2)
    grid = F.affine_grid(torch.from_numpy(_to_next(clip, 64)), [2, 3, 64, 64], align_corners=False)
    moved = F.grid_sample(target[:-1], grid, mode="bilinear", align_corners=False)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    still = (target[:-1] - target[1:])[inner].abs().mean()
    assert (moved - target[1:])[inner].abs().mean() < 0.25 * still


def test_encoder_and_decoder_have_their_own_rates() -> None:
    training = RestorationTraining(RestorationConfig(network=TINY), Noise(), CPU, seed=0)
    encoder, decoder = training.optimisers["net"].param_groups
    assert (encoder["lr"], decoder["lr"]) == (2e-3, 2e-4)
    named = dict(training.net.named_parameters())
    of_decoder = {id(p) for p in decoder["params"]}
    assert {name for name, p in named.items() if id(p) in of_decoder} == {
        name for name in named if name.startswith("generator.")
    }
    assert len(encoder["params"]) + len(decoder["params"]) == len(named)


def test_with_a_rate_for_matrices_muon_takes_the_convolutions() -> None:
    config = RestorationConfig(network=TINY, rates=Rates(matrices=1e-3, discriminator_matrices=2e-3))
    training = RestorationTraining(config, Noise(), CPU, seed=0)
    assert training.discriminator is not None
    judged = [optimiser.param_groups[0] for name, optimiser in training.optimisers.items() if "discriminator" in name]
    shapes_of = [{p.shape[-2:] for p in group["params"] if p.ndim == 4} for group in judged]
    assert shapes_of == [{(1, 1)}, {(3, 3)}]
    assert sum(len(group["params"]) for group in judged) == len(list(training.discriminator.parameters()))
    of_adam = [p for group in training.optimisers["net"].param_groups for p in group["params"]]
    matrices = training.optimisers["matrices"].param_groups[0]["params"]
    assert len(of_adam) + len(matrices) == len(list(training.net.parameters()))
    taken = {id(p) for p in of_adam}
    shapes = {name: tuple(p.shape) for name, p in training.net.named_parameters() if id(p) not in taken}
    assert all(shape[-2:] == (3, 3) for name, shape in shapes.items() if name != "final_linear.0.weight")
    assert {"final_linear.0.weight", "generator.conv1.conv.weight", "ecd1.0.1.weight"} <= shapes.keys()


def test_rates_share_along_a_cosine() -> None:
    rates = Rates(final=0.1, fall_from=0.5)
    assert [_share(rates, at) for at in (0.0, 0.5)] == [1, 1]
    assert _share(rates, 0.75) == pytest.approx(0.55)
    assert _share(rates, 1.0) == pytest.approx(0.1)
    assert [_share(Rates(warm_up=0.2), at) for at in (0.0, 0.1, 0.2)] == [0, 0.5, 1]


@pytest.mark.parametrize(
    "make",
    [
        restoration,
        lambda: restoration(adversarial=0.0),
        lambda: restoration(steadiness=1.0, adversarial=0.0),
        lambda: of_content_alone(CPU, matrices=2e-3),
    ],
    ids=["adversarial", "content", "clips", "muon"],
)
def test_training_lowers_the_content_loss(make: Callable[[], Training]) -> None:
    training = make()
    rng = np.random.default_rng(0)
    samples = [training.sample(index, rng) for index in range(4)]
    batch = {name: torch.from_numpy(np.stack([s[name] for s in samples])) for name in samples[0]}
    losses = [training.step(batch, Moment(4 * i, 4, 400))["content"].item() for i in range(40)]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


def test_without_an_adversary_there_is_no_discriminator() -> None:
    assert set(restoration(adversarial=0.0).modules) == {"net", "average"}
    assert set(restoration().modules) == {"net", "average", "discriminator"}


def test_an_identity_start_restores_the_crop_itself() -> None:
    config = RestorationConfig(network=TINY, identity_start=True, weights=Weights(adversarial=0.0))
    training = RestorationTraining(config, Noise(), CPU, seed=0)
    crops = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(training.net(crops), crops, atol=1e-5)


def test_an_identity_loss_counts_and_is_needed() -> None:
    with pytest.raises(ValueError, match="knows persons"):
        restoration(identity=1.0)
    config = RestorationConfig(network=TINY, weights=Weights(adversarial=0.0, identity=0.5))
    calls: list[tuple[int, ...]] = []

    def unlikeness(made: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(tuple(made.shape))
        return (made - target).square().mean((1, 2, 3))

    training = RestorationTraining(config, Noise(), CPU, seed=0, unlikeness=unlikeness)
    sample = training.sample(0, np.random.default_rng(0))
    batch = {name: torch.from_numpy(value[None]) for name, value in sample.items()}
    assert "identity" in training.step(batch, Moment(0, 1, 10))
    assert calls == [(1, 3, 16, 16)]


def test_sheets_show_degraded_restored_and_original() -> None:
    assert restoration().sheet().shape == (24, 3, 16, 16)
