"""Portraits to aligned crops, in a deterministic order.

The index of a portrait folder is ``index.csv`` with a row an image: file, identity and five landmarks. Identities are
split by hash, so that no run ever trains on a held-out face.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.errors import InputError
from gpen_video.faces.align import TEMPLATES
from gpen_video.geometry import similarity

LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
"""Columns of the index, each with ``_x`` and ``_y``."""
HELD_OUT_OF = 20
"""One identity in this many is held out."""


def is_held_out(identity: str) -> bool:
    """True for the people never trained on, by the SHA-256 of the name."""
    return int(hashlib.sha256(identity.encode()).hexdigest(), 16) % HELD_OUT_OF == 0


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One image of one clear face."""

    path: Path
    identity: str
    landmarks_5xy: NDArray[np.float64]
    """(5, 2) in pixels of the image."""

    @property
    def held_out(self) -> bool:
        """True for identities kept out of training."""
        return is_held_out(self.identity)


def read_index(folder: Path) -> list[Portrait]:
    """Read ``index.csv`` of a portrait folder, in its order.

    Raises:
        InputError: there is no index, or a column is missing.
    """
    path = folder / "index.csv"
    try:
        with path.open(newline="") as lines:
            return [_portrait(folder, row) for row in csv.DictReader(lines)]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a portrait folder needs an index with landmarks") from None
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: not a portrait index ({error})") from None


def _portrait(folder: Path, row: dict[str, str]) -> Portrait:
    points = [[float(row[f"{name}_x"]), float(row[f"{name}_y"])] for name in LANDMARK_NAMES]
    return Portrait(folder / "images" / row["file"], row["identity"], np.array(points))


class Crops:
    """Aligned crops of portraits, decoded when asked for; the JPEG files are held in memory.

    Args:
        portraits: what to crop.
        size: side of the crop in pixels.
        template: name of the alignment template.
    """

    _OVERSAMPLING_SIDE = 512  # the portraits' own scale: eyes 126 pixels apart

    def __init__(self, portraits: list[Portrait], size: int, template: str = "gpen") -> None:
        if not portraits:
            raise InputError("no portraits to train on")
        self.portraits = portraits
        self.size = size
        self._template = TEMPLATES[template]
        self._files = [np.fromfile(portrait.path, np.uint8) for portrait in portraits]

    def __len__(self) -> int:
        return len(self.portraits)

    def crop(self, index: int, rng: np.random.Generator | None = None) -> NDArray[np.float32]:
        """Crop one portrait.

        Args:
            index: which one.
            rng: jitters the alignment (as a detector would) and mirrors half of the crops; `None` does neither.

        Returns:
            (size, size, 3) R'G'B' in 0..1.
        """
        image = cv2.imdecode(self._files[index], cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f"{self.portraits[index].path}: not a readable image")
        side = max(self.size, min(self._OVERSAMPLING_SIDE, 2 * self.size))
        target = self._template * side
        if rng is not None:
            target = _jitter(target, side, rng)
        crop_from_image = similarity(self.portraits[index].landmarks_5xy, target)
        crop = cv2.warpAffine(
            image, crop_from_image, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        crop = cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_AREA)[:, :, ::-1]
        if rng is not None and rng.random() < 0.5:
            crop = crop[:, ::-1]
        return np.ascontiguousarray(crop, np.float32) / np.float32(255)


def _jitter(target: NDArray[np.float64], side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    angle, scale = np.radians(rng.normal(0, 2)), np.exp(rng.normal(0, 0.03))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, side / 2)
    moved: NDArray[np.float64] = (target - centre) @ turn.T + centre + rng.normal(0, 0.012 * side, 2)
    return moved


def order(count: int, seed: int, start: int = 0) -> Iterator[tuple[int, np.random.Generator]]:
    """Endless (index, generator) pairs from position `start`, each depending on (seed, position) alone."""
    position = start
    while True:
        epoch, offset = divmod(position, count)
        shuffled = np.random.default_rng((seed, epoch)).permutation(count)
        for place in range(offset, count):
            yield int(shuffled[place]), np.random.default_rng((seed, epoch, place))
            position += 1
