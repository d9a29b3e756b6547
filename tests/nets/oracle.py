"""Access to the numbers computed with the published network."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from gpen_video.nets.arcface import build_arcface

Arrays = Any


def recipe(shared: Path) -> ModuleType:
    """The oracle's own recipe for weights and inputs."""
    spec = importlib.util.spec_from_file_location("recipe", shared / "oracle" / "recipe.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(shared: Path, name: str) -> tuple[dict[str, Any], Arrays]:
    """The JSON and the arrays of one oracle entry."""
    folder = shared / "oracle"
    return json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npz")


def state(shared: Path, entry: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights of an entry with ``shapes`` and ``seed``."""
    made = recipe(shared).make_state(entry["shapes"], entry["seed"])
    return {name: torch.from_numpy(value) for name, value in made.items()}


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array))


def arcface(shared: Path) -> nn.Module:
    """ArcFace with the weights that ``idloss.npz`` was computed with."""
    with torch.device("meta"):
        net = build_arcface()
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    net.load_state_dict(_arcface_state(recipe(shared), shapes), assign=True)
    return net


def _arcface_state(oracle: ModuleType, shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Weights by the rule that `keys_ir_se50.json` states."""
    made = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            made[key] = torch.zeros(shape, dtype=torch.long)
            continue
        values = oracle.fill(f"irse.{key}", shape, 91)
        if len(shape) >= 2:
            values = (values / np.sqrt(np.prod(shape[1:]))).astype(np.float16).astype(np.float32)
        elif key.endswith("weight"):
            values = (0.1 * values + 1).astype(np.float32)
        made[key] = torch.from_numpy(values)
    return made
