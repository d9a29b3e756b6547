"""Any folder of images to a portrait folder: finds the one clear face in each, and accounts for what is left out.

What is written is the format of `train.data`: ``index.csv``, in which images are named by their absolute paths (nothing
is copied, and the index may be moved, the images may not), and ``held-out.txt``.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from gpen_video.errors import InputError, OutputError, UsageError
from gpen_video.faces import Detector, detection_in_frame
from gpen_video.geometry import TEMPLATES, apply, compose, full_from_resized, invert, scaling
from gpen_video.train.data import (
    BOX_NAMES,
    HELD_OUT_NAME,
    INDEX_NAME,
    LANDMARK_NAMES,
    Float64,
    Image,
    align,
    decode_image,
    draw,
    is_held_out,
    read_bytes,
    read_held_out,
    read_index,
)
from gpen_video.types import Detection
from gpen_video.whole_file import whole_file

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
LEAST_PORTRAITS: Final = 2
"""One to train on and one held out; to learn something takes hundreds."""
LEAST_SCORE: Final = 0.8
"""A clear face; of 827 shared portraits the shipped detector gives all more than 0.94."""
RIVAL_SHARE: Final = 1 / 3
"""Another clear face of at least this part of the largest one's size makes it several faces."""
LEAST_EYE_DISTANCE: Final = 40.0
"""Pixels; a crop of 256 pixels has the eyes 54 apart, so that a smaller face would be enlarged by more than a third."""
LEAST_SHARPNESS: Final = 5.0
"""Of `sharpness`; the softest of 311 shared portraits has 6.5, the median is 20."""

_SHARPNESS_SIZE = 256
_LONG_SIDES = (960, 480, 240)
"""The whole image as the detector sees it: the next one where it finds no face, or one larger than it is good at."""
_LARGEST_SEEN = 320
_VIEW_SIDE = 320
_VIEWS = tuple((height, mirrored) for height in (140, 180, 220) for mirrored in (False, True))
"""A found face is looked at again at these heights: there the shipped detector's landmarks are best."""
_MIRRORED = [1, 0, 2, 4, 3]


