"""How long each stage works itself, without what it waits for."""

import time
from collections.abc import Generator, Iterator
from threading import local
from typing import TypeVar

from gpen_video.streams import closing_upstream

T = TypeVar("T")


class Stopwatch:
    """Times stages from outside, so that no stage knows of it.

    Stages pull on one another inside one thread, so the time of the stage above is measured too and taken off.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._thread = local()

    def timed(self, name: str, stage: Iterator[T], *, waits: bool = False) -> Generator[T]:
        """Pass the items of a stage on and count its time under `name`; closes it.

        Args:
            name: of the stage.
            stage: taken over.
            waits: its time is waiting for another thread: taken off the caller's, but counted for nobody.
        """
        if not waits:
            self.seconds.setdefault(name, 0.0)  # now, not with the first item: in the order of wiring
        return self._timed(name, stage, waits)

    def _timed(self, name: str, stage: Iterator[T], waits: bool) -> Generator[T]:
        with closing_upstream(stage):
            while True:
                try:
                    item = self._next(name, stage, waits)
                except StopIteration:
                    return
                yield item

    def _next(self, name: str, stage: Iterator[T], waits: bool) -> T:
        outer_inside = getattr(self._thread, "inside", 0.0)
        self._thread.inside = 0.0
        started = time.perf_counter()
        try:
            return next(stage)
        finally:
            elapsed = time.perf_counter() - started
            if not waits:
                self.seconds[name] += elapsed - self._thread.inside
            self._thread.inside = outer_inside + elapsed

    def add(self, name: str, seconds: float) -> None:
        """Count time that a consumer, not a stage, spent."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
