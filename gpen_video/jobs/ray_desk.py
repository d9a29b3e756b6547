"""Where segments wait for a worker of the cluster: the desk gives them out, and replaces workers that are lost."""

import asyncio
import secrets
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gpen_video import __version__
from gpen_video.errors import ClusterError
from gpen_video.jobs.ray_cluster import Actor, Reference, Share, machines_of, ray_here
from gpen_video.jobs.ray_segments import Place, Refused, Restored, SegmentWorker

_LOOK: Final = 1.0
"""Seconds between two looks at whether there are workers."""
_PAUSE: Final = 5.0
"""Seconds before a worker is started again that did not start."""


@dataclass(frozen=True, slots=True)
class DeskSetup:
    """How segments are given out."""

    workers: int
    share: Share
    """Of each worker."""
    offline: bool = False
    """Workers use only weights that are there."""
    grows: bool = False
    """With machines that join later."""
    reserved: int = 0
    """Shares that are for something else."""
    most_losses: int = 4
    """Workers that a segment may be lost with, one after another, before its film is given up."""
    patience: float = 300.0
    """Seconds without any worker after which films are given up."""
    late: float = 120.0
    """Seconds that a segment may take in any case, before somebody else is given it too."""
    times_late: float = 5.0
    """And so many times what the slowest of its film took."""


@dataclass(frozen=True, slots=True)
class DeskState:
    """How it stands."""

    workers: tuple[Place, ...]
    waiting: int
    """Segments that no worker has yet."""
    at_work: tuple[Place, ...] = ()
    """Workers that restore a segment."""


@dataclass(slots=True, eq=False)
class _Worker:
    actor: Actor
    place: Place


@dataclass(slots=True, eq=False)
class _Trial:
    """A segment that is to be restored, and who tries. A worker that hangs neither answers nor is lost."""

    order: list[Reference]
    work: list[Reference]
    frames: int
    answer: asyncio.Future[Restored | Refused]
    at_work: dict[_Worker, float] = field(default_factory=dict)
    """And since when."""
    losses: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Machines of workers beside which another was set to work."""
    ended: float | None = None
    """When it was answered, or nobody waited for it any more."""

    @property
    def film(self) -> str:
        """Ray's name for what all segments of a film have in common."""
        return str(self.order[0].hex())

    def settle(self, answer: Restored | Refused) -> None:
        """The first answer counts: all have the same bits."""
        if self.answer.done():
            return
        if isinstance(answer, Restored):
            answer = replace(answer, losses=tuple(self.losses), late=tuple(self.late))
        self.answer.set_result(answer)


@dataclass(slots=True)
class _Absence:
    """Of all workers."""

    since: float = field(default_factory=time.monotonic)
    reason: str = "no machine has room for one"