class Reason(StrEnum):
    """Why an image is left out."""

    UNREADABLE = "not a readable image, or damaged"
    NO_FACE = "no clear face"
    SEVERAL = "several faces"
    SMALL = f"face too small (eyes less than {LEAST_EYE_DISTANCE:.0f} pixels apart)"
    SOFT = f"face too soft (sharpness below {LEAST_SHARPNESS:.0f})"


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that is left out."""

    file: Path
    reason: Reason


@dataclass(frozen=True, slots=True)
class Progress:
    """One more image has been looked at."""

    done: int
    total: int
    skipped: Skipped | None
    """What was wrong with this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of a folder's images."""

    folder: Path
    """Where index and list are."""
    portraits: int
    identities: int
    held_out: int
    """Portraits never to be trained on."""
    skipped: tuple[Skipped, ...]

    @property
    def counts(self) -> dict[Reason, int]:
        """How many images were left out, by reason; reasons that did not occur are missing."""
        return dict(Counter(skip.reason for skip in self.skipped))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of the index."""

    file: str
    identity: str
    values: dict[str, str]

    @property
    def row(self) -> dict[str, str]:
        return {"file": self.file, "identity": self.identity, **self.values}


class _UnusableError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def prepare(
    folder: Path,
    out: Path,
    *,
    detector: Detector,
    overwrite: bool = False,
    on_image: Callable[[Progress], None] | None = None,
) -> Account:
    """Find the faces in a folder of images and write an index of them.

    Subfolders are searched too. A person is whoever an image's subfolder is named after; images that lie in `folder`
    itself are of one person each, named after the file. A folder that has an index already is read as it is: its rows
    are taken over, but for images that are missing or damaged, and `detector` is not used.

    One person in twenty is held out (`train.data.is_held_out`), but at least one; where all images are of one person,
    the rule goes by file. A ``held-out.txt`` that stands in `out`, else in `folder`, is kept as it is.

    Args:
        folder: of images; hidden files are left alone.
        out: gets ``index.csv`` and ``held-out.txt``; made where it is missing.
        detector: finds the faces, `LEAST_SCORE` and more sure.
        overwrite: whether an index in `out` may be replaced.
        on_image: called after every image.

    Raises:
        InputError: the folder is missing, or has too few images or faces that can be used.
        OutputError: `out` has an index already, or cannot be written to.
        UsageError: `folder` has an index, and `out` is the same folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a folder of images")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder, which is made where it is missing")
    has_index = (folder / INDEX_NAME).exists()
    if has_index and out.exists() and out.samefile(folder):
        raise UsageError(f"{folder} has an {INDEX_NAME} already; train on it as it is, or name another folder to write")
    if (out / INDEX_NAME).exists() and not overwrite:
        raise OutputError(f"{out / INDEX_NAME} exists already; choose another folder, or replace it with --overwrite")
    skipped: list[Skipped] = []

    def report(progress: Progress) -> None:
        if progress.skipped is not None:
            skipped.append(progress.skipped)
        if on_image is not None:
            on_image(progress)

    with _quiet_opencv():
        entries = _checked(folder, report) if has_index else _found(folder, detector, report)
    if len(entries) < LEAST_PORTRAITS:
        raise InputError(_too_few(folder, len(entries), skipped))
    held_out = _split(entries, _listed(folder, out))
    _write(out, entries, held_out, overwrite=overwrite)
    return Account(
        folder=out,
        portraits=len(entries),
        identities=len({entry.identity for entry in entries}),
        held_out=sum(_is_listed(entry, held_out) for entry in entries),
        skipped=tuple(skipped),
    )


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Damaged images are in the account; OpenCV would say so once more, in its own words."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _too_few(folder: Path, count: int, skipped: Sequence[Skipped]) -> str:
    have = f"{folder}: only one face that can be used" if count else f"{folder}: no face that can be used"
    reasons = Counter(skip.reason.value for skip in skipped).most_common()
    why = f" ({'; '.join(f'{number} x {reason}' for reason, number in reasons)})" if reasons else ""
    return f"{have}{why}; a training needs {LEAST_PORTRAITS} at the very least, and hundreds to learn something"


def _checked(folder: Path, report: Callable[[Progress], None]) -> list[_Entry]:
    """The rows of a folder's own index whose images can be read."""
    portraits = read_index(folder)
    with (folder / INDEX_NAME).open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
        reader = csv.DictReader(lines)
        rows, names = list(reader), reader.fieldnames or ()
    entries = []
    for number, (portrait, row) in enumerate(zip(portraits, rows, strict=True), start=1):
        path, skip = portrait.path.absolute(), None
        try:
            decode_image(read_bytes(path), path)
            values = {name: row[name] for name in names if name not in ("file", "identity")}
            entries.append(_Entry(str(path), portrait.identity, values))
        except InputError:
            skip = Skipped(path, Reason.UNREADABLE)
        report(Progress(number, len(portraits), skip))
    return entries


def _found(folder: Path, detector: Detector, report: Callable[[Progress], None]) -> list[_Entry]:
    """The usable faces in a folder of images, in the order of their paths."""
    images = _images(folder)
    if not images:
        raise InputError(f"{folder}: holds no images ({', '.join(sorted(name[1:] for name in SUFFIXES))})")
    if len(images) < LEAST_PORTRAITS:
        raise InputError(
            f"{folder}: holds one image; a training needs {LEAST_PORTRAITS} at the very least, and hundreds to learn "
            "something"
        )
    entries = []
    for number, relative in enumerate(images, start=1):
        path, skip = (folder / relative).absolute(), None
        try:
            entries.append(_Entry(str(path), _identity(relative), _examine(path, detector)))
        except _UnusableError as error:
            skip = Skipped(path, error.reason)
        report(Progress(number, len(images), skip))
    return entries


