"""Reading weights and building the network they fit. The only part of this package that imports torch.

Published checkpoints come in three shapes: a plain state dict, a training checkpoint with the averaged weights under
``g_ema`` (or ``params_ema``), and keys with the ``module.`` of data-parallel training. All three give the same state.
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gpen_video.errors import IncompatibleWeightsError, WeightsError
from gpen_video.nets.arcface import build_arcface
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.parsing import ParserKind, build_parser
from gpen_video.nets.retinaface import build_retinaface
from gpen_video.weights.locate import locate
from gpen_video.weights.registry import REGISTRY, Task, Template

_AVERAGED: Final = ("g_ema", "params_ema", "params", "state_dict")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedGpen:
    """A generator in evaluation mode on the CPU, fp32, without gradients."""

    net: Gpen
    template: Template
    """The face crop that it was trained on."""
    size: int
    """Side of its crops in pixels."""
    sha256: str
    """Of the file."""
    name: str
    """The registry's, else the file's."""
    task: Task
    """What it is for, by the registry; ``restore`` for a file of the user's own."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedDetector:
    """A RetinaFace in evaluation mode on the CPU, fp32, without gradients."""

    net: nn.Module
    sha256: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class LoadedParser:
    """A face parser in evaluation mode on the CPU, fp32, without gradients."""

    net: nn.Module
    kind: ParserKind
    sha256: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class LoadedEmbedder:
    """An ArcFace in evaluation mode on the CPU, fp32, without gradients."""

    net: nn.Module
    sha256: str
    name: str


