"""A recipe, run phase by phase: each in its folder, each starting from what it inherits, any of them resumed."""

import json
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from gpen_video.errors import IncompatibleWeightsError
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.train.checkpoint import NAME, inheritance, read
from gpen_video.train.data import FaceSource
from gpen_video.train.growth import grow
from gpen_video.train.loop import Watcher, run
from gpen_video.train.machine import Machine
from gpen_video.train.prior import PriorConfig, PriorTraining
from gpen_video.train.recipes import Phase, Recipe
from gpen_video.train.restoration import RestorationTraining, Unlikeness
from gpen_video.train.source import Faces
from gpen_video.train.unet import UNet


class CourseWatcher(Watcher, Protocol):
    """Whoever wants to be told of a whole recipe."""

    def entered(self, phase: Phase) -> None:
        """A phase begins or goes on."""


def follow(
    recipe: Recipe,
    faces: Faces,
    folder: Path,
    machine: Machine,
    watcher: CourseWatcher,
    *,
    until: float = float("inf"),
    unlikeness: Unlikeness | None = None,
    start: Gpen | None = None,
) -> bool:
    """Run the phases of a recipe that are not through yet.

    Args:
        recipe: what to train.
        faces: gives the training faces.
        folder: receives a folder for each phase.
        machine: where.
        watcher: is told of the progress.
        until: `time.monotonic` at which to save and stop.
        unlikeness: for an identity loss.
        start: what the first phase begins with, in place of the phase that it would start from.

    Returns:
        True when the last phase is through.

    Raises:
        GpenVideoError: as `loop.run` and `checkpoint.restore` say.
    """
    for place_in_recipe, phase in enumerate(recipe):
        place = folder / phase.name
        if seen(place) >= phase.schedule.images:
            continue
        source = faces(phase.config.network.size)
        training = make(phase, source, machine, unlikeness=unlikeness)
        if not (place / NAME).exists():
            inherit(training, phase, folder, machine, start if place_in_recipe == 0 else None)
        if machine.leads:
            watcher.entered(phase)
        if not run(training, len(source), phase.schedule, place, machine, watcher, until=until):
            return False
    return True


def make(
    phase: Phase, faces: FaceSource, machine: Machine, *, unlikeness: Unlikeness | None = None
) -> PriorTraining | RestorationTraining:
    """The training of a phase, at its first weights."""
    if isinstance(phase.config, PriorConfig):
        return PriorTraining(phase.config, faces, machine, seed=phase.schedule.seed)
    return RestorationTraining(phase.config, faces, machine, seed=phase.schedule.seed, unlikeness=unlikeness)


def seen(folder: Path) -> int:
    """Images that the checkpoint in a phase's folder has seen; 0 without one."""
    path = folder / NAME
    return int(read(path).get("seen", 0)) if path.exists() else 0


def inherit(
    training: PriorTraining | RestorationTraining,
    phase: Phase,
    folder: Path,
    machine: Machine,
    start: Gpen | None = None,
) -> None:
    """Give a fresh training what its phase starts from: `start`, or what earlier phases left.

    Raises:
        IncompatibleWeightsError: `start` or an earlier phase's checkpoint does not fit, or the latter is missing.
    """
    if start is not None:
        if isinstance(training, PriorTraining):
            raise IncompatibleWeightsError(f"phase {phase.name} trains a prior and cannot start from a restorer")
        try:
            _take(training, "average", start.state_dict())
        except ValueError as error:
            raise IncompatibleWeightsError(f"these weights do not fit phase {phase.name} ({error})") from error
    for earlier, name in ((phase.net_from, "average"), (phase.discriminator_from, "discriminator")):
        if earlier is None or (start is not None and name == "average"):
            continue
        path = inheritance(folder, earlier, name)
        content = read(path, machine.device)
        try:
            _take(training, name, content["modules"][name])
        except (KeyError, ValueError) as error:
            raise IncompatibleWeightsError(f"{path}: its {name} does not fit phase {phase.name} ({error})") from error


def _take(training: PriorTraining | RestorationTraining, name: str, state: dict[str, torch.Tensor]) -> None:
    if name == "discriminator":
        assert training.discriminator is not None
        grow(state, training.discriminator)
        return
    if isinstance(training, PriorTraining):
        targets: tuple[nn.Module, ...] = (training.generator, training.average)
    elif "input.input" in state:  # a bare prior: it becomes the decoder
        targets = tuple(net.get_submodule("generator") for net in (training.net, training.average))
    else:
        targets = (training.net, training.average)
    for target in targets:
        grow(state, target)


def trained_network(folder: Path) -> Gpen | UNet:
    """The averaged network of a phase that restores, on the CPU, to evaluate or export.

    Raises:
        IncompatibleWeightsError: the folder holds no checkpoint of one.
    """
    path = folder / NAME
    content = read(path)
    config = json.loads(content["config"])
    if "kind" not in config:
        raise IncompatibleWeightsError(f"{path}: is of a prior, which restores nothing; give a later phase's folder")
    network = GpenConfig(**config["network"])
    net = (Gpen if config["kind"] == "gpen" else UNet)(network)
    net.load_state_dict(content["modules"]["average"])
    return net.eval()
