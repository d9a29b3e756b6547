"""A cluster as the crew of a batch: this machine only says which film is whose, and shows how it goes."""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gpen_video.errors import ClusterError
from gpen_video.jobs.hurry import Hurry
from gpen_video.jobs.outcome import Failure
from gpen_video.jobs.ray_cluster import FILMS, SOME, Actor, Plan, Reference, ray_here
from gpen_video.jobs.ray_desk import DeskSetup, DeskState, SegmentDesk
from gpen_video.jobs.ray_films import FilmSetup, FilmWorker
from gpen_video.jobs.ray_segments import Place
from gpen_video.jobs.retry import failure_of
from gpen_video.jobs.storage import Storage
from gpen_video.jobs.worker import Asked, Checked, Failed, Finished, Told, Warned, WorkerSetup

_SPARE: Final = 2
"""Segments of a film that wait at the desk beyond one for each worker, so that none stands idle."""
_GRACE: Final = 10.0
"""Seconds that films have for stopping by themselves; what is killed then goes on from its journal too."""
_CALLS: Final = 8
"""That a worker of films answers at a time: while it works on one, it tells news and takes renewals."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take, in seconds, and how often they may go wrong."""

    lease: float = 60.0
    """A film is worked on without word from here."""
    margin: float = 15.0
    """More, before another takes over."""
    lock: float = 180.0
    """Another takes over a film that is locked still: file servers keep a lost machine's locks for a while."""
    absence: float = 300.0
    """The cluster has no worker at all, or one that follows a film says nothing."""
    late: float = 120.0
    """A segment takes, before another worker is given it too; and five times what the slowest of its film took."""
    losses: int = 4
    """Workers lost with one segment, or one film, in one attempt."""

    @property
    def between(self) -> float:
        """Two renewals of a lease."""
        return self.lease / 6


