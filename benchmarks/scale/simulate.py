"""A cluster that restores films, simulated event by event with seeded chance.

A film's tracking pass gives out segments one after the other; any free worker takes the oldest; a worker that is lost
takes its segment's work with it and is replaced after a while; the film is joined when its last segment is there.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Film:
    """What one film takes; seconds are those of one worker, or of one tracker."""

    frames: int
    track_seconds: float
    """A frame, in the tracking pass."""
    restore_seconds: float
    """A frame, in a segment."""
    join_seconds: float
    """A frame, once all segments are there."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How films are divided."""

    length: int
    """Frames of a segment."""
    at_cuts: float = 0.0
    """Share of borders that are cuts, across which nothing is needed."""
    lead: int = 72
    tail: int = 7
    start_seconds: float = 5.0
    """For a segment to begin: seek, decoder, encoder, first batch; and to end: close, rename, tell."""

    def segments(self, frames: int, chance: random.Random) -> Iterator[tuple[int, int]]:
        """For each segment, the frame behind which it may start, and the frames that it computes."""
        begins_at_cut = True
        for first in range(0, frames, self.length):
            end = min(frames, first + self.length)
            ends_at_cut = end == frames or chance.random() < self.at_cuts
            lead = 0 if begins_at_cut else min(self.lead, first)
            tail = 0 if ends_at_cut else min(self.tail, frames - end)
            yield end + tail, lead + end - first + tail
            begins_at_cut = ends_at_cut


@dataclass(frozen=True, slots=True)
class Cluster:
    """Who works, and what befalls them."""

    workers: int
    trackers: int
    """Tracking passes at one time, on processor cores beside the workers."""
    spread: float = 0.0
    """Standard deviation of the logarithm of a segment's time; its mean stays."""
    slow_share: float = 0.0
    """Of workers that are slower than others, as long as they live."""
    slow_factor: float = 1.0
    mean_life: float = math.inf
    """Seconds until a worker is lost, exponentially distributed."""
    replacement_seconds: float = 300.0
    """Until another one works in its place, with weights loaded."""
    detection_seconds: float = 30.0
    """Until the loss is noticed and the segment is free again."""
    speculate: bool = False
    """A worker with nothing to do starts a late segment a second time."""
    late: float = 1.5
    """Times the usual time, after which a segment is late."""
    seed: int = 0


@dataclass(slots=True)
class Outcome:
    """How it went; seconds are sums over workers but for `makespan`."""

    makespan: float = 0.0
    """Seconds until the last film was joined."""
    useful: float = 0.0
    """Spent on the frames that segments are for."""
    overhead: float = 0.0
    """On starting, and on frames that only warm up or look ahead."""
    lost: float = 0.0
    """On segments whose worker was lost."""
    doubled: float = 0.0
    """On the slower one of two."""
    losses: int = 0
    segments: int = 0
    records: int = 0
    """Journal lines that must be on disk: planned, begun and done for each segment, begun and done for each film."""
    film_seconds: list[float] = field(default_factory=list)
    """From a film's first tracked frame until it was joined."""

    @property
    def spent(self) -> float:
        """All that workers worked."""
        return self.useful + self.overhead + self.lost + self.doubled


@dataclass(slots=True, eq=False)
class _Task:
    film: int
    seconds: float
    """Expected, at usual speed."""
    useful: float
    done: bool = False
    copies: int = 0


@dataclass(slots=True, eq=False)
class _Worker:
    speed: float
    task: _Task | None = None
    began: float = 0.0
    turn: int = 0
    """Grows with all that ends a task, so that events of former ones can be told."""


class _Event(NamedTuple):
    time: float
    order: int
    happen: Callable[[], None]


