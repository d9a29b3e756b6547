"""Batches for training, made ahead in processes of their own, in an order that depends on seed and position alone."""

import signal
from collections.abc import Callable, Generator, Iterator
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gpen_video.errors import GpenVideoError
from gpen_video.train.machine import Machine

Sample = dict[str, NDArray[np.float32]]
"""Arrays of one training sample by name; a batch holds the same names with one dimension more in front."""
Batch = dict[str, Tensor]
Make = Callable[[int, np.random.Generator], Sample]
"""Makes the sample of face `index` from an explicit generator."""


@lru_cache(maxsize=2)
def _shuffled(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(count)


def place(count: int, seed: int, position: int) -> tuple[int, np.random.Generator]:
    """Which of `count` faces comes at a position of an endless training, and the generator that alters it there."""
    epoch, offset = divmod(position, count)
    return int(_shuffled(count, seed, epoch)[offset]), np.random.default_rng((seed, epoch, offset))


class _Samples(Dataset["Sample | GpenVideoError"]):
    def __init__(self, count: int, seed: int, make: Make) -> None:
        self._count, self._seed, self._make = count, seed, make

    def __getitem__(self, position: int) -> "Sample | GpenVideoError":
        try:
            return self._make(*place(self._count, self._seed, position))
        except GpenVideoError as error:  # handed on as a value: across processes it would lose its one line
            return error


def feed(make: Make, count: int, *, batch: int, seed: int, start: int, machine: Machine) -> Generator[Batch]:
    """Endless batches on the machine's device.

    Args:
        make: makes one sample.
        count: faces to draw from.
        batch: samples of a step over all processes; this one gets its share.
        seed: of the order and of every alteration.
        start: position of the first sample: how many were seen before.
        machine: device, workers, and which share is ours.

    Raises:
        GpenVideoError: as `make` raised it.
        ValueError: the batch cannot be shared out evenly.
    """
    if batch % machine.ranks:
        raise ValueError(f"{batch = } does not divide by {machine.ranks} processes")
    share = batch // machine.ranks
    if machine.workers:
        cv2.setNumThreads(1)  # here, for a forked worker would wait for ever for threads that it did not inherit
    loader = DataLoader(
        _Samples(count, seed, make),
        batch_sampler=_positions(start + machine.rank * share, share, batch),
        num_workers=machine.workers,
        collate_fn=_collate,
        pin_memory=machine.device.type == "cuda",
        worker_init_fn=_enter_worker,
        prefetch_factor=4 if machine.workers else None,
        generator=torch.Generator(),  # or every loader would draw from the global random numbers
    )
    for made in loader:
        if isinstance(made, GpenVideoError):
            raise made
        yield {name: tensor.to(machine.device, non_blocking=True) for name, tensor in made.items()}


class _positions:  # noqa: N801 - an iterable used in one place
    def __init__(self, first: int, share: int, stride: int) -> None:
        self._first, self._share, self._stride = first, share, stride

    def __iter__(self) -> Iterator[list[int]]:
        at = self._first
        while True:
            yield list(range(at, at + self._share))
            at += self._stride


def _enter_worker(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training process, which ends its workers


def _collate(samples: "list[Sample | GpenVideoError]") -> "Batch | GpenVideoError":
    good: list[Sample] = []
    for sample in samples:
        if isinstance(sample, GpenVideoError):
            return sample
        good.append(sample)
    return {name: torch.from_numpy(np.stack([sample[name] for sample in good])) for name in good[0]}


def to_network(rgb_nhwc: Tensor) -> Tensor:
    """(…, S, S, 3) in 0..1 -> (N, 3, S, S) in [-1, 1], channels last in memory; leading dimensions are joined."""
    return (rgb_nhwc.flatten(0, -4) * 2 - 1).permute(0, 3, 1, 2)
