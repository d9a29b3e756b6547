"""The Fréchet distance between two sets of faces, on features of a network that is named.

Both sets' features are taken for Gaussian (Heusel et al., "GANs trained by a two time-scale update rule converge to a
local Nash equilibrium", NeurIPS 2017); the distance between two Gaussians is that of D. C. Dowson and B. V. Landau,
"The Fréchet distance between multivariate normal distributions", J. Multivariate Anal. 12, 1982.

What the figures here can bear: few portraits are held out (155), so the features are the 256 of MobileNet-0.25's last
stage, averaged over the picture, of each face and of its mirror image: 310 samples, as covariances of 256 dimensions
want. Estimated from so few the distance between *different* people comes out too large (38 between two halves of the
held-out portraits, on ImageNet's features). Degraded and restored faces are therefore compared with the *same* people's
portraits: the error is then shared by both sides, equal sets are at 0 however few they are, and half as many faces gave
4 % more for degraded and 7 % more for restored ones. So the ratio of two such figures means something; a comparison
with the FID of a paper, or between sets of different people, does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gpen_video.errors import IncompatibleWeightsError
from gpen_video.nets.retinaface import build_retinaface, network_input
from gpen_video.weights import read_state

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A normal distribution of D dimensions."""

    mean: Float64
    """(D,)."""
    covariance: Float64
    """(D, D), symmetric and without negative eigenvalues; rank may be missing."""


def fit_gaussian(samples: Float64) -> Gaussian:
    """Mean and unbiased covariance of (N, D) samples, N at least 2."""
    if samples.ndim != 2 or len(samples) < 2:
        raise ValueError(f"a Gaussian needs (N, D) samples, N >= 2, got {samples.shape}")
    return Gaussian(samples.mean(axis=0), np.atleast_2d(np.cov(samples, rowvar=False)))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet distance |m_a - m_b|² + tr(C_a + C_b - 2 (C_a C_b)^½), as the FID is stated.

    tr (C_a C_b)^½ is the sum of the singular values of C_a^½ C_b^½. Taken so, no root of a general matrix is needed,
    nothing turns complex, and covariances without full rank need no correction.
    """
    cross = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    distance = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
    return max(float(distance), 0.0)


def _root(covariance: Float64) -> Float64:
    """Symmetric square root."""
    values, vectors = np.linalg.eigh(covariance)
    root: Float64 = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return root


class FeatureNet(Protocol):
    """Turns faces into vectors to compare."""

    @property
    def name(self) -> str:
        """Which network, for the report."""
        ...

    def features(self, rgb_nhwc: Float32) -> Float64:
        """(N, S, S, 3) R'G'B' in 0..1 -> (2N, D), of the faces, then of their mirror images."""
        ...


class MobileNetFeatures:
    """The last stage of a MobileNet-0.25 (256 channels at a stride of 32), averaged over the picture."""

    def __init__(self, body: nn.Module, name: str, prepare: Callable[[Tensor], Tensor]) -> None:
        """Take a backbone.

        Args:
            body: the backbone of a RetinaFace; not changed.
            name: for the report.
            prepare: (N, S, S, 3) R'G'B' in 0..1 to what the backbone was trained on, (N, 3, S, S).
        """
        self._body = body
        self._prepare = prepare
        self.name = name

    @torch.no_grad()
    def features(self, rgb_nhwc: Float32) -> Float64:
        """See `FeatureNet.features`."""
        faces = torch.from_numpy(np.concatenate([rgb_nhwc, rgb_nhwc[:, :, ::-1]]))
        last: Tensor = list(self._body(self._prepare(faces)).values())[-1]
        return last.double().mean(dim=(2, 3)).numpy()


def detector_features(net: nn.Module, name: str) -> MobileNetFeatures:
    """Features of a RetinaFace MobileNet-0.25: always at hand, but trained to see through degradation.

    Args:
        net: from `build_retinaface`, trained, on the CPU and in evaluation mode.
        name: of its weights.
    """
    parts: Any = net
    return MobileNetFeatures(parts.body, f"{name} backbone", lambda rgb: network_input(rgb.flip(3) * 255))


def imagenet_features(path: Path) -> MobileNetFeatures:
    """Features of MobileNet-0.25 as trained on ImageNet (``mobilenetV1X0.25_pretrain.tar``, not shipped).

    It was trained on R'G'B' normalised as usual for ImageNet: only so do activations have the moments that its first
    batch normalisation keeps, and suits get bow ties.

    Raises:
        WeightsError: the file cannot be read.
        IncompatibleWeightsError: it holds something else.
    """
    parts: Any = build_retinaface()
    body: nn.Module = parts.body
    state, wanted = read_state(path), body.state_dict()
    try:
        body.load_state_dict({key: state[key] for key in wanted})
    except (KeyError, RuntimeError):
        raise IncompatibleWeightsError(f"{path}: keys or shapes are not those of MobileNet-0.25") from None
    return MobileNetFeatures(body.eval(), "ImageNet MobileNet-0.25", _normalised)


def _normalised(rgb_nhwc: Tensor) -> Tensor:
    return ((rgb_nhwc - torch.tensor(_IMAGENET_MEAN)) / torch.tensor(_IMAGENET_DEVIATION)).permute(0, 3, 1, 2)