class Simulation:
    """One run; see `simulate`."""

    def __init__(self, films: list[Film], cutting: Cutting, cluster: Cluster) -> None:
        self._films, self._cutting, self._cluster = films, cutting, cluster
        self._chance = random.Random(cluster.seed)
        self._now = 0.0
        self._events: list[_Event] = []
        self._count = 0
        self._queue: deque[_Task] = deque()
        self._waiting = deque(range(len(films)))
        self._began: dict[int, float] = {}
        self._open = [0] * len(films)
        self._tracked: set[int] = set()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Let everything happen."""
        for _ in range(self._cluster.workers):
            self._arrive()
        for _ in range(self._cluster.trackers):
            self._track_next()
        while len(self.outcome.film_seconds) < len(self._films):
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        self.outcome.makespan = self._now
        return self.outcome

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, _Event(self._now + seconds, self._count, happen))

    def _track_next(self) -> None:
        if not self._waiting:
            return
        number = self._waiting.popleft()
        film, cutting = self._films[number], self._cutting
        self._began[number] = self._now
        self.outcome.records += 1
        first = 0
        for ready, computed in cutting.segments(film.frames, self._chance):
            own = min(cutting.length, film.frames - first)
            first += own
            seconds = cutting.start_seconds + computed * film.restore_seconds
            task = _Task(number, seconds, own * film.restore_seconds)
            self._open[number] += 1
            self.outcome.segments += 1
            self.outcome.records += 3
            self._after(ready * film.track_seconds, partial(self._offer, task))

        def tracked() -> None:
            self._tracked.add(number)
            self._track_next()
            self._join(number)

        self._after(film.frames * film.track_seconds, tracked)

    def _offer(self, task: _Task) -> None:
        self._queue.append(task)
        self._assign()

    def _assign(self) -> None:
        while self._queue and self._idle:
            self._start(self._idle.pop(), self._queue.popleft())
        while self._cluster.speculate and self._idle and (task := self._latest()):
            self._start(self._idle.pop(), task)

    def _latest(self) -> _Task | None:
        """The most belated segment that one worker alone is at."""
        late = [
            w
            for w in self._workers
            if w.task and w.task.copies == 1 and self._lateness(w, w.task) >= self._cluster.late
        ]
        worst = max(late, key=lambda w: self._lateness(w, w.task) if w.task else 0.0, default=None)
        return worst.task if worst else None

    def _lateness(self, worker: _Worker, task: _Task) -> float:
        return (self._now - worker.began) / task.seconds

    def _start(self, worker: _Worker, task: _Task) -> None:
        spread = self._cluster.spread
        chance = math.exp(self._chance.gauss(-(spread**2) / 2, spread)) if spread else 1.0
        worker.task, worker.began, worker.turn = task, self._now, worker.turn + 1
        task.copies += 1
        turn = worker.turn
        self._after(task.seconds * chance * worker.speed, lambda: self._finish(worker, turn))
        if self._cluster.speculate:  # look again when it is late
            self._after(task.seconds * self._cluster.late, self._assign)

    def _finish(self, worker: _Worker, turn: int) -> None:
        task = worker.task
        if worker.turn != turn or task is None:
            return
        spent = self._now - worker.began
        share = task.useful / task.seconds
        self.outcome.useful += spent * share
        self.outcome.overhead += spent * (1 - share)
        task.done = True
        self._free(worker)
        for other in self._workers:
            if other.task is task:
                self.outcome.doubled += self._now - other.began
                self._free(other)
        self._open[task.film] -= 1
        self._join(task.film)
        self._assign()

    def _free(self, worker: _Worker) -> None:
        worker.task, worker.turn = None, worker.turn + 1
        self._idle.append(worker)

    def _join(self, number: int) -> None:
        if number in self._tracked and not self._open[number]:
            film = self._films[number]
            self._after(film.frames * film.join_seconds, lambda: self._joined(number))

    def _joined(self, number: int) -> None:
        self.outcome.records += 1
        self.outcome.film_seconds.append(self._now - self._began[number])

    def _arrive(self) -> None:
        cluster = self._cluster
        worker = _Worker(cluster.slow_factor if self._chance.random() < cluster.slow_share else 1.0)
        self._workers.append(worker)
        self._idle.append(worker)
        if math.isfinite(cluster.mean_life):
            self._after(self._chance.expovariate(1 / cluster.mean_life), lambda: self._lose(worker))
        self._assign()

    def _lose(self, worker: _Worker) -> None:
        self.outcome.losses += 1
        self._workers.remove(worker)
        self._after(self._cluster.replacement_seconds, self._arrive)
        task = worker.task
        if task is None:
            self._idle.remove(worker)
            return
        worker.task, worker.turn = None, worker.turn + 1
        self.outcome.lost += self._now - worker.began
        task.copies -= 1
        if not task.done and not task.copies:
            self._after(self._cluster.detection_seconds, lambda: self._again(task))

    def _again(self, task: _Task) -> None:
        self._queue.appendleft(task)
        self._assign()


def simulate(films: list[Film], cutting: Cutting, cluster: Cluster) -> Outcome:
    """Restore all films; the same arguments give the same outcome.

    Raises:
        ValueError: nobody is there to work.
    """
    if cluster.workers < 1 or cluster.trackers < 1:
        raise ValueError(f"{cluster.workers = } and {cluster.trackers = } must be at least 1")
    return Simulation(films, cutting, cluster).run()
