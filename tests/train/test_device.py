"""Training away from the CPU: on PyTorch's meta device, which computes nothing and takes no tensor of another."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from gpen_video.train.machine import Machine
from gpen_video.train.prior import PriorConfig, PriorTraining
from gpen_video.train.restoration import Rates, RestorationConfig, RestorationTraining, Weights
from gpen_video.train.training import Moment, Training
from tests.train.test_loop import TINY, Noise


class Elsewhere(Machine):
    """Its random numbers come from the CPU, as the meta device has none."""

    def generator(self, seed: int, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed + step)


def restoration(place: Machine, matrices: float = 0.0, **weights: float) -> Training:
    rates = Rates(matrices=matrices, discriminator_matrices=matrices)
    config = RestorationConfig(network=TINY, weights=Weights(**weights), rates=rates, augmentation=0.3, r1_every=2)
    return RestorationTraining(config, Noise(), place, seed=1)


def prior(place: Machine) -> Training:
    config = PriorConfig(network=TINY, r1_every=2, path_every=2, augmentation_images=200)
    return PriorTraining(config, Noise(), place, seed=1)


@pytest.mark.parametrize(
    "make",
    [
        prior,
        restoration,
        lambda place: restoration(place, adversarial=0.0),
        lambda place: restoration(place, matrices=1e-3),
        lambda place: restoration(place, steadiness=1.0),
    ],
    ids=["prior", "fine-tuning", "content", "muon", "clips"],
)
def test_every_tensor_of_a_step_is_on_the_device(make: Callable[[Machine], Training]) -> None:
    training = make(Elsewhere(device=torch.device("meta"), workers=0))
    sample = training.sample(0, np.random.default_rng(0))
    batch = {name: torch.empty((4, *array.shape), device="meta") for name, array in sample.items()}
    for step in range(2):  # with the lazy regularisers, and without
        figures = training.step(batch, Moment(4 * step, 4, 400))
        assert {figure.device.type for figure in figures.values()} == {"meta"}
    assert {p.device.type for module in training.modules.values() for p in module.parameters()} == {"meta"}
