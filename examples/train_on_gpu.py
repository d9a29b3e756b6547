"""Train what ships on one GPU, in pieces: python examples/train_on_gpu.py PACK OUT --budget 25 [--minutes 9].

Prior, content stage and fine-tuning of a recipe, one after the other. Needs torch, numpy and OpenCV only, and this
checkout beside it; PACK is made elsewhere by ``gpen-video train prepare DIR OUT --pack PACK``.

How many images fit into --budget minutes is measured once for each phase, and written into OUT/plan.json; after that
the same command goes on from the last checkpoint. --minutes ends one call sooner, where calls are limited. After each
call OUT/carry holds what another machine needs to go on with the next phase, in files below 16 MiB.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpen_video.errors import GpenVideoError
from gpen_video.train.checkpoint import hand_over
from gpen_video.train.course import follow, make, seen
from gpen_video.train.feed import feed
from gpen_video.train.loop import device_told
from gpen_video.train.machine import Machine, machine
from gpen_video.train.recipes import Phase, by_name
from gpen_video.train.source import Faces, faces_at
from gpen_video.train.training import Moment, Report

SHARES = {"prior": 1.0, "content": 0.35, "fine-tuning": 0.6}
"""Part of the budget that each phase gets; the rest is for starting and compiling."""


class Printer:
    """Prints what happens."""

    def entered(self, phase: Phase) -> None:
        """A phase begins."""
        print(f"{phase.name}: {phase.schedule.images} images in batches of {phase.schedule.batch}", flush=True)

    def resumed(self, seen: int) -> None:
        """It goes on."""
        print(f"  from {seen}", flush=True)

    def reported(self, report: Report) -> None:
        """A line of figures."""
        figures = " ".join(f"{name} {value:.4g}" for name, value in report.figures.items())
        print(f"  {report.seen} {report.images_per_second:.1f}/s {figures}", flush=True)


def images_in(phase: Phase, minutes: float, faces: Faces, place: Machine, steps: int) -> int:
    """How many images a phase can see in so many minutes, measured over some steps of a throw-away training."""
    source = faces(phase.config.network.size)
    training = make(phase, source, place)
    batches = feed(training.sample, len(source), batch=phase.schedule.batch, seed=0, start=0, machine=place)
    moments = [Moment(i * phase.schedule.batch, phase.schedule.batch, 10**9) for i in range(2 * steps)]
    with device_told(phase.schedule.batch):
        for moment in moments[:steps]:  # compiles, fills queues
            training.step(next(batches), moment)
        wait(place)
        started = time.monotonic()
        for moment in moments[steps:]:
            training.step(next(batches), moment)
        wait(place)
    rate = steps * phase.schedule.batch / (time.monotonic() - started)
    batches.close()
    print(f"{phase.name}: {rate:.1f} images/s", flush=True)
    return int(rate * 60 * minutes)


def wait(place: Machine) -> None:
    """Let the device finish."""
    if place.device.type == "cuda":
        import torch

        torch.cuda.synchronize()


def main() -> None:
    """Measure, train, hand over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", default="gpen-lite-256")
    parser.add_argument("--phases", nargs="+", default=["prior", "content", "fine-tuning"])
    parser.add_argument("--budget", type=float, default=25.0, help="minutes for prior, and for content and fine-tuning")
    parser.add_argument("--minutes", type=float, help="save and stop this call after so long")
    parser.add_argument("--batch", type=int, help="in place of the recipe's")
    parser.add_argument("--calibrate", type=int, default=48, help="steps to measure the speed over")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="by default on CUDA")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    options.out.mkdir(parents=True, exist_ok=True)
    faces = faces_at(options.pack, held_out=False)
    plan_file = options.out / "plan.json"
    plan = json.loads(plan_file.read_text()) if plan_file.exists() else {}
    with machine(options.device, workers=options.workers, compile=options.compile) as place:
        print(f"{place.device}, {place.precision}, compiled: {place.compile}, {place.workers} workers", flush=True)
        for phase in by_name(options.recipe):
            if phase.name not in options.phases:
                continue
            if options.batch:
                phase = phase.batched(options.batch)
            if phase.name not in plan:
                minutes = options.budget * SHARES[phase.name]
                plan[phase.name] = max(phase.schedule.batch, images_in(phase, minutes, faces, place, options.calibrate))
                plan_file.write_text(json.dumps(plan, indent=1))
            phase = phase.lasting(plan[phase.name])
            done = follow((phase,), faces, options.out, place, Printer(), until=until)
            hand_over(options.out, phase.name)
            print(
                f"{phase.name}: {seen(options.out / phase.name)} images, {'done' if done else 'not done'}", flush=True
            )
            if not done:
                return


if __name__ == "__main__":
    try:
        main()
    except GpenVideoError as error:
        sys.exit(f"train_on_gpu: {error}")
