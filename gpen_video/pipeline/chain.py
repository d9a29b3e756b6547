"""Stages one behind the other: owned, timed, and where it is wanted in threads of their own."""

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TypeVar

from gpen_video.pipeline.prefetch import prefetch
from gpen_video.pipeline.stopwatch import Stopwatch

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Takes each stream as it is wired."""

    owned: ExitStack
    """Closes the streams, the last one first."""
    watch: Stopwatch
    """Times them."""
    ahead: int
    """Items that a thread may be ahead of what it feeds."""

    def own(self, stream: Generator[T]) -> Generator[T]:
        """Close a stream at the end."""
        return self.owned.enter_context(closing(stream))

    def stage(self, name: str, stream: Generator[T]) -> Generator[T]:
        """Time a stage, too."""
        return self.own(self.watch.timed(name, self.own(stream)))

    def thread(self, name: str, stream: Generator[T]) -> Generator[T]:
        """Let everything upstream run ahead in a thread."""
        ahead = self.own(prefetch(stream, self.ahead, name))
        return self.own(self.watch.timed(name, ahead, waits=True))
