"""How far a face is from another one of the same person, as a distance between descriptions of aligned crops."""

from typing import Protocol

import cv2
import numpy as np

from gpen_video.colour import LUMA_BT601
from gpen_video.faces import FaceEmbedder
from gpen_video.types import Float32, Float64

CROP_SIDE = 128
"""Pixels of the crops that are described."""


class Identity(Protocol):
    """Describes faces so that the same person's descriptions lie close together."""

    @property
    def name(self) -> str:
        """Of the network or method, for reports."""

    def describe(self, rgb_hwc: Float32) -> Float64:
        """(D,) unit vector of a crop on the template, (S, S, 3) R'G'B', 0 to 1."""
        ...


class CoarseLooks:
    """What a face looks like from afar: luma of the aligned crop, 16 x 16, without its mean and contrast.

    It needs no weights. It sees that eyes, brows, mouth or light moved or changed shape; it does not know persons.
    """

    name = "coarse looks"
    _side = 16

    def describe(self, rgb_hwc: Float32) -> Float64:
        """See `Identity.describe`."""
        margin = len(rgb_hwc) // 5  # the face without hair and background
        face = rgb_hwc[margin:-margin, margin:-margin]
        small = cv2.resize(face, (self._side, self._side), interpolation=cv2.INTER_AREA).astype(np.float64)
        levels = (small @ LUMA_BT601).ravel()
        levels -= levels.mean()
        return np.asarray(levels / max(float(np.linalg.norm(levels)), 1e-6))


class Embedding:
    """What a network that knows persons apart makes of a face."""

    def __init__(self, embedder: FaceEmbedder, name: str) -> None:
        self._embedder = embedder
        self.name = name

    def describe(self, rgb_hwc: Float32) -> Float64:
        """See `Identity.describe`."""
        return np.asarray(self._embedder.embed(rgb_hwc[None])[0], np.float64)


def distance(one: Float64, other: Float64) -> float:
    """Cosine distance of two descriptions: 0 for the same face, 1 for unrelated ones, at most 2."""
    return float(1 - np.clip(one @ other, -1, 1))
