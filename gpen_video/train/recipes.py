"""Recipes: which trainings make which weights, one after the other.

A recipe is a function that returns its phases; read one top to bottom. `published` phases follow the paper and its
authors' remarks (`Yang et al., CVPR 2021`); what ours do otherwise is said at each.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gpen_video.errors import UsageError
from gpen_video.nets.gpen import GpenConfig
from gpen_video.train.loop import Schedule
from gpen_video.train.prior import PriorConfig
from gpen_video.train.restoration import Rates, RestorationConfig, Weights
from gpen_video.train.training import DiscriminatorConfig

LITE_256: Final = GpenConfig(256, channel_multiplier=1, narrow=0.25, style_dim=256, mapping_layers=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One training of a recipe."""

    name: str
    """Also the name of its folder."""
    config: PriorConfig | RestorationConfig
    schedule: Schedule
    net_from: str | None = None
    """Phase whose averaged network this one starts from: embedded, grown or as it is."""
    discriminator_from: str | None = None
    """Phase whose discriminator this one starts from."""

    def lasting(self, images: int) -> "Phase":
        """The same for another number of images, rounded up to whole batches."""
        batch = self.schedule.batch
        return replace(self, schedule=replace(self.schedule, images=-(-images // batch) * batch))

    def batched(self, batch: int) -> "Phase":
        """The same with another batch."""
        return replace(self, schedule=replace(self.schedule, batch=batch)).lasting(self.schedule.images)

    def knowing_persons(self, weight: float) -> "Phase":
        """The same with an identity loss of some weight; a prior, which restores nobody, stays as it is."""
        if isinstance(self.config, PriorConfig):
            return self
        return replace(self, config=replace(self.config, weights=replace(self.config.weights, identity=weight)))

    def seeded(self, seed: int) -> "Phase":
        """The same with another seed."""
        return replace(self, schedule=replace(self.schedule, seed=seed))


Recipe = tuple[Phase, ...]


def gpen_lite_256() -> Recipe:
    """The network that ships, on one GPU in two pieces of 25 minutes: prior, then content and fine-tuning.

    Ours: about a thousandth of the published images, so the content loss is relative and counts decibels, all rates are
    higher, R1 is scaled to the small images as StyleGAN2-ADA does, and the discriminator is as wide as published.
    """
    adversary = DiscriminatorConfig(narrow=0.5)
    weights = Weights(relative=True, detail=0.7, log_error=0.5, adversarial=0.0)
    return (
        Phase(
            name="prior",
            config=PriorConfig(network=LITE_256, discriminator=adversary, r1_weight=1.0, augmentation_images=100_000),
            schedule=Schedule(images=640_000, batch=32, save_every=500, sheet_every=1000),
        ),
        Phase(
            name="content",
            config=RestorationConfig(
                network=LITE_256,
                weights=weights,
                rates=Rates(encoder=4e-3, decoder=2e-3, final=0.05, fall_from=0.5),
                betas=(0.9, 0.99),
                noise_strength=1.0,
            ),
            schedule=Schedule(images=320_000, batch=16, save_every=500, sheet_every=2000),
            net_from="prior",
        ),
        Phase(
            name="fine-tuning",
            config=RestorationConfig(
                network=LITE_256,
                weights=replace(weights, adversarial=0.1, steadiness=1.0),
                rates=Rates(encoder=1e-3, decoder=5e-4, discriminator=1e-3, final=0.1, fall_from=0.6),
                betas=(0.5, 0.99),
                discriminator=adversary,
                r1_weight=1.0,
                augmentation=0.2,
            ),
            schedule=Schedule(images=160_000, batch=16, save_every=500, sheet_every=2000),
            net_from="content",
            discriminator_from="prior",
        ),
    )


def gpen_lite_256_cpu() -> Recipe:
    """The network that ships, as two cores train it in hours: no prior, started as the identity; mixed on export."""
    weights = Weights(relative=True, detail=0.7, log_error=0.5, adversarial=0.0)
    return (
        Phase(
            name="content",
            config=RestorationConfig(
                network=LITE_256,
                weights=replace(weights, content=0.3, detail=0.0, log_error=1.0),
                rates=Rates(encoder=2e-3, decoder=2e-3, matrices=2e-3, final=0.01, fall_from=0.1, warm_up=0.03),
                betas=(0.9, 0.99),
                identity_start=True,
                noise_strength=1.0,
                archival_share=0.75,
                average_half_life=1200,
            ),
            schedule=Schedule(images=60_000, batch=8, save_every=250, sheet_every=1000),
        ),
        Phase(
            name="fine-tuning",
            config=RestorationConfig(
                network=LITE_256,
                weights=replace(weights, adversarial=0.1, feature_matching=0.5),
                rates=Rates(
                    encoder=1e-3,
                    decoder=1e-3,
                    matrices=8e-4,
                    discriminator=2e-3,
                    discriminator_matrices=2e-3,
                    final=0.02,
                    fall_from=0.3,
                    warm_up=0.1,
                ),
                betas=(0.5, 0.99),
                r1_weight=1.0,
                average_half_life=1500,
            ),
            schedule=Schedule(images=12_000, batch=8, save_every=250, sheet_every=500),
            net_from="content",
        ),
    )


def _published(network: GpenConfig, *, batch: int, prior_images: int, images: int) -> Recipe:
    adversary = DiscriminatorConfig(channel_multiplier=2, narrow=1.0)  # the released 256 one is of full width too
    return (
        Phase(
            name="prior",
            config=PriorConfig(network=network, discriminator=adversary, augmentation_target=0.0),
            schedule=Schedule(images=prior_images, batch=batch),
        ),
        Phase(
            name="fine-tuning",
            config=RestorationConfig(network=network, discriminator=adversary),
            schedule=Schedule(images=images, batch=batch),
            net_from="prior",
            discriminator_from="prior",
        ),
    )


def gpen_256() -> Recipe:
    """GPEN-BFR-256 as published: narrow 0.5, alpha 1, beta 0.02, rates 2e-3, 2e-4, 2e-5; for FFHQ-like data."""
    network = GpenConfig(256, channel_multiplier=1, narrow=0.5)
    return _published(network, batch=32, prior_images=25_000_000, images=4_000_000)


def gpen_512() -> Recipe:
    """GPEN-BFR-512 as published."""
    return _published(GpenConfig(512), batch=16, prior_images=25_000_000, images=4_000_000)


def gpen_1024() -> Recipe:
    """GPEN-BFR-1024 as published."""
    return _published(GpenConfig(1024), batch=8, prior_images=25_000_000, images=4_000_000)


RECIPES: Final[dict[str, Callable[[], Recipe]]] = {
    "gpen-lite-256": gpen_lite_256,
    "gpen-lite-256-cpu": gpen_lite_256_cpu,
    "gpen-256": gpen_256,
    "gpen-512": gpen_512,
    "gpen-1024": gpen_1024,
}


def by_name(name: str) -> Recipe:
    """A recipe.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return RECIPES[name]()
    except KeyError:
        raise UsageError(f"{name}: no such recipe; there are {', '.join(RECIPES)}") from None
