"""Which device, and in which precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from gpen_video.errors import DeviceError

Precision = Literal["fp32", "fp16", "bf16"]

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


_KNOWN = "auto, cpu, cuda, cuda:N, cuda:0,1, cuda:all or mps"


def choose_devices(name: str) -> tuple[torch.device, ...]:
    """One device, or several to share the faces among.

    Args:
        name: ``auto`` is the first CUDA device, else Apple's GPU, else the CPU; ``cuda:all`` is every CUDA device.
            Several are separated by commas, where a number stands for a device of the kind before it: ``cuda:0,1``.

    Raises:
        DeviceError: no such device here, or a GPU is named twice.
    """
    if name == "auto":
        return (torch.device("cuda:0" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"),)
    devices = tuple(_device(part) for part in _parts(name))
    for device in devices:
        if device.type != "cpu" and devices.count(device) > 1:
            raise DeviceError(f"device {name!r} names {device} twice; name each once")
    return devices


def _parts(name: str) -> Iterator[str]:
    kind = ""
    for part in name.split(","):
        if part == "cuda:all":
            yield from (f"cuda:{index}" for index in range(max(1, _cuda_count())))
        elif part.isdecimal() and kind:
            yield f"{kind}:{part}"
        else:
            kind = part.partition(":")[0]
            yield part


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"device {name!r} is not known; use {_KNOWN}") from None
    if device.type == "cuda":
        if (device.index or 0) >= _cuda_count():
            raise DeviceError(
                f"device {name!r} is not there: this machine has {_cuda_count()} CUDA devices; use --device auto"
            )
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not _has_mps():
        raise DeviceError("device 'mps' is not there; use --device auto")
    if device.type not in ("cpu", "mps"):
        raise DeviceError(f"device {name!r} is not supported; use {_KNOWN}")
    return torch.device(device.type)


def choose_precision(wanted: Literal["auto"] | Precision, *devices: torch.device) -> Precision:
    """``auto`` is half precision on CUDA (bf16 from compute capability 8.0, whose range GPEN needs), else fp32.

    Several devices share one precision, which all of them can do. bf16 was ten times slower than fp32 on a CPU without
    it in hardware, so a CPU computes in fp32 unless told.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if all(map(_is_fast_in_bf16, devices)) else "fp32"


def _is_fast_in_bf16(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def dtype_of(precision: Precision) -> torch.dtype:
    """The torch type of a precision."""
    return _DTYPES[precision]


@contextmanager
def computing_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads on the CPU in threads that are started within the block.

    With another number it adds up in another order, so that the last bits of what networks say differ.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device, or `None` where that cannot be known."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return None


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means that memory ran out, on any device."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
