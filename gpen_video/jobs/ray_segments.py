"""Segments of films on a cluster: the worker that restores them, and the executor through which a film sends them."""

import os
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpen_video import __version__
from gpen_video.errors import ClusterError, GpenVideoError, OutputError
from gpen_video.jobs.ray_cluster import Actor, Reference, first_line, ray_here, unseen
from gpen_video.jobs.storage import Storage
from gpen_video.jobs.worker import use_threads

if TYPE_CHECKING:
    from gpen_video.jobs.deposit import Deposit
    from gpen_video.pipeline.segment_files import Finished
    from gpen_video.pipeline.segment_work import FilmOrder, SegmentWork

_TICK: Final = 0.5
"""Seconds between two looks at whether somebody asks to stop."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker is."""

    host: str
    process: int
    version: str
    """Of this program."""
    machine: str
    """Ray's number of it."""

    @classmethod
    def here(cls) -> "Place":
        """Of this process."""
        return cls(socket.gethostname(), os.getpid(), __version__, ray_here().get_runtime_context().get_node_id())


@dataclass(frozen=True, slots=True)
class Sent:
    """What all segments of a film have in common."""

    order: "FilmOrder"
    deposit: "Deposit | None" = None
    """Where the film is, and where segments go; `None` where every machine sees the film and its work folder."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A segment lies in the film's folder, or in its deposit, under names with the attempt in them."""

    finished: "Finished"
    attempt: str
    losses: tuple[str, ...] = ()
    """Machines whose worker was lost with it before."""
    late: tuple[str, ...] = ()
    """Machines whose worker took so long that another was given it too."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A segment cannot be restored, by nobody."""

    error: Exception
    cause: Exception | None = None
    """Decides whether the film is worth another attempt; pickling an error leaves it out."""

    @classmethod
    def by(cls, error: Exception) -> "Refused":
        """From an error as it was raised."""
        cause = error.__cause__
        if isinstance(cause, OSError):
            return cls(error, OSError(cause.errno, cause.strerror))
        return cls(error, RuntimeError(str(cause)) if isinstance(cause, RuntimeError) else None)


class SegmentWorker:
    """Restores one segment after another; an actor, which has a share of a machine to itself."""

    def __init__(self, threads: int, *, offline: bool) -> None:
        """Take its share.

        Args:
            threads: Of the processor.
            offline: Use only weights that are there.
        """
        prepare_process(threads)
        from gpen_video.pipeline import KeptModels

        self._kept = KeptModels(offline=offline)

    def place(self) -> Place:
        """Say where it is; it is ready then."""
        return Place.here()

    def restore(self, order: list[Reference], work: list[Reference], attempt: str) -> Restored | Refused:
        """Restore a segment.

        Args:
            order: Holds the reference of what is `Sent` once a film.
            work: Holds the reference of the `SegmentWork`.
            attempt: See `restore_segment`.
        """
        from gpen_video.pipeline.segment_work import restore_segment

        ray = ray_here()
        sent: Sent = ray.get(order[0])
        segment: SegmentWork = ray.get(work[0])
        what, deposit = sent.order, sent.deposit
        try:
            if deposit is None and not what.folder.is_dir():
                raise OutputError(unseen(what.folder))
            restore = restore_segment if deposit is None else deposit.restored
            return Restored(restore(what, segment, self._kept.models(what.settings), attempt), attempt)
        except (GpenVideoError, OSError, MemoryError) as error:
            self._kept.forget()  # memory may have run out
            return Refused.by(error)


