"""Muon for convolutions: momentum whose matrix is made orthogonal before each step (Jordan et al. 2024)."""

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn

from gpen_video.train.machine import computes_in_bf16

_QUINTIC: Final = (3.4445, -4.7750, 2.0315)
"""Jordan et al.'s coefficients of x, x^3 and x^5: five iterations bring singular values from 0.01 up to 0.7 to 1.2."""
_ITERATIONS: Final = 5


class Muon(torch.optim.Optimizer):
    """Adam's counterpart for the weights of convolutions and linear layers, as matrices.

    A weight of (..., O, I, K, K) counts as a matrix of O rows. All directions of the momentum get the same length, so
    that the few strong ones do not drown what a step could learn besides.

    `torch.optim.Muon` takes matrices only, and iterates in bf16 on every device: on a CPU without the instructions a
    step of gpen-lite-256 takes it 6 seconds, in fp32 a fifth of one.

    Args:
        weights: of convolutions or linear layers.
        rate: root mean square of what a step adds to a weight (Liu et al. 2025, section 2.2).
        momentum: Nesterov's.
    """

    def __init__(self, weights: Iterable[nn.Parameter], rate: float, *, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": rate, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step along the weights' gradients."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                mean = state["momentum"].lerp_(weight.grad, 1 - momentum)
                direction = orthogonal(_matrix(torch.lerp(weight.grad, mean, momentum)))
                whole = rate * max(direction.shape) ** 0.5
                weight.sub_(direction.to(weight.dtype).view(weight.shape), alpha=whole)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly U V' of a matrix U S V': its singular values brought to about 1 by a Newton-Schulz iteration.

    Args:
        matrix: (M, N).

    Returns:
        (M, N), in bf16 where the device computes in it, else fp32.
    """
    a, b, c = _QUINTIC
    x = matrix.to(torch.bfloat16 if computes_in_bf16(matrix.device) else torch.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=1e-7)  # no singular value is above 1 then
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def _matrix(weight: Tensor) -> Tensor:
    """(O, the rest)."""
    return weight if weight.ndim == 2 else weight.reshape(weight.shape[-4], -1)
