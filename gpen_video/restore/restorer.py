"""The contract in front of every network that restores faces, and GPEN behind it."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpen_video.errors import DeviceError
from gpen_video.nets.gpen import Gpen
from gpen_video.restore.device import Precision, dtype_of, free_memory, ran_out_of_memory

Float32 = NDArray[np.float32]

LatentFilter = Callable[[Float32], Float32]
"""Gets (N, D) latents and gives what takes their place; sees each face once, in order, in parts of any N from 1."""

_CPU_BATCH = 1  # more brings nothing on a CPU, and one at a time gives the same bits however crops arrive
_LARGEST_BATCH = 64
_MEMORY_SHARE = 0.5


class Restorer(Protocol):
    """Crops to faces: same number, same order, same size."""

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""

    @property
    def batch(self) -> int:
        """How many crops it likes to get at once."""

    def restore(self, rgb_nhwc: Float32) -> Float32:
        """(N, size, size, 3) R'G'B', nominally 0..1, any N from 0 -> the same shape, clipped to 0..1.

        A face depends on its own crop alone, whatever it shares a batch with.
        """


@runtime_checkable
class LatentRestorer(Restorer, Protocol):
    """A restorer that goes by way of a latent code, one vector a face, which holds its global look."""

    def restore_steadied(self, rgb_nhwc: Float32, steady: LatentFilter) -> Float32:
        """`restore`, with the latents filtered on their way."""


class GpenRestorer:
    """GPEN in its fast form.

    Args:
        net: the network, on any device; it is moved.
        device: where it computes.
        precision: of weights and activations.
        batch: crops at once; 0 chooses from free memory.
    """

    def __init__(self, net: Gpen, *, device: torch.device, precision: Precision = "fp32", batch: int = 0) -> None:
        self._net = net.use_form("fast").eval().requires_grad_(False).to(device, dtype_of(precision))
        self._device = device
        self._dtype = dtype_of(precision)
        self.batch = batch or self._fitting_batch()

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self._net.config.size

    def restore(self, rgb_nhwc: Float32) -> Float32:
        """See `Restorer.restore`.

        Raises:
            DeviceError: memory does not hold a single face.
        """
        return self._in_batches(rgb_nhwc, lambda _, crops: self._net(crops))

    def restore_steadied(self, rgb_nhwc: Float32, steady: LatentFilter) -> Float32:
        """See `LatentRestorer.restore_steadied`.

        Raises:
            DeviceError: memory does not hold a single face.
        """
        steady_once = _Once(steady)

        def forward(start: int, crops: Tensor) -> Tensor:
            latent, features = self._net.encode(crops)
            steadied = steady_once(start, latent.float().cpu().numpy())
            return self._net.decode(torch.from_numpy(steadied).to(latent), features)

        return self._in_batches(rgb_nhwc, forward)

    def _in_batches(self, rgb_nhwc: Float32, forward: Callable[[int, Tensor], Tensor]) -> Float32:
        """`forward` gets a batch and the number of its first crop; smaller ones where memory ran out."""
        done: list[Float32] = []
        start = 0
        while start < len(rgb_nhwc):
            part = rgb_nhwc[start : start + self.batch]
            try:
                done.append(self._run(part, partial(forward, start)))
                start += len(part)
            except RuntimeError as error:
                if not ran_out_of_memory(error):
                    raise
                self._halve_batch(error)
        return np.concatenate(done) if done else np.zeros_like(rgb_nhwc)

    @torch.inference_mode()
    def _run(self, rgb_nhwc: Float32, forward: Callable[[Tensor], Tensor]) -> Float32:
        crops = torch.tensor(rgb_nhwc, device=self._device)
        crops = (crops * 2 - 1).permute(0, 3, 1, 2).to(self._dtype)  # a permuted view is channels_last already
        faces = forward(crops).float()
        faces = (faces * 0.5 + 0.5).clamp_(0, 1).permute(0, 2, 3, 1)
        return np.ascontiguousarray(faces.cpu().numpy())

    def _halve_batch(self, error: RuntimeError) -> None:
        if self.batch == 1:
            raise DeviceError(
                f"{self._device}: not enough memory for one face of {self.size} pixels; "
                "use --device cpu or smaller weights"
            ) from error
        self.batch //= 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _fitting_batch(self) -> int:
        free = free_memory(self._device)
        if free is None:
            return _CPU_BATCH
        fitting = int(free * _MEMORY_SHARE) // self._bytes_per_face()
        return max(1, min(_LARGEST_BATCH, fitting))

    def _bytes_per_face(self) -> int:
        """Upper estimate: all encoder features, and the few largest activations that live at one time."""
        width = self._net.generator.width
        features = sum(channels * side**2 for side, channels in width.items())
        widest = max(channels * side**2 for side, channels in width.items())
        return int((features + 10 * widest) * self._dtype.itemsize)


class _Once:
    """Shows each latent to a filter once, also where its batch is tried again."""

    def __init__(self, steady: LatentFilter) -> None:
        self._steady = steady
        self._steadied: list[Float32] = []

    def __call__(self, start: int, latents_nd: Float32) -> Float32:
        """Latents of the faces from number `start` on -> what the filter made of them, now or before."""
        new = latents_nd[len(self._steadied) - start :]
        if len(new):
            self._steadied.extend(self._steady(new))
        return np.stack(self._steadied[start : start + len(latents_nd)])
