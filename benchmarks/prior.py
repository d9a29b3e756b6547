"""Does the prior help with this little data? GPEN from a prior, GPEN from nothing, and a plain U-Net of the same size.

    python benchmarks/prior.py FACES OUT [--size 64] [--prior-images 20000] [--images 12000] [--threads 1]

All three restorers see the same faces, degradations, losses and rates in the same order; OUT keeps checkpoints, and the
same command goes on. The comparison is that of Yang et al., CVPR 2021, section 4.3.
"""

import argparse
from pathlib import Path

from gpen_video.cli.console import Console
from gpen_video.cli.progress import TrainingDisplay
from gpen_video.nets.gpen import GpenConfig
from gpen_video.train.course import follow, trained_network
from gpen_video.train.evaluate import evaluate_restorer, load_judges
from gpen_video.train.loop import Schedule
from gpen_video.train.machine import machine
from gpen_video.train.prior import PriorConfig
from gpen_video.train.recipes import Phase, Recipe
from gpen_video.train.restoration import Rates, RestorationConfig, Weights
from gpen_video.train.source import faces_at
from gpen_video.train.training import DiscriminatorConfig

WITH_PRIOR, WITHOUT, UNET = "gpen-with-prior", "gpen-without", "unet"


def recipe(size: int, prior_images: int, images: int) -> Recipe:
    """The prior, then the three restorers."""
    network = GpenConfig(size, channel_multiplier=1, narrow=0.25, style_dim=256, mapping_layers=4)
    schedule = Schedule(images=images - images % 8, batch=8, seed=1, save_every=250, sheet_every=500)

    def restorer(name: str, kind: str, start: str | None = None) -> Phase:
        config = RestorationConfig(
            network=network,
            kind=kind,
            weights=Weights(relative=True, detail=0.7, log_error=0.5, adversarial=0.0),
            rates=Rates(encoder=3e-3, decoder=3e-3, final=0.03, fall_from=0.5),
            betas=(0.9, 0.99),
            average_half_life=1000,
        )
        return Phase(name=name, config=config, schedule=schedule, net_from=start)

    return (
        Phase(
            name="prior",
            config=PriorConfig(
                network=network,
                discriminator=DiscriminatorConfig(narrow=0.25),
                r1_weight=0.1,
                augmentation_images=50_000,
                average_half_life=2000,
            ),
            schedule=Schedule(images=prior_images - prior_images % 16, batch=16, save_every=100, sheet_every=200),
        ),
        restorer(WITH_PRIOR, "gpen", "prior"),
        restorer(WITHOUT, "gpen"),
        restorer(UNET, "unet"),
    )


def main() -> None:
    """Train what is not trained yet, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--prior-images", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--only", action="append", help="phases to train in this call; then nothing is measured")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(exist_ok=True)
    phases = recipe(arguments.size, arguments.prior_images, arguments.images)
    chosen = tuple(phase for phase in phases if phase.name in (arguments.only or phase.name))
    console = Console()
    console.verbose = True
    with machine("auto", workers=0, threads=arguments.threads) as place, TrainingDisplay(console) as display:
        follow(chosen, faces_at(arguments.faces, held_out=False), arguments.out, place, display)
    if arguments.only:
        return
    source = faces_at(arguments.faces, held_out=True)(arguments.size)
    print("| restorer | degradation | PSNR gain, dB | SSIM | sharpness | Fréchet ratio, detector |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in (WITH_PRIOR, WITHOUT, UNET):
        report = evaluate_restorer(trained_network(arguments.out / name), source, seed=7, judges=load_judges(None))
        for score in report.degradations:
            ratios = ", ".join(f"{value.restored / value.degraded:.2f}" for value in score.frechet.values())
            print(
                f"| {name} | {score.name} | {score.psnr.restored - score.psnr.degraded:+.2f} | "
                f"{score.ssim.degraded:.3f} → {score.ssim.restored:.3f} | {score.sharpness.restored:.2f} | {ratios} |"
            )


if __name__ == "__main__":
    main()
