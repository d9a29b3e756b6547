"""Access to the numbers computed with the published network."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

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