class RemoteWorker:
    """A `FilmWorker` from here (a `CrewWorker`); when it is lost, another goes on with its film."""

    def __init__(self, number: int, crew: "RayCrew") -> None:
        """Start one, where there is room; its number is for people."""
        self.number = number
        self.device: str | None = None
        """The cluster's affair."""
        self._crew, self._ray = crew, ray_here()
        self._heard: deque[Told] = deque()
        self._asked: Asked = None
        self._losses = 0
        self._lost_at = self._asked_at = 0.0
        self._begin_at: float | None = None
        """When what is asked is asked again."""
        self._has_answered = self._is_stopped = False
        self._questioned_at = 0.0
        self._actor: Actor = None
        self._where: Reference = None
        self._work: Reference = None
        self.question: Reference = None
        """For news; `None` while there is nothing to ask."""
        self._start()

    @property
    def is_dead(self) -> bool:
        """Whether it was given up."""
        return self._actor is None

    @property
    def has_ended(self) -> bool:
        """Whether nothing is at work any more."""
        return self._actor is None or bool(self._ray.wait([self._work], timeout=0)[0])

    @property
    def has_news(self) -> bool:
        """Whether `hear` has something to tell."""
        return bool(self._heard)

    def ask(self, what: Asked) -> None:
        """Send a task."""
        self._asked, self._losses, self._is_stopped = what, 0, False
        self._begin_at = time.monotonic()
        self._go_on()

    def hear(self) -> Told:
        """What it has to say; see `RayCrew.heard_from`."""
        return self._heard.popleft()

    def rest(self) -> Iterator[Told]:
        """What it said before it ended, and nobody has heard."""
        while self._heard:
            yield self._heard.popleft()

    def renew(self) -> None:
        """Let it go on."""
        actor = self._actor
        if actor is not None:
            actor.renew.remote()

    def place(self) -> Place:
        """Where it is, or was last."""
        place: Place = self._ray.get(self._where)
        return place

    def listen(self) -> None:
        """Take an answer that has come; where the worker is lost, have another go on with its film."""
        self._go_on()
        if self.question is None:
            return
        come, _ = self._ray.wait([self.question], timeout=0)
        if not come:
            self._lose_patience()
            return
        self.question, self._has_answered = None, True
        try:
            self._take(self._ray.get(come[0]))
        except self._ray.exceptions.RayActorError:
            self._lose()

    def restart(self) -> None:
        """Have a fresh one in its place."""
        self.end_at_once()
        self._start()

    def stop(self) -> None:
        """Tell it to put its work away; returns at once."""
        self._begin_at, self._is_stopped = None, True
        if self._actor is not None:
            self._actor.stop.remote()

    def end_at_once(self) -> None:
        """End it, whatever it is doing."""
        actor, self._actor, self.question, self._begin_at = self._actor, None, None, None
        if actor is not None:
            self._ray.kill(actor)

    def close(self) -> None:
        """Let go of what is left of it."""
        self.end_at_once()

    def _start(self) -> None:
        self._actor = self._crew.new_actor()
        self._work = self._where = self._actor.place.remote()

    def _go_on(self) -> None:
        """Ask, where that is due."""
        if self._begin_at is None or time.monotonic() < self._begin_at:
            return
        self._begin_at = None
        if self._actor is None:
            self._start()
        self._asked_at, self._has_answered = time.monotonic(), False
        self._work = self._actor.begin.remote(self._asked)
        self._ask_for_news()

    def _take(self, told: list[Told]) -> None:
        last = told[-1] if told else None
        if isinstance(last, Failed) and last.is_busy and self._may_be_lost_ones_lock():
            self._heard.extend(told[:-1])
            self._begin_at = time.monotonic() + self._crew.patience.between
            return
        self._heard.extend(told)
        if not isinstance(last, Checked | Finished | Failed):
            self._ask_for_news()

    def _ask_for_news(self) -> None:
        self.question, self._questioned_at = self._actor.news.remote(), time.monotonic()

    def _lose(self, *, is_silent: bool = False) -> None:
        host, is_cut_off = self._last_place()
        self.end_at_once()
        if self._is_stopped:
            return
        self._losses += 1
        self._lost_at = time.monotonic()
        what = f"the worker that followed it was lost ({host})"
        patience = self._crew.patience
        if self._losses > patience.losses:
            self._heard.append(Failed(Failure(kind="WorkerDied", line=what, worth_retrying=True)))
            return
        pause = patience.lease + patience.margin if is_cut_off or is_silent else 0.0
        when = f" in {pause:g} s, when it has stopped for certain" if pause else ""
        self._heard.append(Warned(f"{what}; another goes on with it{when}"))
        self._begin_at = self._lost_at + pause

    def _last_place(self) -> tuple[str, bool]:
        """Where it was; and whether that machine is gone, so that nobody knows whether the worker is."""
        try:
            place: Place = self._ray.get(self._where, timeout=0)
        except self._ray.exceptions.RayError:
            return "before it began", False
        is_there = any(machine["Alive"] for machine in self._ray.nodes() if machine["NodeID"] == place.machine)
        return place.host, not is_there

    def _may_be_lost_ones_lock(self) -> bool:
        return self._losses > 0 and time.monotonic() - self._lost_at < self._crew.patience.lock

    def _lose_patience(self) -> None:
        absence = self._crew.patience.absence
        if self._has_answered:
            if time.monotonic() - self._questioned_at > absence:
                self._lose(is_silent=True)
        elif time.monotonic() - self._asked_at > absence:
            self.end_at_once()
            error = ClusterError(f"the cluster has had no room for following a film for {absence:g} seconds")
            self._heard.append(Failed(failure_of(error)))


