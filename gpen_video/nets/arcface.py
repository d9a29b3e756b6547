"""ArcFace's IR-SE50: facexlib's network, which turns an aligned face into a vector that stands for the person.

Its import, which pulls in much else of facexlib, waits until a network is built.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

SIDE: Final = 112
"""Side of the faces that it takes, in pixels."""
ARCFACE_112: Final = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""(5, 2) where it has the landmarks (J. Deng et al., "ArcFace: Additive Angular Margin Loss", CVPR 2019)."""


def build_arcface() -> nn.Module:
    """A network with random weights, on the CPU or what `torch.device` says, in evaluation mode."""
    from facexlib.recognition.arcface_arch import Backbone

    net: nn.Module = Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se")
    return net.eval()


@torch.inference_mode()
def embeddings(net: nn.Module, rgb_nhwc: Tensor) -> Tensor:
    """(N, 512) unit vectors of (N, 112, 112, 3) aligned faces, R'G'B' of 0 to 1."""
    faces = (rgb_nhwc.float() * 2 - 1).permute(0, 3, 1, 2)
    vectors: Tensor = net(faces.contiguous())  # facexlib's network flattens by a view
    return vectors
