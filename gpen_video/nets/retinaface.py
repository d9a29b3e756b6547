"""RetinaFace: facexlib's network, and the geometry of its anchors.

Deng et al., "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020. The network and the
decoding are facexlib's own; its import, which pulls in much that detection does not need, waits until a detector is
built.
"""

import copy
import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_MEAN_BGR = (104.0, 117.0, 123.0)


@dataclass(frozen=True, slots=True, eq=False)
class DenseFaces:
    """What the network says at each of A anchors, and the features it says it from."""

    boxes: Tensor
    """(N, A, 4) offsets from the anchors, encoded."""
    logits: Tensor
    """(N, A, 2): background, face."""
    landmarks: Tensor
    """(N, A, 10) offsets from the anchors, encoded."""
    features: tuple[Tensor, ...]
    """Nine of (N, C, H, W): of the backbone, the pyramid and the context modules, each at a stride of 8, 16 and 32."""


def build_retinaface(network: Literal["mobile0.25", "resnet50"] = "mobile0.25") -> nn.Module:
    """A network with random weights, on the CPU, in evaluation mode; `network` names its backbone as facexlib does."""
    from facexlib.detection.retinaface import RetinaFace

    with warnings.catch_warnings():
        # facexlib asks torchvision for an untrained backbone in a way that newer torchvision calls deprecated.
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        net: nn.Module = RetinaFace(network_name=network, device=torch.device("cpu"))
    return net.eval()


def folded(net: nn.Module) -> nn.Module:
    """A copy that computes the same in fewer steps: in a sequence, batch normalisation joins the convolution before it.

    Args:
        net: from `build_retinaface`, in evaluation mode; it stays as it is.
    """
    net = copy.deepcopy(net)
    for block in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        for (first, convolution), (second, norm) in pairwise(list(block.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(block, first, fuse_conv_bn_eval(convolution, norm))
                setattr(block, second, nn.Identity())
    return net.to(memory_format=torch.channels_last)


def network_input(bgr_nhwc: Tensor) -> Tensor:
    """(N, 3, H, W) float32 that the network takes, in channels-last memory, from (N, H, W, 3) samples of 0 to 255."""
    mean = torch.tensor(_MEAN_BGR, device=bgr_nhwc.device)
    return (bgr_nhwc.float() - mean).permute(0, 3, 1, 2)


def dense_faces(net: nn.Module, bgr_nchw: Tensor) -> DenseFaces:
    """Run a network from `build_retinaface`, keeping what facexlib's `forward` drops: logits and features.

    Args:
        net: the network.
        bgr_nchw: from `network_input`.
    """
    parts: Any = net
    stages = list(parts.body(bgr_nchw).values())
    levels = parts.fpn(stages)
    contexts = [module(level) for module, level in zip((parts.ssh1, parts.ssh2, parts.ssh3), levels, strict=True)]

    def read(heads: nn.ModuleList) -> Tensor:
        return torch.cat([head(context) for head, context in zip(heads, contexts, strict=True)], dim=1)

    features = (*stages, *levels, *contexts)
    return DenseFaces(read(parts.BboxHead), read(parts.ClassHead), read(parts.LandmarkHead), features)


def anchors(net: nn.Module, height: int, width: int) -> Tensor:
    """(A, 4) anchors of a picture: centre x, y, width, height, as parts of the picture's width and height."""
    from facexlib.detection.retinaface_utils import PriorBox

    priors: Tensor = PriorBox(_configuration(net), image_size=(height, width)).forward()
    return priors


def decode(net: nn.Module, boxes: Tensor, landmarks: Tensor, priors: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, A, 4) as left, top, right, bottom and landmarks (N, A, 10) as x, y …, from encoded ones.

    The unit is that of the anchors: parts of the picture's width and height.
    """
    from facexlib.detection.retinaface_utils import batched_decode, batched_decode_landm

    variance = _configuration(net)["variance"]
    return batched_decode(boxes, priors[None], variance), batched_decode_landm(landmarks, priors[None], variance)


def suppress_overlaps(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Indices of the boxes that stay, the surest first; a box that overlaps a surer one by more than `iou` goes.

    Args:
        boxes: (n, 4) left, top, right, bottom in pixels. As in the published code, both ends belong to the box, which
            is therefore right - left + 1 wide; this matters for faces of a few pixels.
        scores: (n,).
        iou: intersection over union.
    """
    from facexlib.detection.retinaface_utils import py_cpu_nms

    whole = boxes + boxes.new_tensor([0, 0, 1, 1])
    kept = py_cpu_nms(torch.column_stack([whole, scores]).numpy(), iou)
    return torch.tensor([int(index) for index in kept], dtype=torch.long)


def match_anchors(
    net: nn.Module, boxes: Tensor, landmarks: Tensor, priors: Tensor, *, overlap: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Encode labelled faces at the anchors that overlap them: what the network should say there.

    Args:
        net: the network.
        boxes: (n, 4) of one picture, left, top, right, bottom in parts of the picture's sides; n > 0.
        landmarks: (n, 10), likewise.
        priors: (A, 4) from `anchors`.
        overlap: least intersection over union for an anchor to stand for a face; each face gets its best anchor.

    Returns:
        (A,) bool, which anchors stand for a face; (A, 4) encoded boxes and (A, 10) encoded landmarks.
    """
    from facexlib.detection.retinaface_utils import match

    count = len(priors)
    encoded_boxes, encoded_landmarks = torch.zeros(1, count, 4), torch.zeros(1, count, 10)
    classes = torch.zeros(1, count, dtype=torch.long)
    ones = torch.ones(len(boxes), dtype=torch.long)
    variance = _configuration(net)["variance"]
    match(overlap, boxes, priors, variance, ones, landmarks, encoded_boxes, classes, encoded_landmarks, 0)
    return classes[0] > 0, encoded_boxes[0], encoded_landmarks[0]


def _configuration(net: nn.Module) -> dict[str, Any]:
    parts: Any = net
    configuration: dict[str, Any] = parts.cfg
    return configuration