def prepare_process(threads: int) -> None:
    """What every worker does before it loads a network."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command has it; read when torch is imported
    warnings.simplefilter("ignore")  # what libraries say to programmers
    use_threads(threads)


class RayExecutor:
    """Has the segments of one film restored by whichever workers are free (a `SegmentExecutor`)."""

    def __init__(
        self,
        desk: Actor,
        most: int,
        *,
        warn: Callable[[str], None],
        look_up: Callable[[], None] = lambda: None,
        storage: Storage | None = None,
    ) -> None:
        """Begin.

        Args:
            desk: A `SegmentDesk`'s handle.
            most: Segments of the film that may be under way, waiting ones included.
            warn: Is told of lost workers.
            look_up: Is called now and then while nothing happens, and may raise.
            storage: Through which film and segments go, where workers do not see them; `None` where they do.
        """
        self._ray, self._desk, self._most = ray_here(), desk, most
        self._warn, self._look_up, self._storage = warn, look_up, storage
        self._sent: list[Reference] = []
        self._deposit: Deposit | None = None
        self._under_way: dict[Reference, int] = {}
        """Numbers of segments, by their answers."""
        self._done: deque[Restored] = deque()

    def takes(self, order: "FilmOrder") -> bool:
        """Whether its segments can go elsewhere: image sequences lie in too many files to go through a storage."""
        film = order.reading.info.path
        if self._storage is None or film.is_file():
            return True
        self._warn(
            f"{film} is an image sequence, which is not put into the storage: the machine that follows it restores it"
        )
        return False

    def submit(self, order: "FilmOrder", work: "SegmentWork") -> None:
        """Send a segment; waits while too many are under way."""
        while len(self._under_way) >= self._most:
            self._gather(_TICK)
        if not self._sent:
            self._sent = [self._ray.put(Sent(order, self._deposited(order)))]
        # In lists, so that the desk passes on where things are and not the things.
        answer = self._desk.restored.remote(self._sent, [self._ray.put(work)], len(work.marks))
        self._under_way[answer] = work.number

    def finished(self, order: "FilmOrder", *, wait: bool = False) -> "Iterator[Finished]":
        """Those that are done, each under its own name; see `SegmentExecutor`.

        Raises:
            ClusterError: There are no workers any more.
            GpenVideoError: What a worker met.
        """
        from gpen_video.pipeline.segment_work import adopt_segment

        self._gather(0)
        while self._done or (wait and self._under_way):
            while self._done:
                done = self._done.popleft()
                if self._deposit is not None:
                    self._deposit.fetch(done.finished, done.attempt, order.folder)
                adopt_segment(order, done.finished, done.attempt)
                yield done.finished
            if wait:
                self._gather(_TICK)

    def close(self, *, is_whole: bool) -> None:
        """Let go of what is still under way, and take out of the storage what nobody needs any more.

        Args:
            is_whole: Whether the film is finished, so that another run will not need it there.
        """
        for sent in self._under_way:
            self._ray.cancel(sent)
        self._under_way.clear()
        if self._deposit is not None:
            try:
                self._deposit.clear(with_film=is_whole)
            except ClusterError as error:
                self._warn(f"something of the film is left in the storage: {error}")

    def _deposited(self, order: "FilmOrder") -> "Deposit | None":
        if self._storage is None:
            return None
        from gpen_video.jobs.deposit import Deposit

        self._deposit = Deposit.of(self._storage, order)
        self._deposit.bring_film(order.reading.info.path)
        return self._deposit

    def _gather(self, seconds: float) -> None:
        """Take what has come, or comes in some seconds."""
        self._look_up()
        if not self._under_way:
            return
        self._ray.wait(list(self._under_way), timeout=seconds)
        come, _ = self._ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=0)
        for answer in come:
            self._take(answer, self._under_way.pop(answer))

    def _take(self, answer: Reference, number: int) -> None:
        errors = self._ray.exceptions
        try:
            told: Restored | Refused = self._ray.get(answer)
        except errors.RayActorError as error:
            raise ClusterError("who gives out the segments is lost for good; run the same command again") from error
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RayError):
                raise ClusterError(f"a worker of the cluster failed: {first_line(str(error.cause))}") from error
            raise error.cause from error  # a fault of our own
        for host in getattr(told, "losses", ()):
            self._warn(f"the worker that restored segment {number} was lost ({host}); another did it again")
        for host in getattr(told, "late", ()):
            self._warn(f"segment {number} took very long ({host}); another worker was given it too")
        if isinstance(told, Refused):
            raise told.error from told.cause
        self._done.append(told)
