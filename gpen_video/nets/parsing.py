"""Face parsing: facexlib's two networks, which say what each pixel of an aligned face is.

Both know the 19 classes of CelebAMask-HQ (C.-H. Lee et al., "MaskGAN", CVPR 2020), each in an order of its own, and
take faces of 512 pixels. Their import, which pulls in much else of facexlib, waits until a network is built.
"""

from types import MappingProxyType
from typing import Final, Literal

import torch
from torch import Tensor, nn

ParserKind = Literal["parsenet", "bisenet"]

SIDE: Final = 512
"""Side of the faces that they were trained on, in pixels."""

_ORDER: Final = MappingProxyType(
    {
        "parsenet": (
            "background",
            "skin",
            "nose",
            "glasses",
            "left_eye",
            "right_eye",
            "left_brow",
            "right_brow",
            "left_ear",
            "right_ear",
            "mouth",
            "upper_lip",
            "lower_lip",
            "hair",
            "hat",
            "earring",
            "necklace",
            "neck",
            "cloth",
        ),
        "bisenet": (
            "background",
            "skin",
            "left_brow",
            "right_brow",
            "left_eye",
            "right_eye",
            "glasses",
            "left_ear",
            "right_ear",
            "earring",
            "nose",
            "mouth",
            "upper_lip",
            "lower_lip",
            "neck",
            "necklace",
            "cloth",
            "hair",
            "hat",
        ),
    }
)
_NORMALISATION: Final = MappingProxyType(
    {
        "parsenet": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        "bisenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # ImageNet's, of its backbone
    }
)
FACE: Final = frozenset(
    {
        "skin",
        "nose",
        "left_eye",
        "right_eye",
        "left_brow",
        "right_brow",
        "left_ear",
        "right_ear",
        "mouth",
        "upper_lip",
        "lower_lip",
        "neck",
    }
)
"""The classes that are face; hair, hats, glasses, jewellery and clothes are not."""


def build_parser(kind: ParserKind) -> nn.Module:
    """A network with random weights, on the CPU or what `torch.device` says, in evaluation mode."""
    net: nn.Module
    if kind == "parsenet":
        from facexlib.parsing.parsenet import ParseNet

        net = ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=len(_ORDER[kind]))
    else:
        from facexlib.parsing.bisenet import BiSeNet

        net = BiSeNet(num_class=len(_ORDER[kind]))
    return net.eval()


@torch.inference_mode()
def face_probability(net: nn.Module, kind: ParserKind, rgb_nhwc: Tensor) -> Tensor:
    """(N, S, S) probability, 0 to 1, that a pixel is face, of (N, S, S, 3) aligned faces, R'G'B' of 0 to 1."""
    mean, deviation = (torch.tensor(numbers, device=rgb_nhwc.device) for numbers in _NORMALISATION[kind])
    faces = ((rgb_nhwc.float() - mean) / deviation).permute(0, 3, 1, 2)
    logits: Tensor = net(faces)[0]
    return torch.softmax(logits.float(), dim=1)[:, face_classes(kind)].sum(dim=1)


def face_classes(kind: ParserKind) -> list[int]:
    """Indices, in a network's own order, of the classes that are face."""
    return [index for index, name in enumerate(_ORDER[kind]) if name in FACE]