def load_gpen(name_or_path: str, *, offline: bool = False) -> LoadedGpen:
    """Load a GPEN of any size and width; both are read off the weights' own shapes.

    Args:
        name_or_path: name in the registry, or a file.
        offline: do not fetch what is not here.

    Raises:
        UnknownWeightsError, DownloadError, ChecksumError: as `locate`.
        IncompatibleWeightsError: the file is no GPEN: a key is missing, unknown or of the wrong shape.
    """
    _require_architecture(name_or_path, "gpen", "restorer")
    found = locate(name_or_path, offline=offline)
    state = read_state(found.path)
    try:
        config = GpenConfig.from_state(state)
        with torch.device("meta"):  # no memory, and no time to fill it at random, before the shapes are known to fit
            net = Gpen(config)
    except (ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise IncompatibleWeightsError(f"{found.path}: these shapes make no GPEN: {error}") from None
    _load_strictly(net, state, found.path)
    template = found.weights.template if found.weights else _template(found.path)
    task: Task = found.weights.task if found.weights else "restore"
    return LoadedGpen(net, template or "gpen", config.size, found.sha256, found.name, task)


def load_detector(name_or_path: str, *, offline: bool = False) -> LoadedDetector:
    """Load a RetinaFace; the width of its feature pyramid tells the backbone.

    Args:
        name_or_path: name in the registry, or a file.
        offline: do not fetch what is not here.

    Raises:
        UnknownWeightsError, DownloadError, ChecksumError: as `locate`.
        IncompatibleWeightsError: the file is no RetinaFace: a key is missing, unknown or of the wrong shape.
    """
    _require_architecture(name_or_path, "retinaface", "face detector")
    found = locate(name_or_path, offline=offline)
    state = read_state(found.path)
    pyramid = state.get("fpn.output1.0.weight")
    if pyramid is None or pyramid.ndim != 4:
        raise IncompatibleWeightsError(f"{found.path}: not the weights of a RetinaFace: no key 'fpn.output1.0.weight'")
    net = build_retinaface("mobile0.25" if pyramid.shape[0] == 64 else "resnet50")
    _load_strictly(net, state, found.path)
    return LoadedDetector(net, found.sha256, found.name)


def load_parser(name_or_path: str, *, offline: bool = False) -> LoadedParser:
    """Load a face parser; its keys tell which of the two it is.

    Args:
        name_or_path: name in the registry, or a file.
        offline: do not fetch what is not here.

    Raises:
        UnknownWeightsError, DownloadError, ChecksumError: as `locate`.
        IncompatibleWeightsError: the file is none: a key is missing, unknown or of the wrong shape.
    """
    _require_architecture(name_or_path, get_args(ParserKind), "face parser")
    found = locate(name_or_path, offline=offline)
    state = read_state(found.path)
    kind: ParserKind = "bisenet" if any(key.startswith("cp.") for key in state) else "parsenet"
    net = _loaded(lambda: build_parser(kind), state, found.path)
    return LoadedParser(net, kind, found.sha256, found.name)


def load_embedder(name_or_path: str, *, offline: bool = False) -> LoadedEmbedder:
    """Load an ArcFace of the IR-SE50 backbone.

    Args:
        name_or_path: name in the registry, or a file.
        offline: do not fetch what is not here.

    Raises:
        UnknownWeightsError, DownloadError, ChecksumError: as `locate`.
        IncompatibleWeightsError: the file is none: a key is missing, unknown or of the wrong shape.
    """
    _require_architecture(name_or_path, "arcface", "face embedding")
    found = locate(name_or_path, offline=offline)
    net = _loaded(build_arcface, read_state(found.path), found.path)
    return LoadedEmbedder(net, found.sha256, found.name)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors or from PyTorch's own format, in fp32 and under the published key names.

    Pickled code is never run.

    Raises:
        WeightsError: the file cannot be read.
        IncompatibleWeightsError: it is damaged, or holds something else than finite tensors.
    """
    loaded = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    for name in _AVERAGED:
        if isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
            break
    return {str(key).removeprefix("module."): _tensor(path, key, value) for key, value in loaded.items()}


def _is_safetensors(path: Path) -> bool:
    """By content, not by name: a length of eight bytes, then a JSON object."""
    try:
        with path.open("rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise IncompatibleWeightsError(f"{path}: a damaged safetensors file: {_first_line(error)}") from None


def _read_torch(path: Path) -> Mapping[str, Any]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise IncompatibleWeightsError(
            f"{path}: refused: damaged, or it holds pickled objects besides tensors, which could run code; "
            "save its state dict alone"
        ) from None
    except Exception as error:  # arbitrary bytes make torch's readers raise nearly anything
        raise IncompatibleWeightsError(f"{path}: not a file of weights, or damaged: {_first_line(error)}") from None
    if not isinstance(loaded, Mapping):
        raise IncompatibleWeightsError(f"{path}: holds a {type(loaded).__name__}, not a state dict")
    return loaded


def _tensor(path: Path, key: object, value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise IncompatibleWeightsError(f"{path}: {key} is a {type(value).__name__}, not a tensor")
    if not value.is_floating_point():
        return value
    if not torch.isfinite(value).all():
        raise IncompatibleWeightsError(f"{path}: {key} holds values that are no finite numbers")
    return value.detach().to(torch.float32)


def _template(path: Path) -> Template | None:
    """The crop that a safetensors file of the user's own says it was trained on, if it says so."""
    if not _is_safetensors(path):
        return None
    with safe_open(path, framework="pt") as file:
        stated = (file.metadata() or {}).get("template")
    if stated is None or stated in get_args(Template):
        return cast(Template | None, stated)
    raise IncompatibleWeightsError(f"{path}: its template is {stated!r}; known are {', '.join(get_args(Template))}")


def _require_architecture(name: str, wanted: str | tuple[str, ...], role: str) -> None:
    """Refuse a name of the other kind before anything is fetched for it."""
    weights = REGISTRY.get(name)
    if weights is not None and not weights.architecture.startswith(wanted):
        raise IncompatibleWeightsError(f"{name}: {weights.architecture} weights, which make no {role}")


def _loaded(build: Callable[[], nn.Module], state: Mapping[str, Tensor], path: Path) -> nn.Module:
    with torch.device("meta"):  # no memory, and no time to fill it at random, before the shapes are known to fit
        net = build()
    _load_strictly(net, state, path)
    return net


def _load_strictly(net: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Give the network exactly these weights, and make it ready for inference."""
    wanted = net.state_dict()
    faults = [f"{key} is missing" for key in wanted if key not in state]
    faults += [f"{key} is unknown" for key in state if key not in wanted]
    faults += [
        f"{key} is {tuple(state[key].shape)}, not {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if faults:
        more = f" (and {len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise IncompatibleWeightsError(f"{path}: does not fit {type(net).__name__}: {faults[0]}{more}")
    net.load_state_dict(state, assign=True)
    net.eval().requires_grad_(False)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
