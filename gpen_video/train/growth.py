"""Grow a trained network to a larger size: train small and fast first, then add the finer levels."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gpen_video.nets.stylegan2 import ToRGB

_COUNTED_FROM_THE_TOP = re.compile(r"^(ecd|convs\.)(\d+)\.(.*)$")
"""Stages of GPEN's encoder and blocks of the discriminator; the decoder's levels keep their numbers."""


@torch.no_grad()
def grow(small: Mapping[str, Tensor], large: nn.Module) -> list[str]:
    """Copy everything that a smaller network, or one of the same size, has learnt.

    The decoder's new levels start silent (ToRGB at 0), so that the larger network begins as the smaller one enlarged.
    Encoder and discriminator count from the full size downwards, so their stages shift; their first, which reads RGB at
    full size, has no counterpart and stays as it is in `large`.

    Args:
        small: state dict of a Gpen, Generator, Discriminator or U-Net of the same widths.
        large: to be filled; written to.

    Returns:
        The keys of `large` that still hold their initial values.

    Raises:
        ValueError: the two do not share their widths, or `small` is the larger one.
    """
    target = large.state_dict()
    is_generator = "input.input" in small  # whose `convs` count upwards
    shift = 0 if is_generator else _stages(target) - _stages(small)
    if shift < 0 or (is_generator and len(small) > len(target)):
        raise ValueError("the network to start from is larger")
    filled: set[str] = set()
    for key, value in small.items():
        name = key if is_generator else _shifted(key, shift)
        if name is None:
            continue
        if name not in target or target[name].shape != value.shape:
            raise ValueError(f"{key} does not fit; widths must be equal")
        target[name].copy_(value)
        filled.add(name)
    for name, module in large.named_modules():
        if isinstance(module, ToRGB) and f"{name}.conv.weight" not in filled:
            module.conv.weight.zero_()
    return [key for key in target if key not in filled]


def _stages(state: Mapping[str, Tensor]) -> int:
    matches = (_COUNTED_FROM_THE_TOP.match(key) for key in state)
    return len({match[2] for match in matches if match})


def _shifted(key: str, shift: int) -> str | None:
    match = _COUNTED_FROM_THE_TOP.match(key)
    if match is None or not shift:
        return key
    prefix, stage, rest = match.groups()
    return None if int(stage) == 0 else f"{prefix}{int(stage) + shift}.{rest}"
