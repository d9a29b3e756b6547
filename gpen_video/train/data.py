"""Portraits to aligned crops, in a deterministic order.

A portrait folder holds ``index.csv``, a row an image, with the columns ``file`` (absolute, or relative to the folder
``images`` beside the index), ``identity``, ``left_eye_x`` … ``right_mouth_y`` (`LANDMARK_NAMES`), and for the
detector's training the box ``x0, y0, x1, y1``; further columns are left alone. `train.prepare` makes one from any
folder of images.

Some people are held out: never trained on, so that results can be measured on them. Where ``held-out.txt`` stands
beside the index, that list is the whole split: a line is an identity, or a file as the index names it. Without the
list the rule decides, `is_held_out`.

Reading needs numpy and OpenCV alone: this module runs on machines that have little more than torch.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.errors import InputError
from gpen_video.geometry import TEMPLATES, apply, compose, invert, scale_of, scaling, similarity

Float64 = NDArray[np.float64]
Image = NDArray[np.uint8]

INDEX_NAME = "index.csv"
HELD_OUT_NAME = "held-out.txt"
LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
"""Columns of the index, each with ``_x`` and ``_y``."""
BOX_NAMES = ("x0", "y0", "x1", "y1")
"""Columns of the index that only the detector's training needs."""
HELD_OUT_OF = 20
"""One identity in this many is held out."""

_FINEST_SIDE = 512  # the shared portraits' own scale: eyes 126 pixels apart


def is_held_out(identity: str) -> bool:
    """True for the people whom the rule holds out, by the SHA-256 of the name."""
    return int(hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest(), 16) % HELD_OUT_OF == 0


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One image of one clear face."""

    path: Path
    identity: str
    landmarks_5xy: Float64
    """(5, 2) in pixels of the image."""
    box_xyxy: Float64 | None = None
    """(4,) in pixels of the image; `None` where the index has none."""
    held_out: bool = False
    """Never to be trained on."""


def read_index(folder: Path) -> list[Portrait]:
    """Read ``index.csv`` of a portrait folder, in its order, and the split.

    Raises:
        InputError: there is no index, a column is missing, or a number is none.
    """
    path = folder / INDEX_NAME
    held_out = read_held_out(folder)
    portraits: list[Portrait] = []
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            rows = csv.DictReader(lines)
            portraits.extend(_portrait(folder, row, held_out) for row in rows)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a portrait folder needs an index with landmarks") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise InputError(f"{path}: not a portrait index: it has no column {error}") from None
    except (TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a portrait index: in row {len(portraits) + 1}, {error}") from None
    return portraits


def read_held_out(folder: Path) -> frozenset[str] | None:
    """Identities and files that ``held-out.txt`` lists, `None` where a portrait folder has no such list.

    Raises:
        InputError: the list cannot be read.
    """
    path = folder / HELD_OUT_NAME
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return frozenset(line for line in lines if line)


def _portrait(folder: Path, row: dict[str, str], held_out: frozenset[str] | None) -> Portrait:
    file, identity = row["file"], row["identity"]
    landmarks = _numbers(row, [f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy"]).reshape(5, 2)
    box = _numbers(row, BOX_NAMES) if BOX_NAMES[0] in row else None
    listed = is_held_out(identity) if held_out is None else not held_out.isdisjoint((file, identity))
    return Portrait(folder / "images" / file, identity, landmarks, box, listed)


def _numbers(row: dict[str, str], columns: Sequence[str]) -> Float64:
    numbers = np.array([float(row[column]) for column in columns])
    if not np.isfinite(numbers).all():
        raise ValueError(f"one of {', '.join(columns)} is no finite number")
    return numbers


def read_bytes(path: Path) -> NDArray[np.uint8]:
    """An image file as it is.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def decode_image(encoded: NDArray[np.uint8], path: Path) -> Image:
    """Decode an image file, turned upright where it says how.

    Args:
        encoded: the whole file.
        path: for the message.

    Returns:
        (H, W, 3) B'G'R'.

    Raises:
        InputError: this is not an image, or a damaged one.
    """
    try:
        image = None if is_cut_off(encoded) else cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error:  # empty files, and pictures of more pixels than OpenCV's limit
        image = None
    if image is None:
        raise InputError(f"{path}: not a readable image, or damaged; remove it, or prepare the folder again")
    return np.asarray(image, np.uint8)


def is_cut_off(encoded: NDArray[np.uint8]) -> bool:
    """True for a JPEG without an end: OpenCV 4 fills up what is missing with grey and says nothing.

    Segments are skipped by their length up to the first scan (ITU-T T.81, B.1.1), for a thumbnail in one of them has an
    end of its own; in the scan itself an end marker cannot occur by chance.
    """
    content = encoded.tobytes()
    if not content.startswith(b"\xff\xd8\xff"):
        return False
    at = 2
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] != b"\xda":
        is_fill = content[at + 1 : at + 2] == b"\xff"
        at += 1 if is_fill else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content.find(b"\xff\xd9", at) < 0


