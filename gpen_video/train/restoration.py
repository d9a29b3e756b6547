"""Stage 2: the embedded network learns to restore faces, from a content loss, then against the discriminator too.

Yang et al., CVPR 2021, section 3.2: the prior becomes the decoder of a U-shaped network, which is fine-tuned whole on
synthetic low-quality faces with L = L_A + alpha L_C + beta L_F and with a learning rate for each part. With an
adversarial weight of 0 there is no discriminator: that is the content stage. With clips instead of single faces it also
learns to keep still (`losses.steadiness`).
"""

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gpen_video.geometry import compose, invert, scaling
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.stylegan2 import set_form
from gpen_video.train.augment import augment
from gpen_video.train.data import FaceSource
from gpen_video.train.degrade import ARCHIVAL_SHARE, Clip, training_clip, training_pair
from gpen_video.train.ema import decay_for, update_average
from gpen_video.train.feed import Batch, Sample, to_network
from gpen_video.train.losses import (
    content_loss,
    feature_matching,
    gradient_penalty,
    log_error_loss,
    made_is_real,
    relative_loss,
    steadiness,
    tells_apart,
)
from gpen_video.train.machine import Machine
from gpen_video.train.muon import Muon
from gpen_video.train.passthrough import pass_through
from gpen_video.train.training import DiscriminatorConfig, Figures, Moment, lazy_adam, take_step
from gpen_video.train.unet import UNet

Unlikeness = Callable[[Tensor, Tensor], Tensor]
"""How unlike two batches of faces, (B, 3, S, S) in [-1, 1], are as persons: (B,), 0 for the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each loss counts; alpha and beta are the paper's."""

    content: float = 1.0
    """L_C, alpha."""
    detail: float = 0.0
    """Of the band-passes within the content loss."""
    relative: bool = False
    """Content loss relative to that of the degraded face (`losses.relative_loss`)."""
    log_error: float = 0.0
    """Of the logarithm of the squared error."""
    adversarial: float = 1.0
    """L_A; 0 trains without a discriminator."""
    feature_matching: float = 0.02
    """L_F, beta."""
    identity: float = 0.0
    """Of the unlikeness of the persons, where a network for it is at hand."""
    steadiness: float = 0.0
    """Of the temporal loss; with it training runs on clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Learning rates of the parts; as published 100 : 10 : 1."""

    encoder: float = 2e-3
    decoder: float = 2e-4
    discriminator: float = 2e-5
    matrices: float = 0.0
    """Of Muon, for the 3 x 3 convolutions and the linear layer to the latent; 0 leaves them to Adam like the rest."""
    discriminator_matrices: float = 0.0
    """The same for the discriminator's convolutions and its first linear layer."""
    final: float = 1.0
    """What they have fallen to at the end, as a part, along a cosine."""
    fall_from: float = 0.0
    """Progress at which they begin to fall."""
    warm_up: float = 0.0
    """Progress up to which they rise from 0, for trainings that start from weights but without Adam's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationConfig:
    """How the restoring network is trained."""

    network: GpenConfig
    kind: Literal["gpen", "unet"] = "gpen"
    """The embedded network, or the plain U-Net that it is compared with."""
    weights: Weights = field(default_factory=Weights)
    rates: Rates = field(default_factory=Rates)
    betas: tuple[float, float] = (0.0, 0.99)
    """Of the restoring network's Adam."""
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    r1_weight: float = 10.0
    r1_every: int = 16
    augmentation: float = 0.0
    """Fixed strength of the discriminator's augmentation."""
    identity_start: bool = False
    """Start as the identity (`passthrough`), for trainings that are too short to learn it, and without a prior."""
    noise_strength: float | None = None
    """First strength of the injected features; by default what the prior learnt, or 0."""
    clip_frames: int = 2
    archival_share: float = ARCHIVAL_SHARE
    """Of archival chains among the degradations."""
    average_half_life: float = 10_000
    average_ramp: float = 0.1
    """The half-life is never more than this part of the images seen."""