class SegmentDesk:
    """An actor of the cluster, with a loop of its own; takes no core. Workers end with it."""

    def __init__(self, setup: DeskSetup) -> None:
        """Begin with the first request, when the loop runs."""
        self._setup = setup
        self._ray = ray_here()
        self._make = self._ray.remote(SegmentWorker).options(
            num_cpus=setup.share.cpus, num_gpus=setup.share.gpus, max_restarts=0
        )
        self._idle: list[_Worker] = []
        self._at_work: list[_Worker] = []
        self._trials: set[_Trial] = set()
        self._paces: dict[str, float] = {}
        """Seconds a frame of each film's slowest segment."""
        self._absence: _Absence | None = _Absence()
        self._waiting = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = 0

    async def state(self) -> DeskState:
        """How it stands now."""
        self._open()
        at_work = tuple(worker.place for worker in self._at_work)
        return DeskState((*(worker.place for worker in self._idle), *at_work), self._waiting, at_work)

    async def restored(self, order: list[Reference], work: list[Reference], frames: int) -> Restored | Refused:
        """Have a segment restored by a worker, and by another if that one is lost or late; see `SegmentWorker.restore`.

        Args:
            order: Of all segments of the film.
            work: The segment.
            frames: That are decoded for it.
        """
        self._open()
        trial = _Trial(order, work, frames, asyncio.get_running_loop().create_future())
        self._trials.add(trial)
        self._spawn(self._attempt(trial))
        try:
            return await trial.answer
        finally:
            trial.ended = time.monotonic()

    async def _attempt(self, trial: _Trial) -> None:
        """Have one worker restore the segment, the next that is free."""
        worker = await self._taken()
        if worker is None:
            trial.settle(Refused(ClusterError(self._why_none())))
        elif trial.answer.done():
            await self._give_back(worker)
        else:
            trial.at_work[worker] = time.monotonic()
            await self._await(trial, worker)
            del trial.at_work[worker]
        if trial.answer.done() and not trial.at_work:
            self._trials.discard(trial)

    async def _await(self, trial: _Trial, worker: _Worker) -> None:
        try:
            answer = await worker.actor.restore.remote(trial.order, trial.work, secrets.token_hex(4))
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError):
            trial.losses.append(worker.place.host)
            await self._lose(worker)
            if trial.answer.done():
                return
            if len(trial.losses) <= self._setup.most_losses:
                self._spawn(self._attempt(trial))
            else:
                hosts = ", ".join(trial.losses)
                count = f"{len(trial.losses)} workers were lost, one after another, with the same segment"
                trial.settle(Refused(ClusterError(f"{count} ({hosts})")))
        except Exception as error:
            await self._give_back(worker)
            if not trial.answer.done():
                trial.answer.set_exception(error)  # a fault of our own
        else:
            await self._give_back(worker)
            if isinstance(answer, Restored):
                pace = (time.monotonic() - trial.at_work[worker]) / trial.frames
                self._paces[trial.film] = max(pace, self._paces.get(trial.film, 0.0))
            trial.settle(answer)

    def _see_to(self, trial: _Trial) -> None:
        """Where a worker is late, set another to work; end it where that one has answered, and it still has not."""
        pace = self._paces.get(trial.film)
        if pace is None or not trial.at_work:
            return
        limit = max(self._setup.late, self._setup.times_late * pace * trial.frames)
        now = time.monotonic()
        worker, since = next(iter(trial.at_work.items()))
        if trial.ended is not None:
            if now - max(since, trial.ended) > limit:
                self._ray.kill(worker.actor)  # whoever waits for it hears of that
        elif now - since > limit and self._idle and not trial.late:
            trial.late.append(worker.place.host)
            self._spawn(self._attempt(trial))

    def _open(self) -> None:
        if not self._tasks:
            self._want(self._setup.workers)
            self._spawn(self._watch())

    def _want(self, workers: int) -> None:
        for _ in range(workers - self._wanted):
            self._spawn(self._join())
        self._wanted = max(self._wanted, workers)

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self) -> None:
        """Start a worker, until one stands."""
        while True:
            actor = self._make.remote(self._setup.share.cpus, offline=self._setup.offline)
            try:
                place = await actor.place.remote()
            except self._ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
            else:
                if place.version == __version__:
                    await self._give_back(_Worker(actor, place), is_new=True)
                    return
                self._ray.kill(actor)
                reason = f"{place.host} has gpen-video {place.version} and not {__version__}"
            if self._absence is not None:
                self._absence.reason = reason
            await asyncio.sleep(_PAUSE)

    async def _taken(self) -> _Worker | None:
        """The next one that is free; `None` where there are none any more."""
        async with self._changed:
            self._waiting += 1
            try:
                await self._changed.wait_for(lambda: self._idle or self._is_given_up)
                if not self._idle:
                    return None
                worker = self._idle.pop()
                self._at_work.append(worker)
                return worker
            finally:
                self._waiting -= 1

    async def _give_back(self, worker: _Worker, *, is_new: bool = False) -> None:
        async with self._changed:
            if not is_new:
                self._at_work.remove(worker)
            self._idle.append(worker)
            self._absence = None
            self._changed.notify_all()

    async def _lose(self, worker: _Worker) -> None:
        """Have another in its place; one that was only cut off is ended, and what it still writes nobody reads."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker.actor)
        async with self._changed:
            self._at_work.remove(worker)
            if not (self._idle or self._at_work):
                self._absence = _Absence(reason=f"the last one was lost on {worker.place.host}")
        self._spawn(self._join())

    @property
    def _is_given_up(self) -> bool:
        absence = self._absence
        return absence is not None and time.monotonic() - absence.since > self._setup.patience

    def _why_none(self) -> str:
        reason = "" if self._absence is None else f": {self._absence.reason}"
        return f"the cluster has had no worker for {self._setup.patience:g} seconds{reason}; run the same command again"

    async def _watch(self) -> None:
        """Wake up who waits in vain; look after who is late; take in machines that join."""
        while True:
            await asyncio.sleep(_LOOK)
            async with self._changed:
                self._changed.notify_all()
            for trial in tuple(self._trials):
                self._see_to(trial)
            if self._setup.grows:
                machines = await asyncio.to_thread(machines_of, self._ray)
                self._want(sum(map(self._setup.share.fits, machines)) - self._setup.reserved)
