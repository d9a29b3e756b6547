"""Stage 1: the GAN prior. A StyleGAN2 generator with concatenated noise learns to make faces.

Yang et al., CVPR 2021, section 3.1; Karras et al., CVPR 2020 (StyleGAN2) and NeurIPS 2020 (adaptive discriminator
augmentation, because there are thousands of faces here and not seventy thousand).
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from gpen_video.nets.gpen import GpenConfig
from gpen_video.nets.stylegan2 import Generator, set_form
from gpen_video.train.augment import Adaptation, augment
from gpen_video.train.data import FaceSource
from gpen_video.train.ema import decay_for, update_average
from gpen_video.train.feed import Batch, Sample, to_network
from gpen_video.train.losses import gradient_penalty, made_is_real, path_lengths, tells_apart
from gpen_video.train.machine import Machine
from gpen_video.train.training import DiscriminatorConfig, Figures, Moment, lazy_adam, take_step

Synthesis = Callable[[Tensor, Sequence[Tensor]], Tensor]
"""`Generator.synthesise`, compiled or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorConfig:
    """How the prior is trained; the defaults are StyleGAN2's and StyleGAN2-ADA's."""

    network: GpenConfig
    """Widths of the generator: those of the GPEN that it will be embedded in."""
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    learning_rate: float = 2e-3
    r1_weight: float = 10.0
    """gamma; R1 counts with half of it."""
    r1_every: int = 16
    """Steps between R1 steps, which count that many times (lazy regularisation)."""
    path_weight: float = 2.0
    path_every: int = 4
    path_decay: float = 0.01
    path_shrink: int = 2
    """Part of the batch that path lengths are measured on: one in so many."""
    style_mixing: float = 0.9
    """Part of the images whose layers take their styles from two latents."""
    augmentation_target: float = 0.6
    """Overfitting heuristic r_t that augmentation is steered to; 0 augments nothing."""
    augmentation_images: int = 500_000
    """Images over which the strength can go from 0 to 1."""
    average_half_life: float = 10_000
    """Of the averaged generator, in images; shorter at first."""
    average_ramp: float = 0.05
    """The half-life is never more than this part of the images seen."""


