"""Grow a trained GPEN to a larger size: train small and fast first, then add the finer levels."""

from torch import Tensor

from gpen_video.nets.gpen import Gpen


def grow(small: Gpen, large: Gpen) -> list[str]:
    """Copy everything that the smaller network has learnt into the larger one.

    The decoder's levels keep their names; its new ones start silent (ToRGB at 0), so that the larger network begins as
    the smaller one enlarged. The encoder counts its stages from the full size downwards, so its stages shift; its
    first, which reads RGB at full size, has no counterpart and stays as it is in `large`.

    Args:
        small: trained, of the same widths.
        large: to be filled; written to.

    Returns:
        The keys of `large` that still hold their initial values.

    Raises:
        ValueError: the two do not share their widths.
    """
    shift = large.depth - small.depth
    if shift < 0:
        raise ValueError(f"cannot grow from {small.config.size} to {large.config.size} pixels")
    target = large.state_dict()
    filled: set[str] = set()
    for key, value in small.state_dict().items():
        name = _shifted(key, shift) if key.startswith("ecd") else key
        if name is None:
            continue
        _copy(target[name], value, name)
        filled.add(name)
    for to_rgb in large.generator.to_rgbs[len(small.generator.to_rgbs) :]:
        to_rgb.get_parameter("conv.weight").data.zero_()
    return [key for key in target if key not in filled]


def _shifted(key: str, shift: int) -> str | None:
    stage, rest = key.removeprefix("ecd").split(".", 1)
    if int(stage) == 0 and shift:
        return None
    return f"ecd{int(stage) + shift}.{rest}"


def _copy(target: Tensor, value: Tensor, name: str) -> None:
    if target.shape != value.shape:
        raise ValueError(f"{name}: {tuple(value.shape)} does not fit {tuple(target.shape)}; widths must be equal")
    target.copy_(value)
