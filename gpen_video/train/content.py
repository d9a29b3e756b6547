"""The content stage: the embedded network learns to undo degradations, from a content loss alone, growing in size."""

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import numpy as np
import torch
from torch import Tensor

from gpen_video.errors import GpenVideoError
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.train.data import Crops, Portrait, order
from gpen_video.train.degrade import training_pair
from gpen_video.train.ema import update_average
from gpen_video.train.growth import grow
from gpen_video.train.losses import psnr, relative_loss
from gpen_video.train.passthrough import pass_through


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Training at one size."""

    size: int
    images: int
    """Images seen in this stage."""
    batch: int
    learning_rate: float = 2e-3
    final_rate: float = 0.05
    """Learning rate at the end of the stage, as a part of the first (cosine)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentConfig:
    """A whole content training."""

    stages: tuple[Stage, ...]
    channel_multiplier: int = 1
    narrow: float = 0.25
    style_dim: int = 256
    mapping_layers: int = 4
    ema_half_life: float = 1500.0
    """Images after which a weight's influence on the average has halved."""
    detail: float = 1.0
    """Weight of the band-pass part of the content loss."""
    noise_strength: float = 1.0
    """First strength of the injected features; a prior starts at 0 and learns it."""
    seed: int = 0
    checkpoint_every: int = 500
    """Images between checkpoints."""

    def network(self, size: int) -> Gpen:
        """A fresh network of this width."""
        net = Gpen(GpenConfig(size, self.channel_multiplier, self.narrow, self.style_dim, self.mapping_layers))
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if name.endswith("noise.weight"):
                    parameter.fill_(self.noise_strength)
        return net.use_form("fast")


@dataclass(slots=True)
class State:
    """Where a training stands; everything with state is in its checkpoint."""

    stage: int = 0
    seen: int = 0
    """Images seen in this stage."""
    losses: list[float] = field(default_factory=list)


class Trainer:
    """Runs a `ContentConfig` in a folder and resumes from it."""

    def __init__(self, config: ContentConfig, portraits: list[Portrait], folder: Path) -> None:
        self.config = config
        self.portraits = [p for p in portraits if not p.held_out]
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.state = State()
        self._enter_stage(None)
        if (folder / "latest.pt").exists():
            self._load()

    def _enter_stage(self, smaller: Gpen | None) -> None:
        stage = self.config.stages[self.state.stage]
        self.net = self.config.network(stage.size)
        if smaller is None:
            pass_through(self.net)
        else:
            grow(smaller, self.net)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=stage.learning_rate, betas=(0.9, 0.99))

    def run(self, log: Callable[[str], None]) -> Gpen:
        """Train to the end of the last stage and return the averaged network.

        Raises:
            GpenVideoError: the loss is no longer a number; the last checkpoint is kept.
        """
        while True:
            self._run_stage(log)
            self.save()
            if self.state.stage + 1 == len(self.config.stages):
                return self.average
            self.state = State(stage=self.state.stage + 1)
            self._enter_stage(self.average)
            self.save()

    def _run_stage(self, log: Callable[[str], None]) -> None:
        stage, state = self.config.stages[self.state.stage], self.state
        crops = Crops(self.portraits, stage.size)
        started, before = time.monotonic(), state.seen
        seed = self.config.seed + 1000 * state.stage
        with pairs(crops, stage.batch, seed, start=state.seen) as batches:
            while state.seen < stage.images:
                degraded, target = next(batches)
                loss = self._step(degraded, target, stage)
                state.seen += stage.batch
                state.losses.append(loss)
                if state.seen % (self.config.checkpoint_every // stage.batch * stage.batch) == 0:
                    rate = (state.seen - before) / (time.monotonic() - started)
                    mean = float(np.mean(state.losses))
                    state.losses.clear()
                    log(f"{stage.size} px: {state.seen} images, loss {mean:.4f}, {rate:.2f} images/s")
                    self.save()

    def _step(self, degraded: Tensor, target: Tensor, stage: Stage) -> float:
        progress = self.state.seen / stage.images
        cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
        for group in self.optimiser.param_groups:
            group["lr"] = stage.learning_rate * (stage.final_rate + (1 - stage.final_rate) * cosine)
        loss = relative_loss(self.net(degraded), degraded, target, detail=self.config.detail)
        if not torch.isfinite(loss):
            raise GpenVideoError(f"loss is {loss.item()} after {self.state.seen} images; last good: {self.folder}")
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimiser.step()
        half_life = min(self.config.ema_half_life, 0.1 * self.state.seen + 1)
        update_average(self.average, self.net, images=stage.batch, half_life=half_life)
        return loss.item()

    def save(self) -> None:
        """Write the checkpoint beside its name, then rename."""
        part = self.folder / "latest.pt.part"
        torch.save(
            {
                "config": json.dumps(asdict(self.config)),
                "stage": self.state.stage,
                "seen": self.state.seen,
                "net": self.net.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            },
            part,
        )
        part.replace(self.folder / "latest.pt")

    def _load(self) -> None:
        saved = torch.load(self.folder / "latest.pt", weights_only=True)
        self.state = State(stage=saved["stage"], seen=saved["seen"])
        self._enter_stage(None)
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])


class pairs:  # noqa: N801  (used as a context manager, reads as a verb)
    """Batches of (degraded, target), each (B, 3, S, S) in [-1, 1], made ahead in one thread."""

    def __init__(self, crops: Crops, batch: int, seed: int, *, start: int = 0) -> None:
        self._crops, self._batch = crops, batch
        self._order = order(len(crops), seed, start)
        self._queue: Queue[tuple[Tensor, Tensor] | BaseException] = Queue(maxsize=4)
        self._stop = Event()
        self._thread = Thread(target=self._fill, daemon=True)

    def __enter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self._thread.start()
        return self._drain()

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(timeout=0.05)

    def _fill(self) -> None:
        try:
            while not self._stop.is_set():
                self._queue.put(self._make())
        except BaseException as error:
            self._queue.put(error)

    def _drain(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            item = self._queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item

    def _make(self) -> tuple[Tensor, Tensor]:
        made = []
        for _ in range(self._batch):
            index, rng = next(self._order)
            made.append(training_pair(self._crops.crop(index, rng), rng))
        degraded, target = (np.stack(images) for images in zip(*made, strict=True))
        return to_network(degraded), to_network(target)


def to_network(rgb_nhwc: np.ndarray) -> Tensor:
    """(N, S, S, 3) in 0..1 -> (N, 3, S, S) in [-1, 1], channels last in memory."""
    return torch.from_numpy(rgb_nhwc * np.float32(2) - np.float32(1)).permute(0, 3, 1, 2)


@torch.no_grad()
def evaluate(net: Gpen, portraits: list[Portrait], *, seed: int = 1, count: int | None = None) -> dict[str, float]:
    """PSNR in dB of degraded and of restored held-out faces, over the training mixture with a fixed seed."""
    crops = Crops([p for p in portraits if p.held_out][:count], net.config.size)
    before, after = [], []
    for index in range(len(crops)):
        degraded, target = training_pair(crops.crop(index), np.random.default_rng((seed, index)))
        low, high = to_network(degraded[None]), to_network(target[None])
        before.append(psnr(low, high).item())
        after.append(psnr(net(low), high).item())
    return {"faces": len(crops), "psnr_degraded": float(np.mean(before)), "psnr_restored": float(np.mean(after))}
