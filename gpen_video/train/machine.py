"""What a training runs on: device, precision, processes."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import cv2
import torch
import torch.distributed as dist
from torch import Tensor, nn

from gpen_video.errors import DeviceError
from gpen_video.restore.memory import keep_freed_memory

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Nothing here changes what is learnt, but for rounding; so it is no part of a training's configuration."""

    device: torch.device
    precision: Precision = "fp32"
    compile: bool = False
    """Compile the networks with `torch.compile`; the regularisers, which need second derivatives, never are."""
    workers: int = 1
    """Processes that make training pairs; 0 makes them between steps."""
    rank: int = 0
    ranks: int = 1
    """Processes that train together, each with its share of every batch (``torchrun``)."""

    @property
    def leads(self) -> bool:
        """True in the one process that writes and reports."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision where it was asked for; weights, losses and optimisers stay in fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def generator(self, seed: int, step: int) -> torch.Generator:
        """Random numbers of one step of this process: a function of (seed, step, rank), so that a run can resume."""
        state = ((seed * 1_000_003 + step) * 4099 + self.rank) % 2**63
        return torch.Generator(self.device).manual_seed(state)

    def share_weights(self, module: nn.Module) -> None:
        """Give every process the weights of the first."""
        if self.ranks > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.data, 0)

    def average_gradients(self, module: nn.Module) -> None:
        """Replace each gradient by its mean over all processes, in one transfer."""
        if self.ranks == 1:
            return
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.ranks
        for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a figure over all processes."""
        if self.ranks > 1:
            dist.all_reduce(value)
            value /= self.ranks
        return value


@contextmanager
def machine(
    device: str = "auto",
    *,
    precision: Precision | None = None,
    compile: bool | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> Iterator[Machine]:
    """Set this process up for training; under ``torchrun`` join the others.

    Args:
        device: ``auto`` (CUDA if there is one), ``cuda``, ``cuda:1``, ``cpu``.
        precision: by default bf16 where the device computes in it, else fp32.
        compile: by default on CUDA.
        workers: by default one less than the cores, at most 15.
        threads: of torch on a CPU; by default as torch thinks.

    Raises:
        DeviceError: the device is not there.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = _device(device, local)
    on_cuda = chosen.type == "cuda"
    if on_cuda:
        torch.cuda.set_device(chosen)
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    elif threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    cv2.setNumThreads(1)
    if ranks > 1:
        dist.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield Machine(
            device=chosen,
            precision=precision or ("bf16" if computes_in_bf16(chosen) else "fp32"),
            compile=on_cuda if compile is None else compile,
            workers=min((os.cpu_count() or 1) - 1, 15) if workers is None else workers,
            rank=int(os.environ.get("RANK", "0")),
            ranks=ranks,
        )
    finally:
        if ranks > 1:
            dist.destroy_process_group()


def _device(name: str, local: int) -> torch.device:
    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"{name}: no such device; give auto, cuda, cuda:N or cpu") from None
    if device.type == "cuda":
        if not cuda:
            raise DeviceError(f"{name}: torch sees no CUDA device; train with --device cpu")
        index = local if device.index is None else device.index
        if index >= torch.cuda.device_count():
            raise DeviceError(f"cuda:{index}: there are only {torch.cuda.device_count()} CUDA devices")
        return torch.device("cuda", index)
    if device.type != "cpu":
        raise DeviceError(f"{name}: training runs on cuda or cpu")
    return device


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16, and so is faster in it than in fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without the instructions bf16 convolutions are emulated: ten times slower than fp32.
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported())