def _images(folder: Path) -> list[Path]:
    """Relative paths, sorted."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    seen = (path for path in files if not any(part.startswith(".") for part in path.parts))
    return sorted((path for path in seen if (folder / path).is_file()), key=lambda path: path.as_posix())


def _identity(relative: Path) -> str:
    name = relative.parent.name or relative.stem
    return "".join(char if char.isprintable() else "_" for char in name)  # one line in the list


def _examine(path: Path, detector: Detector) -> dict[str, str]:
    """Columns of the index for the face in one image."""
    try:
        image = decode_image(read_bytes(path), path)
    except InputError:
        raise _UnusableError(Reason.UNREADABLE) from None
    face = _only_face(image, detector)
    left_eye, right_eye = face.landmarks_5xy[:2].astype(np.float64)
    eye_distance = float(np.hypot(*(right_eye - left_eye)))
    if eye_distance < LEAST_EYE_DISTANCE:
        raise _UnusableError(Reason.SMALL)
    detail = sharpness(image, face.landmarks_5xy.astype(np.float64))
    if detail < LEAST_SHARPNESS:
        raise _UnusableError(Reason.SOFT)
    names = [*BOX_NAMES, *(f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy")]
    numbers = [*face.box_xyxy.tolist(), *face.landmarks_5xy.ravel().tolist()]
    return {
        "width": str(image.shape[1]),
        "height": str(image.shape[0]),
        "score": f"{face.score:.3f}",
        **{name: f"{number:.2f}" for name, number in zip(names, numbers, strict=True)},
        "eye_distance": f"{eye_distance:.1f}",
        "sharpness": f"{detail:.2f}",
    }


def _only_face(image: Image, detector: Detector) -> Detection:
    """The one clear face, with steadied landmarks."""
    faces = sorted(_candidates(image, detector), key=_height, reverse=True)
    seen = [(face, _landmarks_seen(image, face, detector)) for face in faces if _rivals(face, faces[0])]
    # What looks like a face in the whole image alone, a print on a shirt for one, is none.
    clear = [(face, landmarks) for face, landmarks in seen if 2 * len(landmarks) >= len(_VIEWS)]
    if not clear:
        raise _UnusableError(Reason.NO_FACE)
    if len(clear) > 1:
        raise _UnusableError(Reason.SEVERAL)
    face, landmarks = clear[0]
    return Detection(face.box_xyxy, np.mean(landmarks, axis=0).astype(np.float32), face.score)


def _candidates(image: Image, detector: Detector) -> list[Detection]:
    """Faces at the finest scale at which none is too large for the detector."""
    found: list[Detection] = []
    full = max(image.shape[:2])
    for long_side in sorted({min(side, full) for side in _LONG_SIDES}, reverse=True):
        faces = [face for face in _detect(image, detector, long_side) if face.score >= LEAST_SCORE]
        found = faces or found
        if faces and max(map(_height, faces)) * long_side <= _LARGEST_SEEN * full:
            break
    return found


def _rivals(face: Detection, largest: Detection) -> bool:
    return _height(face) >= RIVAL_SHARE * _height(largest)


def _detect(image: Image, detector: Detector, long_side: int) -> list[Detection]:
    """Faces of an image that is scaled down to a long side, in the pixels of the image."""
    height, width = image.shape[:2]
    scale = min(1.0, long_side / max(width, height))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = image if scale == 1 else cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    image_from_resized = full_from_resized((width, height), size_wh)
    (faces,) = detector.detect(np.ascontiguousarray(resized[None, :, :, ::-1]))
    return [detection_in_frame(face, image_from_resized) for face in faces]


def _height(face: Detection) -> float:
    """The longer side of its box."""
    return float((face.box_xyxy[2:] - face.box_xyxy[:2]).max())


def _landmarks_seen(image: Image, face: Detection, detector: Detector) -> list[Float64]:
    """Landmarks of a face in those views of it in which it is found again, in the pixels of the image.

    Their mean is nearer to the truth than those of the whole image: on 104 shared portraits the median displacement of
    the crop against the index is 5.9 pixels of 256, from 7.9.
    """
    views = [_view(face, height, mirrored=mirrored) for height, mirrored in _VIEWS]
    pictures = np.stack([draw(image, view_from_image, _VIEW_SIDE)[:, :, ::-1] for view_from_image in views])
    seen = []
    for (_, mirrored), view_from_image, faces in zip(_VIEWS, views, detector.detect(pictures), strict=True):
        points = _central(faces)
        if points is not None:
            placed = apply(invert(view_from_image), points)
            seen.append(placed[_MIRRORED] if mirrored else placed)
    return seen


def _view(face: Detection, height: float, *, mirrored: bool) -> Float64:
    """(2, 3) `view_from_image` that puts the face into the middle of a view, this many pixels high."""
    scale = height / _height(face)
    centre = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2
    to_origin = scaling(1, 1, -float(centre[0]), -float(centre[1]))
    return compose(scaling(-scale if mirrored else scale, scale, _VIEW_SIDE / 2, _VIEW_SIDE / 2), to_origin)


def _central(faces: Sequence[Detection]) -> Float64 | None:
    """Landmarks of the surest clear face whose box has the view's centre in its middle half."""
    for face in faces:
        if face.score < LEAST_SCORE:
            break
        middle = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2
        if float(np.abs(middle - _VIEW_SIDE / 2).max()) <= _height(face) / 4:
            return face.landmarks_5xy.astype(np.float64)
    return None


