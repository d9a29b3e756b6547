"""A worker of a cluster that follows films: it decodes, tracks, keeps the journal, joins; segments it leaves to others.

A machine that is cut off from the cluster must not go on with a film that another one takes over: two would write one
journal. So whoever works on a film holds a lease, which the machine of the batch renews; where it is not renewed, the
worker ends itself, and the film is taken over only when the lease has run out for certain (see `ray_crew`).
"""

import os
import queue
import socket
import threading
import time
from dataclasses import dataclass
from typing import Final

from gpen_video import __version__
from gpen_video.errors import ClusterError, InputError
from gpen_video.jobs.ray_cluster import Actor, unseen
from gpen_video.jobs.ray_segments import Place, RayExecutor, prepare_process
from gpen_video.jobs.retry import failure_of
from gpen_video.jobs.storage import Storage
from gpen_video.jobs.worker import (
    Asked,
    Check,
    Failed,
    Finished,
    Told,
    Warned,
    WorkerSetup,
    checked,
    restored,
    use_threads,
)

_LISTENING: Final = 1.0
"""Seconds that a question for news waits for some."""


@dataclass(frozen=True, slots=True)
class FilmSetup:
    """What a worker is started with."""

    worker: WorkerSetup
    most: int
    """Segments of a film that may be under way."""
    lease: float
    """Seconds."""
    storage: Storage | None = None
    """Through which films and segments go to workers for segments."""
    version: str = __version__
    """Of the program that started it."""


class FilmWorker:
    """Follows one film after another; an actor with several threads."""

    def __init__(self, setup: FilmSetup, desk: Actor) -> None:
        """Take its share.

        Args:
            setup: How.
            desk: A `SegmentDesk`.
        """
        prepare_process(setup.worker.threads)
        from gpen_video.pipeline import KeptModels

        self._setup, self._desk = setup, desk
        self._kept = KeptModels(offline=setup.worker.offline)
        self._news: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._is_stopped = threading.Event()
        self._is_at_work = False
        self._renewed = time.monotonic()
        threading.Thread(target=self._end_without_lease, name="lease", daemon=True).start()

    def begin(self, asked: Asked) -> None:
        """Do what is asked; `news` tells how it goes, the answer last."""
        self.renew()
        self._is_at_work = True
        try:
            use_threads(self._setup.worker.threads)  # of this thread
            self._news.put(self._answer(asked))
        except KeyboardInterrupt:
            return  # stopped: nobody listens
        finally:
            self._is_at_work = False

    def news(self) -> list[Told]:
        """What there is to tell; waits a little for it."""
        told: list[Told] = []
        try:
            told.append(self._news.get(timeout=_LISTENING))
            while True:
                told.append(self._news.get_nowait())
        except queue.Empty:
            return told

    def renew(self) -> None:
        """Go on: somebody is there."""
        self._renewed = time.monotonic()

    def stop(self) -> None:
        """Put the film away at the next occasion."""
        self._is_stopped.set()

    def place(self) -> Place:
        """Where this is."""
        return Place.here()

    def send(self, told: Told) -> None:
        """Take a message of the film that is at work (as a `Channel`)."""
        self._look_up()
        self._news.put(told)

    def _answer(self, asked: Asked) -> Told:
        if isinstance(asked, Check):
            if self._setup.version != __version__:
                host = socket.gethostname()
                return Failed(
                    failure_of(ClusterError(f"{host} has gpen-video {__version__}, and not {self._setup.version}"))
                )
            return checked(asked, self._kept)
        assert asked is not None
        folder = asked.source.parent
        if not folder.is_dir():
            return Failed(failure_of(InputError(unseen(folder))))
        setup = self._setup
        executor = RayExecutor(self._desk, setup.most, warn=self._warn, look_up=self._look_up, storage=setup.storage)
        told: Told | None = None
        try:
            told = restored(asked, self._kept, setup.worker, self, executor)
            return told
        finally:
            executor.close(is_whole=isinstance(told, Finished))

    def _warn(self, line: str) -> None:
        self.send(Warned(line))

    def _look_up(self) -> None:
        if self._is_stopped.is_set():
            raise KeyboardInterrupt

    def _end_without_lease(self) -> None:
        lease = self._setup.lease
        while True:
            time.sleep(min(1.0, lease / 4))
            if self._is_at_work and time.monotonic() - self._renewed > lease:
                os._exit(1)  # at once, whatever the film is doing: its journal holds what counts
