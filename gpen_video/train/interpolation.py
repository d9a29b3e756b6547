"""Between a network trained on content alone and the same one trained on against an adversary."""

import copy

import torch

from gpen_video.errors import IncompatibleWeightsError
from gpen_video.nets.gpen import Gpen


def interpolated(net: Gpen, other: Gpen, share: float) -> Gpen:
    """Network interpolation (Wang et al. 2018, ESRGAN, section 3.4): less detail that is made up, and more PSNR.

    Makes sense only where `net` was trained on from `other`: then every weight on the way between them restores.

    Args:
        net: the one that draws more.
        other: of the same configuration.
        share: of `net`, 0 to 1.

    Returns:
        A new network, `share` of `net` and the rest of `other`, weight by weight.

    Raises:
        IncompatibleWeightsError: the two are of different configurations.
    """
    if net.config != other.config:
        raise IncompatibleWeightsError("weights of two configurations cannot be mixed")
    mixed, theirs = copy.deepcopy(net), other.state_dict()
    with torch.no_grad():
        for name, value in mixed.state_dict().items():
            value.lerp_(theirs[name].to(value), 1 - share)
    return mixed
