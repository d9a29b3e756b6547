"""What a batch tells whoever watches it."""

from typing import Protocol

from gpen_video.jobs.job import Job
from gpen_video.jobs.outcome import Failure, Outcome
from gpen_video.jobs.worker import Moved


class BatchObserver(Protocol):
    """Is told how a batch goes; called from the thread that started it."""

    def queued(self, job: Job) -> None:
        """A film is to be restored, in its turn."""

    def began(self, job: Job, worker: int) -> None:
        """A worker takes a film, for the first time or again."""

    def moved(self, job: Job, moved: Moved) -> None:
        """A film has got further."""

    def warned(self, job: Job | None, line: str) -> None:
        """Something is not as it should be, with a film or with the batch, and it goes on."""

    def retrying(self, job: Job, failure: Failure, seconds: float) -> None:
        """An attempt failed; another is made after some seconds."""

    def ended(self, outcome: Outcome) -> None:
        """It is known what became of a film."""


class NoBatchObserver:
    """Looks away."""

    def queued(self, job: Job) -> None:
        """Ignore it."""

    def began(self, job: Job, worker: int) -> None:
        """Ignore it."""

    def moved(self, job: Job, moved: Moved) -> None:
        """Ignore it."""

    def warned(self, job: Job | None, line: str) -> None:
        """Ignore it."""

    def retrying(self, job: Job, failure: Failure, seconds: float) -> None:
        """Ignore it."""

    def ended(self, outcome: Outcome) -> None:
        """Ignore it."""
