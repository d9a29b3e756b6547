"""Several restorers as one: a batch is dealt out among the devices of a machine.

::

    crops    0 1 | 2 3 | 4 5 | 6 7        parts of at most a member's own batch, dealt in turn
    member     A     B     A     B        A and B compute at the same time, each in its thread
    filter   0 1 > 2 3 > 4 5 > 6 7        latents pass in order: a part waits for those before it

Who gets what follows from the members' batches alone, not from their speed, so that a run repeats itself to the bit;
the slowest device sets the pace.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import cycle
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from gpen_video.restore.restorer import LatentFilter, LatentRestorer, Restorer

Float32 = NDArray[np.float32]
R = TypeVar("R", bound=Restorer)


class RestorerPool(Generic[R]):
    """Restorers of one size behind the contract of a single one, see `Restorer`.

    A member that halves its batch when memory runs out goes on with smaller parts. What a member raises is raised
    unchanged, with a note that names the member, once the others have stopped. Threads start with the first call, end
    with `close`, and stay with their member: CUDA's current device and cuDNN's plans belong to a thread.

    Args:
        restorers: of the same weights, at least one; no two share a network.
        devices: what each computes on: current in its thread, and named when it fails.

    Raises:
        ValueError: no restorers, restorers of different sizes, or not one device for each.
    """

    def __init__(self, restorers: Sequence[R], devices: Sequence[torch.device] | None = None) -> None:
        sizes = [restorer.size for restorer in restorers]
        if len(set(sizes)) != 1:
            raise ValueError(f"restorers of one size are needed, not {sizes}")
        if devices is None:
            devices = [torch.device("cpu")] * len(restorers)
        self._members = tuple(_Member(*member) for member in zip(restorers, devices, strict=True))

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self._members[0].restorer.size

    @property
    def batch(self) -> int:
        """Crops that keep all members busy."""
        return sum(member.restorer.batch for member in self._members)

    def restore(self, rgb_nhwc: Float32) -> Float32:
        """See `Restorer.restore`."""
        return self._in_parts(rgb_nhwc, lambda restorer, part: restorer.restore(rgb_nhwc[part]))

    def close(self) -> None:
        """End the threads; nothing can be restored afterwards."""
        for member in self._members:
            member.thread.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _in_parts(
        self, rgb_nhwc: Float32, restore: Callable[[R, slice], Float32], give_up: Callable[[], None] = lambda: None
    ) -> Float32:
        """Let members `restore` parts; where one fails, `give_up` frees the others from what they wait for."""
        faces = np.empty_like(rgb_nhwc)

        def work(member: "_Member[R]", part: slice) -> None:
            with member.at_work():
                faces[part] = restore(member.restorer, part)

        dealt = list(self._dealt(len(rgb_nhwc)))  # before anyone is at work, and may halve the batch that it goes by
        # A part waits only for parts that were submitted before it, so none waits for ever, whoever else calls.
        parts = [member.thread.submit(work, member, part) for member, part in dealt]
        try:
            wait(parts, return_when=FIRST_EXCEPTION)
        finally:
            for part in parts:
                part.cancel()
            give_up()
            wait(parts)
        errors = [error for part in parts if not part.cancelled() and (error := part.exception())]
        if errors:
            raise next((error for error in errors if not isinstance(error, _GivenUpError)), errors[0])
        return faces

    def _dealt(self, count: int) -> "Iterator[tuple[_Member[R], slice]]":
        """As few parts as the members' batches allow, and as even."""
        rounds = -(-count // self.batch)
        even = -(-count // max(1, rounds * len(self._members)))
        start = 0
        for member in cycle(self._members):
            if start == count:
                return
            stop = min(count, start + min(even, member.restorer.batch))
            yield member, slice(start, stop)
            start = stop


class LatentRestorerPool(RestorerPool[LatentRestorer]):
    """A pool of restorers that go by way of a latent code, see `LatentRestorer`."""

    def restore_steadied(self, rgb_nhwc: Float32, steady: LatentFilter) -> Float32:
        """See `LatentRestorer.restore_steadied`; `steady` is called in the members' threads, one at a time."""
        turns = _Turns(steady)
        return self._in_parts(
            rgb_nhwc,
            lambda restorer, part: restorer.restore_steadied(rgb_nhwc[part], turns.of(part)),
            turns.give_up,
        )


class _GivenUpError(Exception):
    """Another member failed; this one's part is not wanted any more."""


class _Turns:
    """Lets latents through to the filter in the order of their faces."""

    def __init__(self, steady: LatentFilter) -> None:
        self._steady = steady
        self._changed = threading.Condition()
        self._next = 0
        self._given_up = False

    def of(self, part: slice) -> LatentFilter:
        """The filter for one part, which waits until all faces before have been filtered."""
        position: int = part.start

        def steady(latents_nd: Float32) -> Float32:
            nonlocal position
            with self._changed:
                self._changed.wait_for(lambda: self._given_up or self._next == position)
                if self._given_up:
                    raise _GivenUpError
                steadied = self._steady(latents_nd)
                self._next = position = position + len(latents_nd)
                self._changed.notify_all()
            return steadied

        return steady

    def give_up(self) -> None:
        """End all waiting."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()


@dataclass(frozen=True, slots=True, eq=False)
class _Member(Generic[R]):
    restorer: R
    device: torch.device
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "restore on a device"))

    @contextmanager
    def at_work(self) -> Generator[None]:
        """Compute on the member's device, and tell which one it was when it fails."""
        current = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        try:
            with current:
                yield
        except BaseException as error:
            error.add_note(f"while restoring on {self.device}")
            raise