class RestorationTraining:
    """The network that restores, with or without its adversary; `average` is what is exported.

    Args:
        config: what to train and how.
        faces: clean faces; they are degraded here.
        machine: where.
        seed: of the first weights and of all that follows.
        unlikeness: for the identity loss.

    Raises:
        ValueError: an identity loss is asked for and `unlikeness` is missing.
    """

    def __init__(
        self,
        config: RestorationConfig,
        faces: FaceSource,
        machine: Machine,
        *,
        seed: int,
        unlikeness: Unlikeness | None = None,
    ) -> None:
        if config.weights.identity and unlikeness is None:
            raise ValueError("an identity loss needs a network that knows persons")
        self.config, self._faces, self._machine, self._seed = config, faces, machine, seed
        self._unlikeness = unlikeness
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = _fresh(config)
            self.discriminator = config.discriminator.build(config.network) if config.weights.adversarial else None
        for module in filter(None, (self.net, self.discriminator)):
            module.to(machine.device)
            set_form(module, "fast")
            machine.share_weights(module)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self._optimisers = _optimisers(self.net, config)
        self._first_rates = [group["lr"] for group in self._groups()]
        self._restores = torch.compile(self.net) if machine.compile else self.net
        if self.discriminator is not None:
            self._adversaries = _adversaries(self.discriminator, config)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds."""
        held: dict[str, nn.Module] = {"net": self.net, "average": self.average}
        return held if self.discriminator is None else {**held, "discriminator": self.discriminator}

    @property
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """What a checkpoint holds besides."""
        held = self._optimisers
        return held if self.discriminator is None else held | self._adversaries

    def numbers(self) -> dict[str, float]:
        """Nothing else has state."""
        return {}

    def load_numbers(self, numbers: Mapping[str, float]) -> None:
        """Nothing else has state."""

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """One face, or a clip of it, degraded and clean."""
        face, share = self._faces.crop(index, rng), self.config.archival_share
        if not self.config.weights.steadiness:
            degraded, target = training_pair(face, rng, share)
            return {"degraded": degraded, "target": target}
        clip = training_clip(face, rng, self.config.clip_frames, archival_share=share)
        return {"degraded": clip.degraded_thwc, "target": clip.target_thwc, "to_next": _to_next(clip, len(face))}

    def step(self, batch: Batch, moment: Moment) -> Figures:
        """One step of the network and, where there is one, of its adversary."""
        for group, first in zip(self._groups(), self._first_rates, strict=True):
            group["lr"] = first * _share(self.config.rates, moment.progress)
        draw = self._machine.generator(self._seed, moment.step)
        degraded, target = to_network(batch["degraded"]), to_network(batch["target"])
        with self._machine.autocast():
            made = self._restores(degraded)
        made = made.float()
        figures = self._improve(made, degraded, target, batch.get("to_next"), draw)
        if self.discriminator is not None:
            figures |= self._discriminate(made.detach(), target, moment, draw)
        half_life = min(self.config.average_half_life, self.config.average_ramp * moment.seen)
        update_average(self.average, self.net, decay_for(moment.batch, half_life))
        return figures

    def sheet(self) -> Tensor:
        """(24, 3, S, S) in [-1, 1]: eight faces, degraded with fixed seeds, restored, and as they were."""
        pairs = [
            training_pair(self._faces.crop(index), np.random.default_rng((self._seed, index)))
            for index in np.linspace(0, len(self._faces) - 1, 8).astype(int).tolist()
        ]
        degraded, target = (torch.from_numpy(np.stack(faces)) for faces in zip(*pairs, strict=True))
        low, high = (to_network(faces).to(self._machine.device) for faces in (degraded, target))
        with torch.no_grad():
            made = self.average(low)
        return torch.cat([low, made, high])

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimiser in self._optimisers.values() for group in optimiser.param_groups]

    def _improve(
        self, made: Tensor, degraded: Tensor, target: Tensor, to_next: Tensor | None, draw: torch.Generator
    ) -> Figures:
        weights = self.config.weights
        if weights.relative:
            content = relative_loss(made, degraded, target, detail=weights.detail)
        else:
            content = content_loss(made, target, detail=weights.detail).mean()
        losses = {"content": (weights.content, content)}
        if weights.log_error:
            losses["log_error"] = (weights.log_error, log_error_loss(made, target))
        if weights.identity and self._unlikeness is not None:
            losses["identity"] = (weights.identity, self._unlikeness(made, target).mean())
        if to_next is not None:
            clips = (-1, self.config.clip_frames, *made.shape[1:])
            losses["steadiness"] = (
                weights.steadiness,
                steadiness(made.reshape(clips), target.reshape(clips), to_next),
            )
        if self.discriminator is not None:
            losses |= self._adversarial(made, target, draw)
        loss = torch.stack([weight * value for weight, value in losses.values()]).sum()
        take_step(loss, self.net, self._optimisers.values(), self._machine)
        return {name: value.detach() for name, (_, value) in losses.items()}

    def _adversarial(self, made: Tensor, target: Tensor, draw: torch.Generator) -> dict[str, tuple[float, Tensor]]:
        assert self.discriminator is not None
        weights, strength = self.config.weights, self.config.augmentation
        alike = draw.get_state()
        self.discriminator.requires_grad_(False)
        with self._machine.autocast():
            features = self.discriminator.features(augment(made, strength, draw))
            logits = self.discriminator.judge(features[-1]).float()
            draw.set_state(alike)  # features are compared of two images that were altered alike
            with torch.no_grad():
                wanted = self.discriminator.features(augment(target, strength, draw))
        self.discriminator.requires_grad_(True)
        return {
            "adversarial": (weights.adversarial, made_is_real(logits)),
            "features": (weights.feature_matching, feature_matching(features, wanted)),
        }

    def _discriminate(self, made: Tensor, target: Tensor, moment: Moment, draw: torch.Generator) -> Figures:
        assert self.discriminator is not None
        strength = self.config.augmentation
        with self._machine.autocast():
            real_logits = self.discriminator(augment(target, strength, draw)).float()
            made_logits = self.discriminator(augment(made, strength, draw)).float()
        loss = tells_apart(real_logits, made_logits)
        take_step(loss, self.discriminator, self._adversaries.values(), self._machine)
        figures = {"discriminator": loss.detach(), "overfitting": real_logits.detach().sign().mean()}
        if moment.step % self.config.r1_every == 0:
            seen = augment(target, strength, draw).detach().requires_grad_(True)
            penalty = gradient_penalty(self.discriminator(seen), seen)
            lazily = self.config.r1_weight / 2 * penalty * self.config.r1_every
            take_step(lazily, self.discriminator, self._adversaries.values(), self._machine)
            figures["r1"] = penalty.detach()
        return figures


def _to_next(clip: Clip, side: int) -> NDArray[np.float32]:
    """(T - 1, 2, 3): frame t's point from frame t + 1's, in the [-1, 1] coordinates of `F.affine_grid`."""
    unit_from_pixel = scaling(2 / side, 2 / side, 1 / side - 1, 1 / side - 1)
    pixel_from_unit = invert(unit_from_pixel)
    path = clip.frame_from_first_t23
    steps = [compose(before, invert(after)) for before, after in itertools.pairwise(path)]
    return np.stack([compose(unit_from_pixel, compose(step, pixel_from_unit)) for step in steps]).astype(np.float32)


def _fresh(config: RestorationConfig) -> Gpen | UNet:
    net = Gpen(config.network) if config.kind == "gpen" else UNet(config.network)
    if config.noise_strength is not None:
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if name.endswith("noise.weight"):
                    parameter.fill_(config.noise_strength)
    if config.identity_start:
        pass_through(net) if isinstance(net, Gpen) else net.pass_through()
    return net


def _optimisers(net: nn.Module, config: RestorationConfig) -> dict[str, torch.optim.Optimizer]:
    """Adam with a rate for encoder and decoder each, and Muon for matrices where they have a rate of their own.

    The decoder is what a prior can hold, or its counterpart in the U-Net, the encoder all else.
    """
    rates, of_decoder = config.rates, ("generator.", "convs.", "to_rgbs.")
    matrices, rest = _parted(net, rates.matrices)
    encoder = [p for name, p in rest.items() if not name.startswith(of_decoder)]
    decoder = [p for name, p in rest.items() if name.startswith(of_decoder)]
    groups = [{"params": encoder, "lr": rates.encoder}, {"params": decoder, "lr": rates.decoder}]
    adam = torch.optim.Adam(groups, betas=config.betas)
    return {"net": adam, "matrices": Muon(matrices, rates.matrices)} if matrices else {"net": adam}


def _adversaries(net: nn.Module, config: RestorationConfig) -> dict[str, torch.optim.Optimizer]:
    """The discriminator's, likewise."""
    rates = config.rates
    matrices, rest = _parted(net, rates.discriminator_matrices)
    adam = lazy_adam(rest.values(), rates.discriminator, config.r1_every)
    muon = {"discriminator_matrices": Muon(matrices, rates.discriminator_matrices)} if matrices else {}
    return {"discriminator": adam, **muon}


def _parted(net: nn.Module, rate: float) -> tuple[list[nn.Parameter], dict[str, nn.Parameter]]:
    """What Muon takes, if it has a rate, and all else by name."""
    named = dict(net.named_parameters())
    taken = {name: p for name, p in named.items() if rate and _is_matrix(name, p)}
    return list(taken.values()), {name: p for name, p in named.items() if name not in taken}


def _is_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.shape[-2:] == (3, 3) or name == "final_linear.0.weight"


def _share(rates: Rates, progress: float) -> float:
    """Part of the first learning rates that holds at a progress."""
    if progress < rates.warm_up:
        return progress / rates.warm_up
    if progress <= rates.fall_from:
        return 1.0
    part = (progress - rates.fall_from) / (1 - rates.fall_from)
    return rates.final + (1 - rates.final) * (0.5 + 0.5 * float(np.cos(np.pi * part)))
