"""An observer that keeps what it is told, and batches of small films."""

from collections.abc import Callable
from pathlib import Path

from gpen_video.jobs.job import Batch, Job
from gpen_video.jobs.job_file import load_batch
from gpen_video.jobs.outcome import BatchResult, Failure, Outcome
from gpen_video.jobs.worker import Moved

JOBS = """
[settings]
restore.device = "cpu"
encode.preset = "ultrafast"
detect.long_side = 64

[[job]]
name = "all"
inputs = "in/**/*.mkv"
output = "out/{stem}.mkv"
report = "{output}.json"
"""


def written_batch(folder: Path, text: str = JOBS, *, overwrite: bool = False) -> Batch:
    """The batch of a folder, its file written anew."""
    (folder / "jobs.toml").write_text(text, encoding="utf-8")
    return load_batch(folder / "jobs.toml", overwrite=overwrite)


def by_name(result: BatchResult) -> dict[str, Outcome]:
    """The outcomes by the names of their films."""
    return {outcome.source.name: outcome for outcome in result.outcomes}


class Watching:
    """Keeps everything; may do something when a film moves or ends."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.retried: list[tuple[str, Failure]] = []
        self.outcomes: list[Outcome] = []
        self.when_moved: Callable[[Job, Moved, int], None] = lambda *_: None
        self.when_ended: Callable[[Outcome], None] = lambda *_: None
        self._worker: dict[Path, int] = {}

    def queued(self, job: Job) -> None:
        self.told.append(("queued", job.source.name))

    def began(self, job: Job, worker: int) -> None:
        self.told.append(("began", job.source.name))
        self._worker[job.target] = worker

    def moved(self, job: Job, moved: Moved) -> None:
        self.when_moved(job, moved, self._worker[job.target])

    def warned(self, job: Job | None, line: str) -> None:
        self.warnings.append(line)

    def retrying(self, job: Job, failure: Failure, seconds: float) -> None:
        self.retried.append((job.source.name, failure))

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.when_ended(outcome)