class FaceSource(Protocol):
    """Aligned faces to train on."""

    size: int
    """Side of a crop in pixels."""

    def __len__(self) -> int:
        """How many faces there are."""

    def crop(self, index: int, rng: np.random.Generator | None = None) -> NDArray[np.float32]:
        """One face.

        Args:
            index: which one.
            rng: jitters the alignment (as a detector would) and mirrors half of the crops; `None` does neither.

        Returns:
            (size, size, 3) R'G'B' in 0..1.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Jitter:
    """How one crop strays from its alignment."""

    moved_from_aligned: Float64
    """(2, 3), in a crop of side 1."""
    mirrored: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Jitter":
        """A turn of 2 degrees, a scale of 3 % and a shift of 1.2 % of the side (standard deviations); half mirrored."""
        angle, scale = np.radians(rng.normal(0, 2)), np.exp(rng.normal(0, 0.03))
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.full(2, 0.5)
        shift = centre - turn @ centre + rng.normal(0, 0.012, 2)
        return cls(np.column_stack([turn, shift]), bool(rng.random() < 0.5))

    def in_pixels(self, pixels_from_unit: Float64) -> Float64:
        """(2, 3), the same movement in the pixels to which a crop of side 1 is mapped."""
        return compose(compose(pixels_from_unit, self.moved_from_aligned), invert(pixels_from_unit))


def align(
    image_bgr: Image,
    landmarks_5xy: Float64,
    template_5xy: Float64,
    size: int,
    *,
    margin: int = 0,
    jitter: Jitter | None = None,
) -> Image:
    """Cut a face out of an image, upright, without aliasing; beyond the image's border it is mirrored.

    Args:
        image_bgr: (H, W, 3).
        landmarks_5xy: (5, 2) in the image's pixels.
        template_5xy: (5, 2) where they go in a crop of side 1.
        size: side of the crop in pixels.
        margin: pixels around the crop, on every side.
        jitter: how to stray from the template; mirroring is left to the caller.

    Returns:
        (size + 2 * margin, size + 2 * margin, 3) uint8 B'G'R'.
    """
    side = size + 2 * margin
    # Drawn up to twice as fine and averaged: a cubic kernel alone would alias where the image is finer than the crop.
    canvas = round(side * max(1.0, min(2.0, _FINEST_SIDE / size)))
    fineness = canvas / side
    canvas_from_crop = scaling(fineness, fineness, (margin + 0.5) * fineness - 0.5, (margin + 0.5) * fineness - 0.5)
    canvas_from_unit = compose(canvas_from_crop, scaling(size, size))
    canvas_from_image = similarity(landmarks_5xy, apply(canvas_from_unit, template_5xy))
    if jitter is not None:
        canvas_from_image = compose(jitter.in_pixels(canvas_from_unit), canvas_from_image)
    drawn = draw(image_bgr, canvas_from_image, canvas)
    return np.asarray(cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def draw(image_bgr: Image, canvas_from_image: Float64, side: int) -> Image:
    """Draw an image on a square canvas; beyond the image's border it is mirrored.

    An image that is drawn at half its size or less is first averaged over whole blocks, against aliasing.

    Args:
        image_bgr: (H, W, 3).
        canvas_from_image: (2, 3), a similarity.
        side: of the canvas in pixels.

    Returns:
        (side, side, 3) uint8.
    """
    height, width = image_bgr.shape[:2]
    block = min(int(1 / max(scale_of(canvas_from_image), 1e-6)), height, width)
    if block > 1:
        whole = image_bgr[: height // block * block, : width // block * block]
        image_bgr = np.asarray(cv2.resize(whole, (width // block, height // block), interpolation=cv2.INTER_AREA))
        image_from_blocks = scaling(block, block, (block - 1) / 2, (block - 1) / 2)
        canvas_from_image = compose(canvas_from_image, image_from_blocks)
    flags, border = cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101
    return np.asarray(cv2.warpAffine(image_bgr, canvas_from_image, (side, side), flags=flags, borderMode=border))


def as_crop(bgr_hwc: Image, *, mirrored: bool) -> NDArray[np.float32]:
    """(S, S, 3) uint8 B'G'R' as R'G'B' in 0..1, mirrored or not."""
    rgb_hwc = bgr_hwc[:, ::-1, ::-1] if mirrored else bgr_hwc[:, :, ::-1]
    return np.ascontiguousarray(rgb_hwc, np.float32) / np.float32(255)


class Crops:
    """Aligned crops of portraits, a `FaceSource`; decoded when asked for, the image files are held in memory.

    For thousands of large photographs `train.pack` is the better source: they are cropped once.

    Args:
        portraits: what to crop.
        size: side of the crop in pixels.
        template: name of the alignment template.

    Raises:
        InputError: there is no portrait, or a file cannot be read.
    """

    def __init__(self, portraits: Sequence[Portrait], size: int, template: str = "gpen") -> None:
        if not portraits:
            raise InputError("no portraits to train on")
        self.portraits = portraits
        self.size = size
        self._template = TEMPLATES[template]
        self._files = [read_bytes(portrait.path) for portrait in portraits]

    def __len__(self) -> int:
        return len(self.portraits)

    def crop(self, index: int, rng: np.random.Generator | None = None) -> NDArray[np.float32]:
        """See `FaceSource.crop`.

        Raises:
            InputError: the file is not an image, or damaged.
        """
        portrait = self.portraits[index]
        jitter = None if rng is None else Jitter.draw(rng)
        image = decode_image(self._files[index], portrait.path)
        aligned = align(image, portrait.landmarks_5xy, self._template, self.size, jitter=jitter)
        return as_crop(aligned, mirrored=jitter is not None and jitter.mirrored)