class RayCrew:
    """The workers of a cluster (a `Crew`), of which this process is part already; see `ray_cluster.connected`."""

    def __init__(
        self, plan: Plan, *, patience: Patience | None = None, grows: bool = False, storage: Storage | None = None
    ) -> None:
        """Nothing is started yet.

        Args:
            plan: How the cluster is shared out.
            patience: With what goes wrong.
            grows: Take in machines that join later.
            storage: Through which films and segments go to workers for segments, where these do not see them.
        """
        self.plan, self.patience = plan, patience or Patience()
        self._ray, self._grows, self._storage = ray_here(), grows, storage
        self._setup: FilmSetup | None = None
        self.desk: Actor = None
        """The `SegmentDesk`, from `start` on."""
        self._workers: list[RemoteWorker] = []
        self._state: DeskState | None = None
        self._state_asked: Reference = None
        self._is_ended = threading.Event()

    def start(self, count: int, *, offline: bool, command_line: tuple[str, ...]) -> Sequence[RemoteWorker]:
        """Set up the desk for segments, and have so many films followed at a time; see `Crew`."""
        # As many threads for each, whatever it does: sums of floats, and so pixels, depend on their number.
        setup = WorkerSetup(self.plan.share.cpus, offline, command_line)
        self._setup = FilmSetup(setup, self.plan.workers + _SPARE, self.patience.lease, self._storage)
        self.desk = self._new_desk(offline)
        self._state_asked = self.desk.state.remote()  # which has its workers start, too
        self._workers = [RemoteWorker(number, self) for number in range(count)]
        threading.Thread(target=self._renew, name="leases", daemon=True).start()
        return self._workers

    def heard_from(self, workers: Iterable[RemoteWorker], seconds: float) -> list[RemoteWorker]:
        """The workers that have something to say, or were lost for good; after some seconds, none."""
        workers = list(workers)
        questions = [worker.question for worker in workers if worker.question is not None]
        if any(worker.has_news for worker in workers):
            seconds = 0.0
        if questions:
            self._ray.wait(questions, timeout=seconds)
        else:
            time.sleep(seconds)
        self._look_at_desk()
        for worker in workers:
            worker.listen()
        return [worker for worker in workers if worker.has_news]

    def end(self, workers: Iterable[RemoteWorker], at_work: Collection[RemoteWorker], hurry: Hurry) -> None:
        """End those at work cleanly, or at once where somebody is in a hurry or one does not end; and the others."""
        waiting = set(at_work)
        for worker in waiting:
            worker.stop()
        until = time.monotonic() + _GRACE
        while waiting and time.monotonic() < until and not hurry.is_great:
            waiting = {worker for worker in waiting if not worker.has_ended}
            self.heard_from(waiting, 0.2)
        for worker in workers:
            worker.end_at_once()
        self.close()

    def close(self) -> None:
        """End whoever restores segments."""
        self._is_ended.set()
        if self.desk is not None:
            self._ray.kill(self.desk)
            self.desk = None

    def new_actor(self) -> Actor:
        """Somebody who follows films, where there is room."""
        share = self.plan.film_share
        make = self._ray.remote(FilmWorker).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_concurrency=_CALLS,
            resources={FILMS: SOME} if self.plan.films_are_marked else None,
        )
        return make.remote(self._setup, self.desk)

    def place(self, number: int) -> Place:
        """Where a film's worker is."""
        return self._workers[number].place()

    def state(self) -> DeskState:
        """Of the workers that restore segments."""
        state: DeskState = self._ray.get(self.desk.state.remote())
        return state

    def line(self) -> str:
        """How the workers for segments stand, for people."""
        state = self._state
        if state is None or not state.workers:
            return "workers are starting"
        machines = len({place.machine for place in state.workers})
        return f"{len(state.at_work)} of {len(state.workers)} workers busy on {machines} machines"

    def _look_at_desk(self) -> None:
        if self.desk is None or not self._ray.wait([self._state_asked], timeout=0)[0]:
            return
        with suppress(self._ray.exceptions.RayError):  # it is being started again
            self._state = self._ray.get(self._state_asked)
        self._state_asked = self.desk.state.remote()

    def _new_desk(self, offline: bool) -> Actor:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        setup = DeskSetup(
            workers=self.plan.workers,
            share=self.plan.share,
            offline=offline,
            grows=self._grows,
            reserved=self.plan.films,
            most_losses=self.patience.losses,
            patience=self.patience.absence,
            late=self.patience.late,
        )
        here = NodeAffinitySchedulingStrategy(self._ray.get_runtime_context().get_node_id(), soft=True)
        make = self._ray.remote(SegmentDesk).options(
            num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here
        )
        return make.remote(setup)

    def _renew(self) -> None:
        while not self._is_ended.wait(self.patience.between):
            for worker in self._workers:
                worker.renew()
