"""What a film's result depends on, besides the film, in one digest."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gpen_video.errors import InputError

if TYPE_CHECKING:
    from gpen_video.config import ResolvedSettings
    from gpen_video.jobs.job import Job

NOT_IN_THE_RESULT: Final = frozenset(
    {"media.prefetch", "detect.batch", "restore.device", "restore.batch", "restore.max_wait"}
)
"""Settings that change speed and memory, not pixels."""

_WEIGHTS: Final = ("restore.weights", "detect.weights", "blend.parsing", "guard.embedding")


def job_digest(job: "Job") -> str:
    """Of the settings that show in the result, of weights that are named by a file, and of the choice of faces.

    Raises:
        InputError: the cue sheet or a weights file cannot be read.
    """
    stated = {key: str(value) for key, value, _ in job.settings.items() if key not in NOT_IN_THE_RESULT}
    extras = job.extras
    faces = None if extras.faces is None else str(extras.faces)
    cues = None if extras.cues is None else _sha256(extras.cues)
    return _digest({"settings": stated, "files": weights_files(job), "faces": faces, "cues": cues})


def weights_files(job: "Job") -> dict[str, str]:
    """The SHA-256 of weights that are named by a file, not by a name of the registry.

    Raises:
        InputError: one cannot be read.
    """
    stated = {key: str(value) for key, value, _ in job.settings.items() if key in _WEIGHTS}
    return {key: _sha256(Path(value)) for key, value in stated.items() if Path(value).is_file()}


def same_settings(settings: "ResolvedSettings", recorded: Mapping[str, object]) -> bool:
    """Whether settings show the same in a result as those that a treatment record names.

    Args:
        settings: as they are wanted.
        recorded: dotted key -> value.
    """
    wanted = {key: str(value) for key, value, _ in settings.items()}
    had = {key: str(value) for key, value in recorded.items()}
    shown = (wanted.keys() | had.keys()) - NOT_IN_THE_RESULT
    return all(wanted.get(key) == had.get(key) for key in shown)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _sha256(path: Path) -> str:
    try:
        stat = path.stat()
        return _sha256_of(path, (stat.st_size, stat.st_mtime_ns))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _sha256_of(path: Path, _version: tuple[int, int]) -> str:
    """Weights are the same file for every film of a batch."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
