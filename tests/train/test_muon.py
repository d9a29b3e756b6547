"""Muon against the singular value decomposition."""

import numpy as np
import pytest
import torch
from torch import nn

from gpen_video.train.muon import Muon


@pytest.mark.parametrize("shape", [(12, 5, 3, 3), (1, 6, 40, 3, 3), (90, 4, 3, 3), (30, 20)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_step_gives_every_direction_of_the_gradient_the_same_length(
    shape: tuple[int, ...], channels_last: bool
) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(shape))
    weight.grad = torch.randn(shape)
    if channels_last and len(shape) == 4:
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    before = weight.detach().clone()
    Muon([weight], rate=0.01).step()
    rows = shape[-4] if len(shape) >= 4 else shape[0]
    moved = (before - weight.detach()).reshape(rows, -1).double().numpy()
    gradient = weight.grad.reshape(rows, -1).double().numpy()
    left, _, right = np.linalg.svd(gradient, full_matrices=False)
    along = np.diag(left.T @ moved @ right.T)  # what it moved along each of the gradient's own directions
    whole = 0.01 * np.sqrt(max(gradient.shape))  # a root mean square of 0.01 over the weights
    assert np.all((along > 0.6 * whole) & (along < 1.3 * whole))  # five iterations come so near (Jordan et al. 2024)
    across = left.T @ moved @ right.T - np.diag(along)
    assert np.abs(across).max() < 0.05 * whole


def test_weights_that_were_loaded_since_are_what_a_step_starts_from() -> None:
    weight = nn.Parameter(torch.zeros(4, 3, 3, 3))
    optimiser = Muon([weight], rate=1e-4)
    with torch.no_grad():
        weight.fill_(5)
    weight.grad = torch.randn(weight.shape)
    optimiser.step()
    assert torch.allclose(weight, torch.full_like(weight, 5), atol=1e-3)
    assert not torch.equal(weight, torch.full_like(weight, 5))


def test_matrices_go_where_torchs_own_muon_takes_them() -> None:
    """That one iterates in bf16, eight bits; the momentum of three steps is in it."""
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.zeros(20, 48)) for _ in range(2))
    optimiser = Muon([ours], rate=0.01)
    reference = torch.optim.Muon([theirs], lr=0.05, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        ours.grad = theirs.grad = torch.randn(20, 48)
        optimiser.step()
        reference.step()
    assert (ours - theirs).norm() < 0.02 * theirs.norm()


@pytest.mark.parametrize("zeros", [(4, 3, 3, 3), (6, 5)])
def test_without_a_gradient_nothing_moves(zeros: tuple[int, ...]) -> None:
    still, quiet = nn.Parameter(torch.ones(zeros)), nn.Parameter(torch.ones(zeros))
    quiet.grad = torch.zeros(zeros)
    Muon([still, quiet], rate=0.1).step()
    assert torch.equal(still, torch.ones(zeros))
    assert torch.equal(quiet, torch.ones(zeros))
