"""What the networks compute, counted by torch without computing it."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.parsing import build_parser
from gpen_video.nets.retinaface import build_retinaface
from gpen_video.weights import load_gpen
from gpen_video.weights.registry import by_name

_PUBLISHED = ("gpen-bfr-256", "gpen-bfr-512", "gpen-bfr-1024")
_DETECTED = (720, 960)
"""Height and width of a 4:3 picture at the default long side."""


def network_flops() -> dict[str, float]:
    """Operations for one face, or one picture for ``detector``; a multiplication with an addition is two."""
    result = {"detector": _counted(build_retinaface("mobile0.25"), torch.zeros(1, 3, *_DETECTED))}
    result["gpen-lite-256"] = _gpen(load_gpen("gpen-lite-256", offline=True).net.config)
    result["bisenet"] = _counted(build_parser("bisenet"), torch.zeros(1, 3, 512, 512))
    return result | {name: _gpen(_published(name)) for name in _PUBLISHED}


def _published(name: str) -> GpenConfig:
    config = by_name(name).config
    return GpenConfig(int(config["size"]), int(config["channel_multiplier"]), float(config["narrow"]))


def _gpen(config: GpenConfig) -> float:
    with torch.device("meta"):
        return _counted(Gpen(config), torch.zeros(1, 3, config.size, config.size))


def _counted(net: nn.Module, given: Tensor) -> float:
    net.eval().requires_grad_(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(given)
    return float(counter.get_total_flops())
