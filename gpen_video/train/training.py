"""What all trainings share: the contract with the loop, a step of an optimiser, the discriminator's shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gpen_video.nets.discriminator import Discriminator
from gpen_video.nets.gpen import GpenConfig
from gpen_video.train.feed import Batch, Sample
from gpen_video.train.machine import Machine

Figures = dict[str, Tensor]
"""Scalars of one step by name, on the device; reading them would wait for it, so the loop does so rarely."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in a training a step stands."""

    seen: int
    """Images seen before it."""
    batch: int
    """Images of the step, over all processes."""
    total: int
    """Images of the whole training."""

    @property
    def step(self) -> int:
        """Counts from 0."""
        return self.seen // self.batch

    @property
    def progress(self) -> float:
        """0 to 1."""
        return self.seen / self.total


@dataclass(frozen=True, slots=True)
class Report:
    """Where a training stands."""

    seen: int
    total: int
    images_per_second: float
    """Since the last report."""
    figures: dict[str, float]
    """Means since the last report, by name."""


class Training(Protocol):
    """One kind of training, as the loop runs it."""

    config: Any
    """A dataclass; a checkpoint of another one is refused."""

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Networks with their names in a checkpoint; ``average`` is what a training is for."""

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers with their names in a checkpoint."""

    def numbers(self) -> dict[str, float]:
        """Whatever else a resumed training needs."""

    def load_numbers(self, numbers: Mapping[str, float]) -> None:
        """Take `numbers` back."""

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """One training sample of face `index`; runs in another process."""

    def step(self, batch: Batch, moment: Moment) -> Figures:
        """Learn from one batch; all randomness comes from seed and moment."""

    def sheet(self) -> Tensor:
        """(N, 3, S, S) in [-1, 1], N a multiple of 8: pictures that show how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscriminatorConfig:
    """Widths of the discriminator; by default those of the generator, though the released 256 one is wider."""

    channel_multiplier: int | None = None
    narrow: float | None = None
    group: int | None = 4
    """Faces over which the minibatch deviation is taken."""

    def build(self, network: GpenConfig) -> Discriminator:
        """A fresh one for faces of the network's size."""
        return Discriminator(
            network.size,
            channel_multiplier=self.channel_multiplier or network.channel_multiplier,
            narrow=self.narrow or network.narrow,
            group=self.group,
        )


def lazy_adam(parameters: Iterable[nn.Parameter], rate: float, every: int) -> torch.optim.Adam:
    """Adam for a network that takes one more step every `every` steps (Karras et al. 2020, appendix B)."""
    share = every / (every + 1)
    return torch.optim.Adam(parameters, lr=rate * share, betas=(0.0, 0.99**share), eps=1e-8)


def take_step(loss: Tensor, module: nn.Module, optimisers: Iterable[torch.optim.Optimizer], machine: Machine) -> None:
    """Gradient of the loss, averaged over the processes, and one step along it."""
    module.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    machine.average_gradients(module)
    for optimiser in optimisers:
        optimiser.step()
