"""Checkpoints of a training: written whole or not at all, and refused where they are another training's."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gpen_video.errors import IncompatibleWeightsError, OutputError
from gpen_video.train.machine import Machine
from gpen_video.train.training import Training
from gpen_video.whole_file import whole_file

NAME = "latest.ckpt"
CARRY = "carry"
_HANDED_OVER = {"average", "discriminator"}


def save(training: Training, seen: int, folder: Path) -> None:
    """Write everything that a resumed training needs beside the last checkpoint, then take its place.

    Raises:
        OutputError: it cannot be written; the last checkpoint is as it was.
    """
    content = {
        "config": json.dumps(asdict(training.config)),
        "seen": seen,
        "modules": {name: module.state_dict() for name, module in training.modules.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in training.optimisers.items()},
        "numbers": training.numbers(),
    }
    write(content, folder / NAME)


def write(content: Mapping[str, Any], path: Path) -> None:
    """Write a file that only torch reads, whole or not at all.

    Raises:
        OutputError: it cannot be written; what stood under the name is as it was.
    """
    try:
        with whole_file(path, overwrite=True) as file:
            torch.save(content, file)
    except RuntimeError as error:  # what torch's writer makes of a full disk
        raise OutputError(f"{path}: cannot be written, the disk may be full; the last checkpoint is kept") from error


def restore(training: Training, folder: Path, machine: Machine) -> int:
    """Take the folder's checkpoint back.

    Returns:
        Images seen: 0 where there is no checkpoint.

    Raises:
        IncompatibleWeightsError: it is damaged, or that of another configuration.
    """
    path = folder / NAME
    if not path.exists():
        return 0
    content = read(path, machine.device)
    _refuse_other(content["config"], json.dumps(asdict(training.config)), path)
    try:
        for name, module in training.modules.items():
            module.load_state_dict(content["modules"][name])
        for name, optimiser in training.optimisers.items():
            optimiser.load_state_dict(content["optimisers"][name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise IncompatibleWeightsError(f"{path}: does not fit this training; give another folder") from error
    training.load_numbers(content["numbers"])
    return int(content["seen"])


def read(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint without executing anything in it.

    Raises:
        IncompatibleWeightsError: it is missing, damaged, or no checkpoint.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise IncompatibleWeightsError(f"{path}: no such checkpoint; run the stage before first") from None
    except Exception as error:  # whatever a damaged archive makes of torch's reader
        raise IncompatibleWeightsError(f"{path}: cannot be read as a checkpoint; remove it to start anew") from error
    if not (isinstance(content, dict) and {"config", "modules"} <= content.keys()):
        raise IncompatibleWeightsError(f"{path}: is no checkpoint of a training; give another folder")
    return content


def _refuse_other(saved: str, wanted: str, path: Path) -> None:
    differences = sorted(_flat(json.loads(saved)).items() ^ _flat(json.loads(wanted)).items())
    if differences:
        name = differences[0][0]
        values = [_flat(json.loads(text)).get(name, "nothing") for text in (saved, wanted)]
        raise IncompatibleWeightsError(
            f"{path}: is of another configuration ({name} is {values[0]} there, {values[1]} here); "
            "give another folder, or the same settings as before"
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = repr(value)
    return flat


def hand_over(folder: Path, phase: str) -> list[Path]:
    """Write what later phases start from into ``carry/``, in half precision, a small file for each network.

    Args:
        folder: of the recipe.
        phase: whose checkpoint is handed over.

    Returns:
        The files; `inheritance` finds them where the phase's own checkpoint is missing.
    """
    content = read(folder / phase / NAME)
    (folder / CARRY).mkdir(exist_ok=True)
    files = []
    for name in _HANDED_OVER & content["modules"].keys():
        state = content["modules"][name].items()
        half = {key: value.half() if value.is_floating_point() else value for key, value in state}
        files.append(_carried(folder, phase, name))
        write({"config": content["config"], "seen": content["seen"], "modules": {name: half}}, files[-1])
    return files


def inheritance(folder: Path, phase: str, name: str) -> Path:
    """The file that holds a network of an earlier phase: its checkpoint, else what was handed over."""
    whole = folder / phase / NAME
    carried = _carried(folder, phase, name)
    return carried if carried.exists() and not whole.exists() else whole


def _carried(folder: Path, phase: str, name: str) -> Path:
    return folder / CARRY / f"{phase}.{name}.ckpt"
