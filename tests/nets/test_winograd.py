import pytest
import torch
import torch.nn.functional as F

from gpen_video.nets import winograd


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 4, 4), (2, 8, 20)])
def test_the_convolution_is_exact_but_for_rounding(batch: int, height: int, width: int) -> None:
    x = torch.randn(batch, 5, height, width, dtype=torch.float64)
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64)
    y = winograd.convolve(x, winograd.transformed(weight))
    torch.testing.assert_close(y, F.conv2d(x, weight, padding=1), atol=1e-11, rtol=0)


def test_in_single_precision_the_error_stays_small() -> None:
    x, weight = torch.randn(1, 256, 16, 16), torch.randn(128, 256, 3, 3) / 48
    y = winograd.convolve(x, winograd.transformed(weight))
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    assert float((y - exact).square().mean().sqrt()) < 4e-6  # with the usual points 0, 1, -1, 2, -2 half as much again


def test_autocast_does_not_reach_it() -> None:
    x, kernel = torch.randn(1, 8, 8, 8), winograd.transformed(torch.randn(6, 8, 3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = winograd.convolve(x, kernel)
    assert torch.equal(mixed, winograd.convolve(x, kernel))


def test_the_result_keeps_channels_last() -> None:
    x = torch.randn(2, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    y = winograd.convolve(x, winograd.transformed(torch.randn(6, 8, 3, 3)))
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_it_is_taken_for_many_channels_on_few_pixels_in_single_precision_without_gradients() -> None:
    x, weight = torch.randn(1, 128, 32, 32), torch.randn(8, 128, 3, 3)
    assert not winograd.pays(x, weight)
    with torch.no_grad():
        assert winograd.pays(x, weight)
        assert not winograd.pays(x[:, :64], weight[:, :64])
        assert not winograd.pays(x.bfloat16(), weight.bfloat16())
        assert not winograd.pays(x[..., :30], weight)
        assert not winograd.pays(x, weight[..., :1, :1])
