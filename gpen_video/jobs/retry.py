"""What is worth another attempt, and after which pause: the one table."""

import errno
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gpen_video.errors import (
    ClusterError,
    DeviceError,
    EncodeError,
    GpenVideoError,
    InputError,
    JournalError,
    OutputError,
    UsageError,
    VerificationError,
    WeightsError,
)
from gpen_video.jobs.outcome import Failure

RETRIED: Final[tuple[tuple[type[BaseException], bool], ...]] = (
    (EncodeError, False),  # the encoder refuses the same settings again
    (JournalError, False),  # what an earlier run left stays as it is
    (OutputError, True),  # storage comes back, space is freed
    (InputError, False),  # a broken film stays broken
    (WeightsError, False),
    (UsageError, False),
    (VerificationError, False),  # the same film gives the same result
    (ClusterError, True),
    (GpenVideoError, False),
    (MemoryError, True),  # another film may have held it
    (OSError, True),
    (Exception, False),  # a fault of our own
)
"""The first class that fits decides, after the causes below."""

_STORAGE_VANISHED: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN"),
        *("ENETUNREACH", "ECONNRESET", "ECONNABORTED", "EREMOTEIO", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
)


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait before another attempt: each time `factor` times as long."""

    first: float = 5.0
    """Seconds."""
    factor: float = 4.0
    longest: float = 600.0
    """Seconds."""

    def after(self, attempts: int) -> float:
        """Seconds to wait when so many attempts have failed, 1 or more."""
        return float(min(self.longest, self.first * self.factor ** min(attempts - 1, 100)))


def failure_of(error: BaseException) -> Failure:
    """An error in words, and whether another attempt may end better."""
    name = type(error).__name__
    if isinstance(error, GpenVideoError):
        return Failure(kind=name, line=str(error), worth_retrying=worth_retrying(error))
    what = ": ".join(filter(None, (name, str(error))))
    if isinstance(error, MemoryError | OSError) or _ran_out_of_memory(error):
        return Failure(kind=name, line=what, worth_retrying=worth_retrying(error))
    trace = "".join(traceback.format_exception(error)).rstrip()
    return Failure(kind=name, line=f"internal error: {what}; please report it", worth_retrying=False, trace=trace)


def worth_retrying(error: BaseException) -> bool:
    """Whether another attempt may end better.

    Memory of the device that ran out, and storage that vanished, decide wherever they are among an error's causes.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _STORAGE_VANISHED:
            return True
        if isinstance(error, DeviceError | RuntimeError) and _ran_out_of_memory(cause):
            return True
    return next((retried for kind, retried in RETRIED if isinstance(error, kind)), False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the `from None` kind included."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _ran_out_of_memory(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    from gpen_video.restore.device import ran_out_of_memory  # not at the top: brings torch

    return ran_out_of_memory(error)
