"""Which device, and in which precision."""

from typing import Literal

import torch

from gpen_video.errors import DeviceError

Precision = Literal["fp32", "fp16", "bf16"]

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device, else Apple's GPU, else the CPU.

    Raises:
        DeviceError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"device {name!r} is not known; use auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceError(f"device {name!r} is not there: this machine has {count} CUDA devices; use --device auto")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not _has_mps():
        raise DeviceError("device 'mps' is not there; use --device auto")
    if device.type not in ("cpu", "mps"):
        raise DeviceError(f"device {name!r} is not supported; use auto, cpu, cuda, cuda:N or mps")
    return device


def choose_precision(wanted: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """``auto`` is half precision on CUDA (bf16 from compute capability 8.0, whose range GPEN needs), else fp32.

    bf16 was ten times slower than fp32 on a CPU without it in hardware, so a CPU computes in fp32 unless told.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return "bf16"
    return "fp32"


def dtype_of(precision: Precision) -> torch.dtype:
    """The torch type of a precision."""
    return _DTYPES[precision]


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


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
