"""Muon for convolutions: momentum whose matrix is made orthogonal before each step (Jordan et al. 2024)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_RMS = 0.2
"""Root mean square, in learning rates, of a step under "match_rms_adamw" (Liu et al. 2025, section 2.2)."""


class Muon(torch.optim.Muon):
    """`torch.optim.Muon`, which knows matrices only, for the weights of convolutions too.

    A weight of (..., O, I, K, K) counts as a matrix of O rows. All directions of the momentum get the same length, so
    that the few strong ones do not drown what a step could learn besides.

    Args:
        weights: of convolutions or linear layers.
        rate: root mean square of what a step adds to a weight.
    """

    def __init__(self, weights: Iterable[nn.Parameter], rate: float) -> None:
        self._weights = list(weights)
        matrices = [nn.Parameter(_matrix(weight.detach()).clone()) for weight in self._weights]
        super().__init__(matrices, lr=rate / _RMS, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step along the weights' gradients; weights may have been loaded, or have changed memory format."""
        matrices = self.param_groups[0]["params"]
        for matrix, weight in zip(matrices, self._weights, strict=True):
            matrix.copy_(_matrix(weight))
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        super().step()  # type: ignore[no-untyped-call]
        for matrix, weight in zip(matrices, self._weights, strict=True):
            weight.copy_(matrix.view(weight.shape))


def _matrix(weight: Tensor) -> Tensor:
    """(O, the rest)."""
    return weight if weight.ndim == 2 else weight.reshape(weight.shape[-4], -1)