def sharpness(image_bgr: Image, landmarks_5xy: Float64) -> float:
    """Standard deviation of the Laplacian over the inner face, in 8-bit luma of an aligned crop of 256 pixels.

    The focus measure of J. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000. It falls
    with contrast as well as with sharpness.
    """
    crop = align(image_bgr, landmarks_5xy, TEMPLATES["gpen"], _SHARPNESS_SIZE)
    luma = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return float(cv2.Laplacian(luma, cv2.CV_32F)[64:208, 56:200].std())


def _listed(folder: Path, out: Path) -> frozenset[str]:
    """The split that stands already; files that the folder's own index names are listed as the new one names them."""
    listed = read_held_out(out)
    if listed is not None:
        return listed
    lines = read_held_out(folder) or frozenset()
    return lines | {str(path.absolute()) for path in (folder / "images" / line for line in lines) if path.is_file()}


def _is_listed(entry: _Entry, held_out: frozenset[str]) -> bool:
    return entry.identity in held_out or entry.file in held_out


def _split(entries: Sequence[_Entry], listed: frozenset[str]) -> frozenset[str]:
    """Lines of the list: identities, or files where all images are of one person."""
    present = sum(_is_listed(entry, listed) for entry in entries)
    if present == len(entries):
        raise InputError(f"{HELD_OUT_NAME} lists everybody: nobody is left to train on; shorten the list")
    if present:
        return listed
    identities = {entry.identity: entry.identity for entry in entries}
    # By name, for a path differs from machine to machine.
    units = identities if len(identities) > 1 else {entry.file: Path(entry.file).name for entry in entries}
    chosen = {line for line, name in units.items() if is_held_out(name)}
    if not 0 < len(chosen) < len(units):
        chosen = {min(units, key=lambda line: hashlib.sha256(units[line].encode(errors="surrogateescape")).digest())}
    return listed | chosen


def _write(out: Path, entries: Sequence[_Entry], held_out: frozenset[str], *, overwrite: bool) -> None:
    """The list first: an index without it would be split by the rule alone."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: this folder cannot be made: {error.strerror}") from error
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(entries[0].row))
    writer.writeheader()
    writer.writerows(entry.row for entry in entries)
    with whole_file(out / HELD_OUT_NAME, overwrite=True) as file:
        file.write("".join(f"{line}\n" for line in sorted(held_out)).encode(errors="surrogateescape"))
    with whole_file(out / INDEX_NAME, overwrite=overwrite) as file:
        file.write(table.getvalue().encode(errors="surrogateescape"))
