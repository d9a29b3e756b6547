"""Whoever restores the films of a batch: processes of this machine, or a cluster."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from gpen_video.jobs.hurry import Hurry
from gpen_video.jobs.worker import Asked, Told


class CrewWorker(Protocol):
    """Restores one film at a time, and says how it goes."""

    @property
    def number(self) -> int:
        """From 0."""

    @property
    def device(self) -> str | None:
        """That it computes on; `None` leaves it to each film's settings."""

    @property
    def is_dead(self) -> bool:
        """Whether it takes no film until it is started again."""

    def ask(self, what: Asked) -> None:
        """Send a task; where the worker has died, that is heard as its answer."""

    def hear(self) -> Told:
        """What it has to say; a dead worker says that it failed, and why."""

    def rest(self) -> Iterator[Told]:
        """What it said before it ended, and nobody has heard."""

    def restart(self) -> None:
        """Have a fresh one in its place."""

    def close(self) -> None:
        """Let go of what is left of one that has ended."""


W = TypeVar("W", bound=CrewWorker)


class Crew(Protocol[W]):
    """Workers that are started, heard and ended together."""

    def start(self, count: int, *, offline: bool, command_line: tuple[str, ...]) -> Sequence[W]:
        """Start so many.

        Args:
            count: Films at a time.
            offline: Use only weights that are there.
            command_line: For the treatment records.
        """

    def heard_from(self, workers: Iterable[W], seconds: float) -> list[W]:
        """The workers that have something to say, or died; after some seconds, none."""

    def end(self, workers: Iterable[W], at_work: Collection[W], hurry: Hurry) -> None:
        """End those at work cleanly, or at once where somebody is in a hurry or one does not end; then the others."""
