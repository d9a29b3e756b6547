"""Telling a face from what is in front of it: hair, glasses, hats, microphones, hands."""

from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gpen_video.nets.parsing import SIDE, ParserKind, face_probability

Float32 = NDArray[np.float32]


class FaceParser(Protocol):
    """Anything that sees which pixels of a crop are face."""

    def parse(self, rgb_nhwc: Float32) -> Float32:
        """(N, S, S, 3) aligned crops, R'G'B' of nominal range 0 to 1 -> (N, S, S) probability of face, 0 to 1."""


class NetworkParser:
    """ParseNet or BiSeNet behind `FaceParser`; faces go through one at a time."""

    def __init__(self, net: nn.Module, kind: ParserKind, *, device: torch.device) -> None:
        """Take a trained network.

        Args:
            net: from `nets.parsing.build_parser`, with weights loaded; it is moved to `device`.
            kind: which of the two.
            device: where it computes.
        """
        self._net = net.to(device).eval()
        self._kind = kind
        self._device = device

    def parse(self, rgb_nhwc: Float32) -> Float32:
        """See `FaceParser.parse`."""
        return np.stack([self._one(rgb) for rgb in rgb_nhwc]) if len(rgb_nhwc) else rgb_nhwc[..., 0]

    def _one(self, rgb_hwc: Float32) -> Float32:
        side = len(rgb_hwc)
        face = torch.from_numpy(_resized(rgb_hwc, SIDE)[None]).to(self._device)
        probability = face_probability(self._net, self._kind, face)[0].cpu().numpy()
        return np.clip(_resized(np.asarray(probability, np.float32), side), 0, 1)


def _resized(image: Float32, side: int) -> Float32:
    smaller = side < len(image)
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=way), np.float32)