class PriorTraining:
    """Generator against discriminator; `average` is the prior that is embedded afterwards.

    Args:
        config: what to train and how.
        faces: real faces.
        machine: where.
        seed: of the first weights and of all that follows.
    """

    def __init__(self, config: PriorConfig, faces: FaceSource, machine: Machine, *, seed: int) -> None:
        self.config, self._faces, self._machine, self._seed = config, faces, machine, seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = prior_generator(config.network)
            self.discriminator = config.discriminator.build(config.network)
        for module in (self.generator, self.discriminator):
            module.to(machine.device)
            set_form(module, "fast")
            machine.share_weights(module)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self._generator_optimiser = lazy_adam(self.generator.parameters(), config.learning_rate, config.path_every)
        self._discriminator_optimiser = lazy_adam(
            self.discriminator.parameters(), config.learning_rate, config.r1_every
        )
        self._adaptation = Adaptation(target=config.augmentation_target, images=config.augmentation_images)
        self._path_mean = torch.zeros((), device=machine.device)
        self._makes = torch.compile(self.generator.synthesise) if machine.compile else self.generator.synthesise
        self._judges = torch.compile(self.discriminator) if machine.compile else self.discriminator

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds."""
        return {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """What a checkpoint holds besides."""
        return {"generator": self._generator_optimiser, "discriminator": self._discriminator_optimiser}

    def numbers(self) -> dict[str, float]:
        """State that is neither weights nor optimisers."""
        return {"path_mean": self._path_mean.item(), **self._adaptation.state()}

    def load_numbers(self, numbers: Mapping[str, float]) -> None:
        """Take `numbers` back."""
        self._path_mean.fill_(numbers["path_mean"])
        self._adaptation.load(numbers)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """One real face."""
        return {"face": self._faces.crop(index, rng)}

    def step(self, batch: Batch, moment: Moment) -> Figures:
        """One step of the discriminator, one of the generator, and what is due of the regularisers."""
        config, draw = self.config, self._machine.generator(self._seed, moment.step)
        real = to_network(batch["face"])
        figures = self._discriminate(real, draw)
        if moment.step % config.r1_every == 0:
            figures["r1"] = self._penalise_gradients(real, draw)
        figures["generator"] = self._generate(len(real), draw)
        if config.path_weight and moment.step % config.path_every == 0:
            figures["path_length"] = self._even_paths(max(1, len(real) // config.path_shrink), draw)
        if config.augmentation_target:
            self._adaptation.adjust(moment.step, self._machine.mean)
        half_life = min(config.average_half_life, config.average_ramp * moment.seen)
        update_average(self.average, self.generator, decay_for(moment.batch, half_life))
        figures["augmentation"] = real.new_tensor(self._adaptation.strength)
        return figures

    def sheet(self) -> Tensor:
        """(32, 3, S, S) in [-1, 1]: faces of the averaged prior from fixed latents."""
        draw = torch.Generator(self._machine.device).manual_seed(self._seed)
        with torch.no_grad(), self._machine.autocast():
            faces = [self._imagine(self.average, 8, draw, mixing=0.0)[0].float() for _ in range(4)]
        return torch.cat(faces)

    def _discriminate(self, real: Tensor, draw: torch.Generator) -> Figures:
        with torch.no_grad(), self._machine.autocast():
            made = self._imagine(self.generator, len(real), draw, makes=self._makes)[0]
        strength = self._adaptation.strength
        with self._machine.autocast():
            real_logits = self._judges(augment(real, strength, draw)).float()
            made_logits = self._judges(augment(made, strength, draw)).float()
        loss = tells_apart(real_logits, made_logits)
        self._adaptation.observe(real_logits, len(real) * self._machine.ranks)
        take_step(loss, self.discriminator, [self._discriminator_optimiser], self._machine)
        return {"discriminator": loss.detach(), "overfitting": real_logits.detach().sign().mean()}

    def _penalise_gradients(self, real: Tensor, draw: torch.Generator) -> Tensor:
        # With respect to what the discriminator sees: through the resampling there are no second derivatives.
        seen = augment(real, self._adaptation.strength, draw).detach().requires_grad_(True)
        penalty = gradient_penalty(self.discriminator(seen), seen)
        loss = self.config.r1_weight / 2 * penalty * self.config.r1_every
        take_step(loss, self.discriminator, [self._discriminator_optimiser], self._machine)
        return penalty.detach()

    def _generate(self, count: int, draw: torch.Generator) -> Tensor:
        self.discriminator.requires_grad_(False)
        with self._machine.autocast():
            made, _ = self._imagine(self.generator, count, draw, makes=self._makes)
            logits = self._judges(augment(made, self._adaptation.strength, draw)).float()
        loss = made_is_real(logits)
        take_step(loss, self.generator, [self._generator_optimiser], self._machine)
        self.discriminator.requires_grad_(True)
        return loss.detach()

    def _even_paths(self, count: int, draw: torch.Generator) -> Tensor:
        made, latents = self._imagine(self.generator, count, draw)
        noise = torch.randn(made.shape, generator=draw, device=made.device)
        lengths = path_lengths(made, latents, noise)
        self._path_mean.lerp_(self._machine.mean(lengths.detach().mean()), self.config.path_decay)
        loss = (lengths - self._path_mean).square().mean() * self.config.path_weight * self.config.path_every
        take_step(loss, self.generator, [self._generator_optimiser], self._machine)
        return lengths.detach().mean()

    def _imagine(
        self,
        generator: Generator,
        count: int,
        draw: torch.Generator,
        *,
        mixing: float | None = None,
        makes: Synthesis | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Faces and the latents, (B, layers, D), that they were made from."""
        device = self._machine.device
        first, second = (
            generator.style(torch.randn(count, generator.style_dim, generator=draw, device=device)) for _ in range(2)
        )
        layer = torch.arange(generator.layer_count, device=device)[None, :, None]
        cut = torch.randint(1, generator.layer_count, (count, 1, 1), generator=draw, device=device)
        mixed = torch.rand((count, 1, 1), generator=draw, device=device) < (
            self.config.style_mixing if mixing is None else mixing
        )
        latents = torch.where(mixed & (layer >= cut), second[:, None], first[:, None])
        noises = [
            torch.randn(shape, generator=draw, device=device).contiguous(memory_format=torch.channels_last)
            for shape in generator.noise_shapes(count)
        ]
        return (makes or generator.synthesise)(latents, noises), latents


def prior_generator(network: GpenConfig) -> Generator:
    """The decoder of a GPEN of these widths, on its own."""
    return Generator(
        network.size,
        channel_multiplier=network.channel_multiplier,
        narrow=network.narrow,
        style_dim=network.style_dim,
        mapping_layers=network.mapping_layers,
    )
