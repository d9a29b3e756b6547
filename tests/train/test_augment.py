"""Adaptive discriminator augmentation."""

import math

import pytest
import torch

from gpen_video.train.augment import Adaptation, augment


def images(count: int = 64, side: int = 32) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, side, side, generator=draw) * 2 - 1


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_strength_zero_changes_nothing() -> None:
    faces = images(4)
    assert augment(faces, 0.0, generator()) is faces


def test_alterations_fall_with_the_stated_probability() -> None:
    # Twelve independent chances, each p; an image stays as it is where none falls or a drawn one is the identity:
    # mirroring in one of two, turning by quarters in one of four, flipping luma in one of two.
    p, count = 0.05, 3000
    faces = images(1, 8).expand(count, -1, -1, -1).contiguous()
    altered = augment(faces, p, generator())
    untouched = ((altered - faces).abs().flatten(1).amax(1) < 1e-4).float().mean().item()
    turns = 1 - math.sqrt(1 - p)
    whole_shift_is_zero = 0.5  # an eighth of 8 pixels: -1, 0 or 1, the outer two half as often
    expected = (
        (1 - p / 2)  # mirror
        * (1 - 0.75 * p)  # quarter turn
        * (1 - p * (1 - whole_shift_is_zero)) ** 2  # pixels
        * (1 - p)  # scale
        * (1 - turns) ** 2
        * (1 - p)  # stretch
        * (1 - p) ** 2  # shift
        * (1 - p) ** 2  # brightness, contrast
        * (1 - p / 2)  # luma
        * (1 - p) ** 2  # hue, saturation
    )
    assert untouched == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / count))


def test_equal_generators_alter_alike_and_others_do_not() -> None:
    faces = images(8)
    first, second, other = (augment(faces, 0.8, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_gradient_reaches_the_images() -> None:
    faces = images(4).requires_grad_(True)
    augment(faces, 0.9, generator()).square().sum().backward()
    assert faces.grad is not None and faces.grad.abs().sum() > 0


def test_colour_keeps_grey_images_grey_up_to_brightness() -> None:
    # Hue and saturation act about the grey axis; brightness, contrast and luma act on all colours alike.
    grey = images(32)[:, :1].expand(-1, 3, -1, -1).contiguous()
    altered = augment(grey, 1.0, generator())
    assert torch.allclose(altered[:, 0], altered[:, 1], atol=1e-4)
    assert torch.allclose(altered[:, 1], altered[:, 2], atol=1e-4)


def test_a_constant_image_keeps_its_colour_under_geometry_alone() -> None:
    constant = torch.full((16, 3, 16, 16), 0.25)
    altered = augment(constant, 1.0, generator())
    assert (altered.flatten(2).std(2) < 1e-4).all()


def steered(sign: float, steps: int) -> float:
    adaptation = Adaptation(target=0.6, images=1000, every=4)
    for step in range(steps):
        adaptation.observe(torch.full((8, 1), sign), 8)
        adaptation.adjust(step, lambda value: value)
    return adaptation.strength


def test_strength_rises_with_overfitting_by_the_images_seen() -> None:
    assert steered(1.0, 40) == pytest.approx(40 * 8 / 1000)
    assert steered(1.0, 400) == 1.0


def test_strength_does_not_fall_below_zero() -> None:
    assert steered(-1.0, 40) == 0.0


def test_adaptation_resumes_between_adjustments() -> None:
    whole, first, second = (Adaptation(images=1000) for _ in range(3))
    signs = [torch.tensor([[1.0], [-1.0], [1.0]]), torch.ones(3, 1), -torch.ones(3, 1), torch.ones(3, 1)]
    for step, sign in enumerate(signs):
        whole.observe(sign, 3)
        whole.adjust(step, lambda value: value)
        half = first if step < 2 else second
        if step == 2:
            second.load(first.state())
        half.observe(sign, 3)
        half.adjust(step, lambda value: value)
    assert second.strength == whole.strength
    assert second.state() == whole.state()
