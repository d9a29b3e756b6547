"""3x3 convolution by Winograd's minimal filtering F(4x4, 3x3), as matrix products: 36 instead of 144 multiplications.

Each 4x4 tile of the result comes from the 6x6 tile of the input around it: both tiles and the kernel are transformed so
that the convolution becomes 36 independent products over the channels. That is a quarter of the multiplications, but
the transforms move more memory, so it pays for many channels on few pixels.

Sources: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The points of interpolation are
those of the least error in float32 of Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
Convolution for Deep Neural Networks", ACM TOMS 2020.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_POINTS = np.array([0.0, 1.0, -1.0, 0.5, -2.0])  # and infinity
_TILE = 4
_SPAN = 6


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether `convolve` is the quicker way for (B, C, H, W) and (C', C, K, K), and float32's accuracy lasts."""
    channels, height, width = x.shape[1:]
    return (
        weight.shape[-2:] == (3, 3)
        and not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and height % _TILE == width % _TILE == 0
        and 16 <= max(height, width) <= channels // 4
    )


def transformed(weight: Tensor) -> Tensor:
    """(C', C, 3, 3) -> (36, C, C'): what `convolve` takes."""
    g = torch.from_numpy(_matrices()[1])
    products = torch.einsum("ap,oipq,bq->abio", g, weight.double(), g)
    return products.flatten(0, 1).to(weight.dtype).contiguous()


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Cross-correlate with zero padding 1: (B, C, H, W), (36, C, C') -> (B, C', H, W), both in channels_last."""
    batch, channels, height, width = x.shape
    rows, columns = height // _TILE, width // _TILE
    to_tiles, to_result = (transform.to(x.dtype) for transform in _transforms())
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    tiles = padded.unfold(1, _SPAN, _TILE).unfold(2, _SPAN, _TILE)  # (B, rows, columns, C, 6, 6), a view
    with torch.autocast("cpu", enabled=False):  # half precision would not bear the transforms
        spread = to_tiles @ tiles.permute(4, 5, 0, 1, 2, 3).reshape(_SPAN**2, -1)
        products = torch.bmm(spread.view(_SPAN**2, -1, channels), kernel)  # (36, B * rows * columns, C')
        y = (to_result @ products.flatten(1)).view(_TILE, _TILE, batch, rows, columns, -1)
    return y.permute(2, 3, 0, 4, 1, 5).reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def _matrices() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A^T (4, 6), G (6, 3) and B^T (6, 6) of Toom and Cook: y = A^T (G g * B^T d) correlates d with g."""
    others = [np.delete(_POINTS, i) for i in range(len(_POINTS))]
    lengths = np.array([np.prod(point - other) for point, other in zip(_POINTS, others, strict=True)])
    a = np.vander(np.append(_POINTS, 0.0), _TILE, increasing=True)
    a[-1] = np.eye(_TILE)[-1]
    g = np.vander(np.append(_POINTS, 0.0), 3, increasing=True) / np.append(lengths, 1.0)[:, None]
    g[-1] = np.eye(3)[-1]
    b = np.stack([*(np.append(np.poly(other)[::-1], 0.0) for other in others), np.poly(_POINTS)[::-1]])
    return a.T, g, b


@cache
def _transforms() -> tuple[Tensor, Tensor]:
    """(36, 36) and (16, 36): both axes' transforms of a tile of the input and of the result at once."""
    a, _, b = _matrices()  # of the input's and the result's every entry is exact in float32
    return torch.from_numpy(np.kron(b, b)).float(), torch.from_numpy(np.kron(a, a)).float()
