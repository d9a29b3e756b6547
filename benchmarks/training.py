"""What a training step costs: multiply-adds and memory of each phase of the recipes, counted on real steps.

    python benchmarks/training.py [RECIPE ...] [--speed [--precision bf16] [--threads 1]] [--compiled PHASE]

Multiply-adds are counted while a step runs at batch 1 in fp32 on the CPU, lazy regularisers in their due share;
activations are the tensors that autograd keeps for the backward pass; weights, gradients and Adam's two moments are
summed. --speed measures images a second here, at the recipe's batch; --compiled what `torch.compile` gains in a phase.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gpen_video.train.course import make
from gpen_video.train.feed import feed
from gpen_video.train.machine import Machine, machine
from gpen_video.train.prior import PriorConfig
from gpen_video.train.recipes import RECIPES, Phase
from gpen_video.train.training import Moment, Training


class Noise:
    """Faces of noise."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 16

    def crop(self, index: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """One face."""
        return np.random.default_rng(index).random((self.size, self.size, 3), np.float32)


class Multiplications(TorchDispatchMode):
    """Counts multiply-adds; torch's own counter wants a gradient of every module."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        """Count, and do it."""
        made = function(*args, **(kwargs or {}))
        if (count := flop_registry.get(function.overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=made) // 2
        return made


def cost(training: Training, batch: dict[str, torch.Tensor], step: int) -> tuple[float, float]:
    """GMAC and activation GB of one step."""
    kept: dict[int, int] = {}
    most = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal most
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        most = max(most, sum(kept.values()))
        return tensor

    counter = Multiplications()
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        training.step(batch, Moment(step, 1, 10**6))
    return counter.total / 1e9, most / 1e9


def describe(phase: Phase, place: Machine) -> str:
    """A line of the table."""
    source = Noise(phase.config.network.size)
    training = make(phase, source, place)
    batch = next(feed(training.sample, 16, batch=1, seed=0, start=0, machine=place))
    lazy = [phase.config.r1_every] if "discriminator" in training.modules else []
    if isinstance(phase.config, PriorConfig):
        lazy.append(phase.config.path_every)
    costs: dict[tuple[bool, ...], tuple[float, float]] = {}  # by what regularisers a step has
    kinds = [tuple(step % period == 0 for period in lazy) for step in range(max(lazy, default=1))]
    for step, kind in enumerate(kinds):
        if kind not in costs:
            costs[kind] = cost(training, batch, step)
    total = sum(costs[kind][0] for kind in kinds) / len(kinds)
    memory = max(memory for _, memory in costs.values())
    parameters = {name: sum(p.numel() for p in m.parameters()) for name, m in training.modules.items()}
    trained = sum(count for name, count in parameters.items() if name != "average")
    state = (4 * trained + parameters["average"]) * 4 / 1e9
    images = phase.schedule.images
    return (
        f"{phase.name:>12} {trained / 1e6:8.1f} M {total:9.1f} GMAC {memory:7.2f} GB {state:6.2f} GB "
        f"{images:>12,} {2 * total * images / 1e9:9.2f} EFLOP"
    )


def speed(phase: Phase, place: Machine, steps: int = 8) -> float:
    """Images a second at the recipe's batch."""
    source = Noise(phase.config.network.size)
    training = make(phase, source, place)
    size = phase.schedule.batch
    batches = feed(training.sample, 16, batch=size, seed=0, start=0, machine=place)
    times = []
    for step in range(steps + 2):
        batch = next(batches)
        started = time.perf_counter()
        training.step(batch, Moment(step * size, size, 10**6))
        times.append(time.perf_counter() - started)
    return size * steps / sum(times[2:])


def compare(phase: Phase, place: Machine, rounds: int = 4, steps: int = 4) -> None:
    """Print seconds of processor time a step, plain and compiled, in turn and so under the same load."""
    source = Noise(phase.config.network.size)
    trainings = {
        name: make(phase, source, replace(place, compile=name == "compiled")) for name in ("plain", "compiled")
    }
    times: dict[str, list[float]] = {name: [] for name in trainings}
    first = next(iter(trainings.values()))
    batch = next(feed(first.sample, 16, batch=4, seed=0, start=0, machine=place))
    for turn in range(rounds + 1):  # the first compiles
        for name, training in trainings.items():
            started = time.process_time()
            for step in range(steps):
                training.step(batch, Moment(4 * (turn * steps + step), 4, 10**6))
            times[name].append((time.process_time() - started) / steps)
    plain, compiled = (float(np.median(times[name][1:])) for name in ("plain", "compiled"))
    print(f"{phase.name}: {plain:.3f} s plain, {compiled:.3f} s compiled, gain {plain / compiled:.2f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--speed", action="store_true")
    parser.add_argument(
        "--compiled", metavar="PHASE", help="only that: seconds a step of batch 4, plain and compiled in turn"
    )
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of --speed and --compiled")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    with machine("cpu", precision=options.precision, workers=0, threads=options.threads) as place:
        if options.compiled:
            for name in options.recipes:
                compare(next(phase for phase in RECIPES[name]() if phase.name == options.compiled), place)
            return
        header = ("phase", "parameters", "an image", "activations", "state", "images", "in all")
        print("{:>12} {:>10} {:>14} {:>10} {:>9} {:>12} {:>15}".format(*header))
        for name in options.recipes:
            print(name)
            for phase in RECIPES[name]():
                print(describe(phase, replace(place, precision="fp32")), flush=True)
                if options.speed:
                    print(f"{'':>12} {speed(phase, place):.2f} images/s here, {place.precision}", flush=True)


if __name__ == "__main__":
    main()
