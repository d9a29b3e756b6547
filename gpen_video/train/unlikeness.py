"""The identity loss: a restored face is to be the same person to a network that knows persons."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpen_video.nets.arcface import SIDE

UNIT = 256
"""The published crop is stated in pixels of a face of this side; others are whole multiples of it."""
_ROWS = slice(35, UNIT - 33)
_COLUMNS = slice(32, UNIT - 36)


class ArcFaceUnlikeness:
    """1 - cos of the angle between two faces' ArcFace vectors: the identity loss of GPEN's released training.

    Args:
        net: from `nets.arcface.build_arcface`, with weights loaded; it is moved and frozen.
        device: where it computes.
    """

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        self._net = net.to(device).eval().requires_grad_(False)

    def __call__(self, made: Tensor, target: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] each -> (B,), from 0, the same person, to 2.

        Raises:
            ValueError: the side is no multiple of 256.
        """
        with torch.no_grad():
            wanted = self._net(arcface_crop(target))
        return 1 - F.cosine_similarity(self._net(arcface_crop(made)), wanted)


def arcface_crop(faces: Tensor) -> Tensor:
    """The part of a face on GPEN's template that ArcFace is shown: cut out, and averaged down to 112 pixels.

    Args:
        faces: (B, 3, S, S), S a multiple of 256.

    Returns:
        (B, 3, 112, 112).

    Raises:
        ValueError: S is none.
    """
    scale, rest = divmod(faces.shape[-1], UNIT)
    if rest or not scale:
        raise ValueError(f"the identity loss takes faces of {UNIT} pixels or a multiple, not {faces.shape[-1]}")
    rows, columns = (slice(part.start * scale, part.stop * scale) for part in (_ROWS, _COLUMNS))
    return F.adaptive_avg_pool2d(faces[:, :, rows, columns].contiguous(), SIDE)
