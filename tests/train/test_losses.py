"""Losses against closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from gpen_video.train import losses


def test_r1_of_a_linear_discriminator_is_the_square_of_its_weight() -> None:
    weight = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    images = torch.randn(5, 3, 8, 8).requires_grad_(True)
    penalty = losses.gradient_penalty((images * weight).sum((1, 2, 3)), images)
    assert penalty.item() == pytest.approx(weight.square().sum().item(), rel=1e-5)


def test_path_length_of_a_linear_map_is_that_of_its_transpose() -> None:
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(3 * 4 * 4, 6, generator=draw)
    latents = torch.randn(2, 1, 6, generator=draw).requires_grad_(True)
    images = (latents[:, 0] @ matrix.t()).reshape(2, 3, 4, 4)
    noise = torch.randn(2, 3, 4, 4, generator=draw)
    lengths = losses.path_lengths(images, latents, noise)
    expected = (noise.reshape(2, -1) @ matrix).norm(dim=1) / 4  # / sqrt(H W)
    assert torch.allclose(lengths, expected, rtol=1e-5)


def test_logistic_losses_at_indifference_are_log_two() -> None:
    zero = torch.zeros(4, 1)
    assert losses.made_is_real(zero).item() == pytest.approx(math.log(2))
    assert losses.tells_apart(zero, zero).item() == pytest.approx(2 * math.log(2))


def test_logistic_losses_point_the_right_way() -> None:
    sure, unsure = torch.full((1, 1), 3.0), torch.full((1, 1), -3.0)
    assert losses.made_is_real(sure) < losses.made_is_real(unsure)
    assert losses.tells_apart(sure, unsure) < losses.tells_apart(unsure, sure)


def test_content_loss_without_detail_is_l1() -> None:
    made, target = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    expected = torch.stack([F.l1_loss(a, b) for a, b in zip(made, target, strict=True)])
    assert torch.allclose(losses.content_loss(made, target, detail=0.0), expected)


def test_detail_counts_edges_and_not_a_shift_of_brightness() -> None:
    target = torch.rand(1, 3, 32, 32)
    shifted = losses.content_loss(target + 0.1, target, detail=1.0).item()
    assert shifted == pytest.approx(0.1, abs=1e-5)
    checkered = target + 0.1 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    assert losses.content_loss(checkered, target, detail=1.0).item() > 0.19


def test_relative_loss_is_one_for_the_identity() -> None:
    target = torch.rand(2, 3, 16, 16)
    degraded = target + 0.5
    assert losses.relative_loss(degraded, degraded, target).item() == pytest.approx(1, abs=0.03)
    assert losses.relative_loss(target, degraded, target).item() == 0


def test_a_tenth_of_the_error_is_twenty_decibels_in_the_log_loss() -> None:
    target = torch.zeros(1, 3, 8, 8)
    before, after = (losses.log_error_loss(target + error, target).item() for error in (1.0, 0.1))
    assert (before - after) * 10 / math.log(10) == pytest.approx(20, abs=0.1)


def test_feature_matching_sums_mean_squares_over_layers() -> None:
    made, target = [torch.ones(2, 4, 8, 8), torch.ones(2, 8, 4, 4)], [torch.zeros(2, 4, 8, 8), torch.zeros(2, 8, 4, 4)]
    assert losses.feature_matching(made, target).item() == 2


def clip(shift: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two frames of a pattern that moves right by whole pixels, and the map of frame 0's point from frame 1's."""
    pattern = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    frames = torch.stack([pattern, pattern.roll(shift, 3)], 1)
    to_next = torch.tensor([[1.0, 0, -2 * shift / 16], [0, 1, 0]])[None, None]
    return frames, to_next


def test_steadiness_forgives_an_error_that_moves_with_the_face() -> None:
    target, to_next = clip(2)
    stain = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    stain[..., -2:] = 0  # nothing comes in again from the other side
    moving = target + torch.stack([stain, stain.roll(2, 3)], 1)
    assert losses.steadiness(moving, target, to_next).item() < 1e-5


def test_steadiness_sees_flicker() -> None:
    target, to_next = clip(2)
    flickering = target.clone()
    flickering[:, 1] += 0.1
    loss = losses.steadiness(flickering, target, to_next).item()
    assert loss == pytest.approx(0.1 * 14 / 16, rel=0.05)  # the part of frame 1 that frame 0 shows too


def test_steadiness_sees_an_error_that_stays_while_the_face_moves() -> None:
    target, to_next = clip(4)
    stain = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    assert losses.steadiness(target + stain[:, None], target, to_next).item() > 0.1
