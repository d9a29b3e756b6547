"""The loop that every training runs in: feed, step, report, save, resume."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from gpen_video.errors import DeviceError, TrainingError
from gpen_video.restore.device import ran_out_of_memory
from gpen_video.train.checkpoint import restore, save
from gpen_video.train.feed import feed
from gpen_video.train.log import TrainingLog
from gpen_video.train.machine import Machine
from gpen_video.train.training import Figures, Moment, Report, Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long, in what pieces, and how often what is written."""

    images: int
    """Images of the whole training."""
    batch: int
    """Images of a step, over all processes."""
    seed: int = 0
    report_every: int = 100
    """Steps between reports; each waits for the device."""
    save_every: int = 1000
    """Steps between checkpoints."""
    sheet_every: int = 5000
    """Steps between sample sheets."""


class Watcher(Protocol):
    """Whoever wants to be told."""

    def resumed(self, seen: int) -> None:
        """A checkpoint was found."""

    def reported(self, report: Report) -> None:
        """Some steps were made."""


def run(
    training: Training,
    faces: int,
    schedule: Schedule,
    folder: Path,
    machine: Machine,
    watcher: Watcher,
    *,
    until: float = float("inf"),
) -> bool:
    """Train to the schedule's end, or go on from where the folder's checkpoint stands.

    Args:
        training: what to train; changed in place.
        faces: how many there are to draw from.
        schedule: how long.
        folder: receives ``latest.ckpt``, ``figures.jsonl``, ``sheets/`` and TensorBoard's events.
        machine: where.
        watcher: is told of the progress, in the first process.
        until: `time.monotonic` at which to save and stop, to go on in another call.

    Returns:
        True when the schedule is through, False when time ran out before.

    Raises:
        TrainingError: a loss or weight is no longer a number; the last good checkpoint is kept.
        DeviceError: see `device_told`.
        OutputError: a checkpoint cannot be written.
        IncompatibleWeightsError: the folder's checkpoint is another training's.
    """
    seen = restore(training, folder, machine)
    if seen and machine.leads:
        watcher.resumed(seen)
    with ExitStack() as owned:
        log = owned.enter_context(closing(TrainingLog(folder, seen))) if machine.leads else None
        batches = owned.enter_context(
            closing(feed(training.sample, faces, batch=schedule.batch, seed=schedule.seed, start=seen, machine=machine))
        )
        owned.enter_context(device_told(schedule.batch))
        meter = _Meter()
        while seen < schedule.images and not _out_of_time(until, machine):
            meter.add(training.step(next(batches), Moment(seen, schedule.batch, schedule.images)), schedule.batch)
            seen += schedule.batch
            steps, last = seen // schedule.batch, seen >= schedule.images
            if last or steps % schedule.report_every == 0 or steps % schedule.save_every == 0:
                report = meter.report(seen, schedule.images, folder)
                if log is not None:
                    log.write(report)
                    watcher.reported(report)
            if steps % schedule.save_every == 0:
                _save(training, seen, folder, machine)
            if log is not None and (last or steps % schedule.sheet_every == 0):
                log.draw(training.sheet(), seen)
        _save(training, seen, folder, machine)
    return seen >= schedule.images


class _Meter:
    """Sums of figures on the device, read rarely."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._images = 0
        self._since = time.monotonic()

    def add(self, figures: Figures, images: int) -> None:
        for name, value in figures.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._images += images

    def report(self, seen: int, total: int, folder: Path) -> Report:
        means = {name: value.item() / self._counts[name] for name, value in self._sums.items()}
        for name, mean in means.items():
            if not abs(mean) < float("inf"):
                raise TrainingError(f"{name} is {mean} after {seen} images; the last good checkpoint is in {folder}")
        now = time.monotonic()
        report = Report(seen, total, self._images / max(now - self._since, 1e-9), means)
        self._sums.clear()
        self._counts.clear()
        self._images, self._since = 0, now
        return report


def _save(training: Training, seen: int, folder: Path, machine: Machine) -> None:
    """A checkpoint, unless a weight is no number: then the last good one stays."""
    for name, module in training.modules.items():
        total = torch.stack([p.detach().float().sum() for p in module.parameters()]).sum()
        if not torch.isfinite(total):
            raise TrainingError(
                f"weights of the {name} are {total.item()} after {seen} images; the last good checkpoint is in {folder}"
            )
    if machine.leads:
        save(training, seen, folder)


def _out_of_time(until: float, machine: Machine) -> bool:
    """Whether time is over, as the first process sees it, so that all stop at the same step."""
    over = time.monotonic() >= until
    if machine.ranks == 1:
        return over
    return machine.mean(torch.tensor(float(over), device=machine.device)).item() > 0


@contextmanager
def device_told(batch: int) -> Iterator[None]:
    """What a device cannot do, as one line.

    Args:
        batch: faces of a step.

    Raises:
        DeviceError: its memory does not hold a step, or there is nothing to compile the networks with.
    """
    try:
        yield
    except RuntimeError as error:
        if ran_out_of_memory(error):
            raise DeviceError(
                f"the device's memory does not hold a step of {batch} faces; give a smaller --batch"
            ) from error
        if isinstance(error, torch._dynamo.exc.TorchDynamoException):
            reason = str(error).partition("\n")[0]
            raise DeviceError(f"the networks cannot be compiled here ({reason}); give --no-compile") from error
        raise
