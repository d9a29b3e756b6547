"""Where weights lie: those that come with the program in its ``data`` folder, the others in a cache folder."""

import os
from pathlib import Path
from typing import Final

from gpen_video.config.folders import user_cache_folder
from gpen_video.errors import ChecksumError
from gpen_video.weights.checksum import read_sums, sha256_of, write_sum
from gpen_video.weights.registry import Weights

DATA_FOLDER: Final = Path(__file__).parent / "data"
SHIPPED_SUMS: Final = DATA_FOLDER / "SHA256SUMS"
"""Refresh after a training: ``cd gpen_video/weights/data && sha256sum *.safetensors > SHA256SUMS``."""


def cache_folder() -> Path:
    """``GPEN_VIDEO_CACHE`` where set, else ``weights`` in the user's cache folder; it need not exist.

    Raises:
        ConfigError: neither is known, because the user has no home directory.
    """
    chosen = os.environ.get("GPEN_VIDEO_CACHE")
    return Path(chosen) if chosen else user_cache_folder() / "weights"


def location(weights: Weights) -> Path:
    """The file of these weights, whether or not it is there."""
    return (DATA_FOLDER if weights.shipped else cache_folder()) / weights.file_name


def expected_sha256(weights: Weights) -> str | None:
    """What the file must hash to: by the registry, by the program's own list, or as recorded when first used.

    Raises:
        WeightsError: a list of checksums cannot be read.
        ChecksumError: it is damaged, or a file of the program is not in it.
    """
    if weights.shipped:
        if weights.shipped not in (sums := read_sums(SHIPPED_SUMS)):
            raise ChecksumError(f"{SHIPPED_SUMS}: {weights.shipped} is not listed; install the program again")
        return sums[weights.shipped]
    record = _record(weights)
    if weights.sha256 is None and record.exists():
        return read_sums(record).get(weights.file_name)
    return weights.sha256


def record_first_use(weights: Weights) -> str:
    """Note the hash of a file that nobody vouches for, so that it is the same one ever after; returns it.

    Raises:
        WeightsError: the file cannot be read, or the note not written.
    """
    digest = sha256_of(location(weights))
    write_sum(_record(weights), weights.file_name, digest)
    return digest


def _record(weights: Weights) -> Path:
    path = location(weights)
    return path.with_name(f"{path.name}.sha256")
