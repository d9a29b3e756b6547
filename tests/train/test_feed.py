"""The order of training samples, and the processes that make them."""

import itertools
import multiprocessing
from contextlib import closing

import numpy as np
import pytest
import torch

from gpen_video.errors import InputError
from gpen_video.train.feed import Sample, feed, place, to_network
from gpen_video.train.machine import Machine


def cpu(workers: int = 0, rank: int = 0, ranks: int = 1) -> Machine:
    return Machine(device=torch.device("cpu"), workers=workers, rank=rank, ranks=ranks)


def make(index: int, rng: np.random.Generator) -> Sample:
    return {"index": np.array([index], np.float32), "drawn": rng.random(3, np.float32)}


def first(count: int, **options: int) -> list[dict[str, torch.Tensor]]:
    machine = cpu(options.pop("workers", 0), options.pop("rank", 0), options.pop("ranks", 1))
    batches = feed(make, 7, **{"batch": 4, "seed": 3, "start": 0, **options}, machine=machine)
    with closing(batches):
        return list(itertools.islice(batches, count))


def test_every_face_comes_once_before_any_comes_again() -> None:
    indices = [place(7, 3, position)[0] for position in range(21)]
    for epoch in range(3):
        assert sorted(indices[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert indices[:7] != indices[7:14]


def test_a_later_start_goes_on_with_the_same_samples() -> None:
    whole, later = first(5), first(3, start=8)
    for a, b in zip(whole[2:], later, strict=True):
        assert torch.equal(a["index"], b["index"]) and torch.equal(a["drawn"], b["drawn"])


def test_workers_change_nothing() -> None:
    for a, b in zip(first(6), first(6, workers=2), strict=True):
        assert torch.equal(a["index"], b["index"]) and torch.equal(a["drawn"], b["drawn"])


def test_processes_share_each_batch() -> None:
    whole = first(3)
    halves = [first(3, rank=rank, ranks=2) for rank in (0, 1)]
    for batch, *parts in zip(whole, *halves, strict=True):
        assert torch.equal(batch["drawn"], torch.cat([part["drawn"] for part in parts]))


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ValueError, match="does not divide by 2 processes"):
        next(feed(make, 7, batch=3, seed=0, start=0, machine=cpu(ranks=2)))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_stays_one_line(workers: int) -> None:
    def broken(index: int, rng: np.random.Generator) -> Sample:
        raise InputError("portrait.jpg: not a readable image")

    with pytest.raises(InputError) as caught:
        next(feed(broken, 7, batch=2, seed=0, start=0, machine=cpu(workers)))
    assert str(caught.value) == "portrait.jpg: not a readable image"


def test_closing_ends_the_workers() -> None:
    before = len(multiprocessing.active_children())
    batches = feed(make, 7, batch=2, seed=0, start=0, machine=cpu(2))
    next(batches)
    assert len(multiprocessing.active_children()) == before + 2
    batches.close()
    assert len(multiprocessing.active_children()) == before


def test_to_network_joins_clips_and_maps_the_range() -> None:
    faces = torch.tensor([0.0, 0.5, 1.0]).expand(2, 3, 4, 4, 3)
    made = to_network(faces)
    assert made.shape == (6, 3, 4, 4)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert made[0, :, 0, 0].tolist() == [-1, 0, 1]
