"""From a name or a path to a file of weights that is there and is the right one."""

from dataclasses import dataclass
from pathlib import Path

from gpen_video.errors import ChecksumError, ConfigError, DownloadError, WeightsError
from gpen_video.weights.cache import expected_sha256, location, record_first_use
from gpen_video.weights.checksum import sha256_of
from gpen_video.weights.download import Progress, download
from gpen_video.weights.registry import REGISTRY, Task, Weights, by_name


@dataclass(frozen=True, slots=True)
class Located:
    """A file of weights that was checked as far as anything is known about it."""

    name: str
    """The registry's, else the file's."""
    path: Path
    sha256: str
    weights: Weights | None
    """The registry's entry; `None` for a file of the user's own."""


def locate(name_or_path: str, *, offline: bool = False, progress: Progress | None = None) -> Located:
    """Find weights by name, fetching them where needed, or by path.

    A name of the registry comes first: write ``./name`` for a file that is called the same.

    Raises:
        UnknownWeightsError: neither a name nor a file.
        DownloadError: they are not here and cannot, or with `offline` may not, be fetched.
        ChecksumError: the file is not the one it should be.
        WeightsError: the file cannot be read.
    """
    if name_or_path in REGISTRY or not Path(name_or_path).is_file():
        return fetch(by_name(name_or_path), offline=offline, progress=progress)
    path = Path(name_or_path)
    return Located(path.name, path, sha256_of(path), None)


def name_here(task: Task) -> str | None:
    """The first of the registry's weights for a task whose file is here already; nothing is fetched."""
    try:
        return next((w.name for w in REGISTRY.values() if w.task == task and location(w).is_file()), None)
    except ConfigError:  # no home directory, so that there is no cache
        return None


def fetch(weights: Weights, *, offline: bool = False, progress: Progress | None = None) -> Located:
    """The verified file of an entry, fetched where it is not here yet.

    Raises:
        DownloadError, ChecksumError, WeightsError: as `locate`.
    """
    path = location(weights)
    if not path.exists():
        _obtain(weights, path, offline, progress)
    return verify(weights)


def verify(weights: Weights) -> Located:
    """Check a file that is here against its hash; the first use of a file without one records it.

    Raises:
        ChecksumError: it is another file.
        WeightsError: it cannot be read.
    """
    path = location(weights)
    expected = expected_sha256(weights)
    if expected is None:
        digest = record_first_use(weights)
    elif (digest := sha256_of(path)) != expected:
        raise ChecksumError(f"{path}: sha256 is {digest}, not {expected} as it should be; {_advice(weights, path)}")
    return Located(weights.name, path, digest, weights)


def _advice(weights: Weights, path: Path) -> str:
    if weights.shipped:
        return "install the program again"
    if weights.sha256:
        return "delete it, and it will be fetched again"
    return f"that is its hash at first use, kept in {path.name}.sha256; delete both to trust it anew"


def _obtain(weights: Weights, path: Path, offline: bool, progress: Progress | None) -> None:
    if weights.url is None:
        raise WeightsError(f"{path}: missing, though it comes with the program; install the program again")
    if offline:
        raise DownloadError(
            f"{weights.name}: not here, and fetching is switched off; put the file of {weights.url} by hand at {path}"
        )
    download(weights.url, path, size=weights.bytes, sha256=expected_sha256(weights), progress=progress)
