"""Pictures to train a face detector on, put together from portraits whose boxes and landmarks are known.

A composite is a background without a labelled face (clutter, blurred or noisy texture, a gradient, the area around
a face) on which turned and scaled portraits are pasted, followed by what film, video and compression do to a picture.
Every composite is a function of its random generator alone, so that training can stop and go on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.errors import InputError
from gpen_video.train.data import BOX_NAMES, INDEX_NAME, Portrait, decode_image, read_bytes, read_index
from gpen_video.train.degrade.chain import blur, downsample, enlarged, gaussian_noise, jpeg
from gpen_video.train.degrade.film import film_grain
from gpen_video.train.degrade.images import Image as RgbImage
from gpen_video.train.degrade.images import scale_of
from gpen_video.train.degrade.marks import dust, scratches
from gpen_video.train.degrade.spectral import grey
from gpen_video.train.degrade.tone import tone

Image = NDArray[np.uint8]
Points = NDArray[np.float32]

_MIRRORED = [1, 0, 2, 4, 3]
_PYRAMID_LEVELS = 3
_LARGEST_SURE_TURN = 40.0
_SMALLEST_SURE_FACE = 15.0
_SEPIA = np.array([1.08, 0.95, 0.78], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class PortraitPyramid:
    """A photograph with one face, kept compressed; only its small versions are kept as samples."""

    jpeg: bytes
    smaller: tuple[Image, ...]
    """Half, quarter … of the size, BGR."""
    box_xyxy: Points
    """(4,) in pixels of the full picture."""
    landmarks_5xy: Points
    """(5, 2) in pixels of the full picture."""

    @property
    def yaw(self) -> float:
        """How far the head is turned aside: the nose's offset from the middle of the eyes, in eye distances."""
        left, right, nose = self.landmarks_5xy[:3].astype(np.float64)
        across = right - left
        return abs(float((nose - (left + right) / 2) @ across)) / max(float(across @ across), 1e-6)

    def level(self, shrink: float) -> tuple[Image, float]:
        """The smallest version that is not enlarged when drawn at `shrink` times full size, and its scale."""
        wanted = math.floor(-math.log2(shrink)) if shrink < 1 else 0
        index = min(wanted, len(self.smaller))
        if index == 0:
            return _decode(self.jpeg), 1.0
        return self.smaller[index - 1], 0.5**index


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """A training picture and the faces in it; parts of further ones may be in the clutter."""

    clean_bgr_hwc: Image
    """(S, S, 3) before degradation."""
    bgr_hwc: Image
    """(S, S, 3) degraded."""
    boxes_xyxy: Points
    """(n, 4) in pixels."""
    landmarks_n5xy: Points
    """(n, 5, 2) in pixels."""
    doubtful_xyxy: Points
    """(m, 4) faces that are cut by the frame, tiny or upside down: neither right nor wrong to find."""


def load_portraits(faces_dir: Path, *, held_out: bool) -> tuple[PortraitPyramid, ...]:
    """Read the portraits that `faces_dir/index.csv` lists, either those to train on or those held out.

    Raises:
        InputError: the index or an image is missing or unreadable, or the index has no boxes.
    """
    chosen = [portrait for portrait in read_index(faces_dir) if portrait.held_out == held_out]
    if not chosen:
        raise InputError(f"{faces_dir / INDEX_NAME}: lists no {'held-out ' if held_out else ''}portraits")
    return tuple(_load_pyramid(portrait) for portrait in chosen)


def _load_pyramid(portrait: Portrait) -> PortraitPyramid:
    if portrait.box_xyxy is None:
        raise InputError(f"{portrait.path}: the index gives no box of the face (columns {', '.join(BOX_NAMES)})")
    encoded = read_bytes(portrait.path)
    picture = decode_image(encoded, portrait.path)
    smaller: list[Image] = []
    for _ in range(_PYRAMID_LEVELS):
        picture = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        smaller.append(picture)
    box, landmarks = portrait.box_xyxy.astype(np.float32), portrait.landmarks_5xy.astype(np.float32)
    return PortraitPyramid(encoded.tobytes(), tuple(smaller), box, landmarks)


def _decode(jpeg: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def make_composite(
    portraits: Sequence[PortraitPyramid], side: int, rng: np.random.Generator, *, close_up: float = 0.5
) -> Composite:
    """Put one training picture of `side` x `side` pixels together.

    Args:
        portraits: people to choose from, also for backgrounds.
        side: in pixels.
        rng: decides everything.
        close_up: how often, 0 to 1, the picture shows one large face instead of none to many smaller ones.
    """
    if rng.random() < close_up:
        canvas, faces = _single_portrait(portraits, side, rng)
    else:
        canvas = _background(portraits, side, rng)
        for _ in range(int(rng.integers(0, 4))):
            _add_decoy(canvas, portraits, rng)
        faces = _paste_faces(canvas, portraits, rng)
    return _finish(canvas, faces, degrade(canvas, rng))


def paste_one(portraits: Sequence[PortraitPyramid], side: int, face_side: float, rng: np.random.Generator) -> Composite:
    """One whole, nearly upright face whose box is `face_side` pixels on its shorter side; nothing is degraded."""
    canvas = _background(portraits, side, rng)
    portrait = _pick(portraits, rng)
    width, height = portrait.box_xyxy[2:] - portrait.box_xyxy[:2]
    face_height = face_side * float(height) / float(min(width, height))
    margin = face_height / 2 + 4
    centre = tuple(rng.uniform(margin, side - margin, 2))
    placement = _place(portrait, face_height, centre, float(rng.normal(0, 6)), rng)
    face = placement.face(side)
    reach = _reach(face.box_xyxy, float(rng.uniform(1.5, 3)), side)
    if reach is not None:
        _blend_in(canvas, placement, reach, rng)
    return _finish(canvas, [face], canvas)


def _finish(canvas: Image, faces: Sequence["_Face"], degraded: Image) -> Composite:
    sure = [face for face in faces if face.is_sure]
    return Composite(
        clean_bgr_hwc=canvas,
        bgr_hwc=degraded,
        boxes_xyxy=np.array([face.box_xyxy for face in sure], np.float32).reshape(-1, 4),
        landmarks_n5xy=np.array([face.landmarks_5xy for face in sure], np.float32).reshape(-1, 5, 2),
        doubtful_xyxy=np.array([face.box_xyxy for face in faces if not face.is_sure], np.float32).reshape(-1, 4),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Face:
    """A face on the canvas."""

    box_xyxy: Points
    landmarks_5xy: Points
    is_sure: bool
    """Whole, upright and large enough that a detector must find it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Placement:
    """Where a portrait goes: a turn, a scale (with the pixel aspect of anamorphic video), perhaps mirrored."""

    portrait: PortraitPyramid
    matrix_2x3: NDArray[np.float64]
    """Canvas point from portrait point."""
    turn: float
    mirrored: bool

    def face(self, side: int) -> _Face:
        """Box and landmarks on a canvas of `side` pixels. The box is that of the ellipse in the portrait's, turned."""
        box = self.portrait.box_xyxy
        centre = _transform(self.matrix_2x3, np.array([[box[0] + box[2], box[1] + box[3]]]) / 2)[0]
        axes = self.matrix_2x3[:, :2] * np.array([box[2] - box[0], box[3] - box[1]]) / 2
        reach = np.hypot(axes[:, 0], axes[:, 1])
        points = _transform(self.matrix_2x3, self.portrait.landmarks_5xy)
        if self.mirrored:
            points = points[_MIRRORED]
        inside = (points > 1).all() and (points < side - 2).all()
        large = 2 * reach.min() >= _SMALLEST_SURE_FACE
        upright = abs(self.turn) <= _LARGEST_SURE_TURN + 1
        placed = np.concatenate([centre - reach, centre + reach]).astype(np.float32)
        return _Face(placed, points.astype(np.float32), bool(inside and large and upright))


def _transform(matrix_2x3: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix_2x3[:, :2].T + matrix_2x3[:, 2], np.float64)


def _place(
    portrait: PortraitPyramid,
    face_height: float,
    centre: tuple[float, float],
    turn: float,
    rng: np.random.Generator,
    narrow: float = 1.0,
) -> _Placement:
    """Put a portrait on the canvas, turned by degrees and `narrow` times as wide, perhaps mirrored."""
    box = portrait.box_xyxy
    scale = face_height / max(float(box[3] - box[1]), 1.0)
    stretch = math.exp(rng.normal(0, 0.06))
    mirrored = bool(rng.random() < 0.5)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    across = -1.0 if mirrored else 1.0
    turned = np.array([[cos, -sin], [sin, cos]]) @ np.diag([across * scale * narrow, scale])
    turned = np.diag([stretch, 1 / stretch]) @ turned
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    shift = np.array(centre) - turned @ middle
    return _Placement(portrait, np.column_stack([turned, shift]), turn, mirrored)


def _random_turn(rng: np.random.Generator) -> float:
    kind = rng.random()
    if kind < 0.72:
        return float(rng.normal(0, 8))
    if kind < 0.96:
        return float(rng.uniform(-_LARGEST_SURE_TURN, _LARGEST_SURE_TURN))
    return float(rng.uniform(-180, 180))


def _random_narrowing(rng: np.random.Generator) -> float:
    """A face seen from the side is narrower; so are four by three pictures on a squeezed film."""
    return float(rng.uniform(0.65, 1)) if rng.random() < 0.2 else 1.0


def _pick(portraits: Sequence[PortraitPyramid], rng: np.random.Generator) -> PortraitPyramid:
    return portraits[int(rng.integers(len(portraits)))]


def _pick_face(portraits: Sequence[PortraitPyramid], rng: np.random.Generator) -> PortraitPyramid:
    """One portrait; heads turned aside, of which there are few, up to four times as often as frontal ones."""
    for _ in range(20):
        portrait = _pick(portraits, rng)
        if rng.random() < 0.25 + 0.75 * min(portrait.yaw / 0.4, 1.0):
            break
    return portrait


def _draw(placement: _Placement, canvas_size: tuple[int, int], corner: tuple[int, int], border: int) -> Image:
    """The portrait as seen through a window of the canvas: `canvas_size` (width, height) at `corner`."""
    shrink = math.sqrt(abs(np.linalg.det(placement.matrix_2x3[:, :2])))
    picture, scale = placement.portrait.level(shrink)
    matrix = placement.matrix_2x3.copy()
    matrix[:, 2] += matrix[:, :2] @ np.full(2, 0.5 / scale - 0.5) - np.array(corner)
    matrix[:, :2] /= scale
    drawn = cv2.warpAffine(picture, matrix, canvas_size, flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(drawn, np.uint8)


def _single_portrait(
    portraits: Sequence[PortraitPyramid], side: int, rng: np.random.Generator
) -> tuple[Image, list[_Face]]:
    """One portrait fills the picture, from a face in the middle distance to one that is larger than the frame."""
    face = float(np.exp(rng.uniform(math.log(0.3), math.log(1.25)))) * side
    wander = 0.2 * side
    centre = (side / 2 + rng.uniform(-wander, wander), side / 2 + rng.uniform(-wander, wander))
    placement = _place(_pick_face(portraits, rng), face, centre, _random_turn(rng), rng, _random_narrowing(rng))
    border = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
    canvas = _draw(placement, (side, side), (0, 0), border)
    return canvas, [placement.face(side)]


def _paste_faces(canvas: Image, portraits: Sequence[PortraitPyramid], rng: np.random.Generator) -> list[_Face]:
    side = canvas.shape[0]
    wanted = int(rng.choice([0, 1, 2, 4, 8, 14], p=[0.08, 0.12, 0.15, 0.25, 0.25, 0.15]))
    taken: list[NDArray[np.float64]] = []
    faces: list[_Face] = []
    for _ in range(wanted):
        largest = side * (0.85 if wanted == 1 else 0.5 if wanted < 8 else 0.25)
        height = float(np.exp(rng.uniform(math.log(15), math.log(largest))))
        centre = tuple(rng.uniform(0.02, 0.98, 2) * side)
        turn, narrow = _random_turn(rng), _random_narrowing(rng)
        placement = _place(_pick_face(portraits, rng), height, centre, turn, rng, narrow)
        face = placement.face(side)
        widest = 4 if wanted < 4 else 2
        reach = _reach(face.box_xyxy, float(np.exp(rng.uniform(math.log(1.15), math.log(widest)))), side)
        if reach is None or any(_overlap(reach, other) for other in taken):
            continue
        taken.append(reach)
        _blend_in(canvas, placement, reach, rng)
        faces.append(face)
    return faces


def _reach(box: Points, factor: float, side: int) -> NDArray[np.float64] | None:
    """The window around a box that is pasted, whole pixels, cut at the canvas; None when almost nothing is left."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * factor
    reach = np.concatenate([np.floor(middle - half), np.ceil(middle + half)]).clip(0, side).astype(np.float64)
    return reach if min(reach[2] - reach[0], reach[3] - reach[1]) >= 6 else None


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool((np.minimum(a[2:], b[2:]) > np.maximum(a[:2], b[:2])).all())


def _blend_in(canvas: Image, placement: _Placement, reach: NDArray[np.float64], rng: np.random.Generator) -> None:
    x0, y0, x1, y1 = (int(v) for v in reach)
    width, height = x1 - x0, y1 - y0
    window = canvas[y0:y1, x0:x1]
    drawn = _draw(placement, (width, height), (x0, y0), cv2.BORDER_REPLICATE)
    if rng.random() < 0.4:
        window[...] = drawn
        return
    alpha = np.zeros((height, width), np.float32)
    cv2.ellipse(alpha, (width // 2, height // 2), (int(width * 0.46), int(height * 0.46)), 0, 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(alpha, (0, 0), max(0.8, 0.03 * width))[..., None]
    window[...] = (drawn * soft + window * (1 - soft)).astype(np.uint8)


def _background(portraits: Sequence[PortraitPyramid], side: int, rng: np.random.Generator) -> Image:
    kind = rng.random()
    if kind < 0.35:
        canvas = _surroundings(portraits, side, rng)
    elif kind < 0.47:
        canvas = _foliage(portraits, side, rng)
    elif kind < 0.7:
        canvas = _clutter(portraits, side, rng)
    elif kind < 0.8:
        canvas = _shapes(side, rng)
    elif kind < 0.92:
        canvas = _cloud(side, rng)
    else:
        canvas = _gradient(side, rng)
    if rng.random() < 0.25:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(1, 8))), np.uint8)
    return canvas


def _surroundings(portraits: Sequence[PortraitPyramid], side: int, rng: np.random.Generator) -> Image:
    """The part of a portrait beside, above or below its face, enlarged to fill the canvas."""
    portrait = _pick(portraits, rng)
    picture = portrait.smaller[0]
    height, width = picture.shape[:2]
    x0, _, x1, y1 = (portrait.box_xyxy / 2).round().astype(int)
    bands = [picture[:, : max(x0, 1)], picture[:, min(x1, width - 1) :], picture[min(y1 + 2, height - 1) :]]
    band = max(bands, key=lambda part: min(part.shape[:2])) if rng.random() < 0.5 else bands[int(rng.integers(3))]
    zoom = side / max(min(band.shape[:2]), 1)
    enlarged = cv2.resize(band, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    left = int(rng.integers(max(enlarged.shape[1] - side, 0) + 1))
    top = int(rng.integers(max(enlarged.shape[0] - side, 0) + 1))
    canvas = cv2.resize(enlarged[top : top + side, left : left + side], (side, side))
    return np.asarray(canvas[:, ::-1] if rng.random() < 0.5 else canvas, np.uint8).copy()


def _clutter(portraits: Sequence[PortraitPyramid], side: int, rng: np.random.Generator) -> Image:
    """Overlapping patches of cloth, hair, skin and background, turned any way: edges that are no face."""
    canvas = _surroundings(portraits, side, rng)
    for _ in range(int(rng.integers(4, 14))):
        picture = _pick(portraits, rng).smaller[0]
        extent = rng.integers(16, max(17, side // 2), 2)
        height, width = np.minimum(extent, picture.shape[:2])
        top = int(rng.integers(picture.shape[0] - height + 1))
        left = int(rng.integers(picture.shape[1] - width + 1))
        patch = np.rot90(picture[top : top + height, left : left + width], int(rng.integers(1, 4)))
        y, x = (int(v) for v in rng.integers(0, side - 8, 2))
        target = canvas[y : y + patch.shape[0], x : x + patch.shape[1]]
        target[...] = patch[: target.shape[0], : target.shape[1]]
    return canvas


def _foliage(portraits: Sequence[PortraitPyramid], side: int, rng: np.random.Generator) -> Image:
    """Many small leaves over one another, light and dark: the texture that is taken for small faces most easily."""
    canvas = _surroundings(portraits, side, rng)
    tint = rng.uniform(0.5, 1, 3)
    size = float(np.exp(rng.uniform(math.log(2), math.log(9))))
    for _ in range(int(rng.integers(80, 400))):
        colour = tuple(float(v) for v in tint * rng.uniform(0, 255))
        centre = tuple(int(v) for v in rng.integers(0, side, 2))
        axes = tuple(int(v) for v in np.ceil(size * rng.uniform(0.3, 2, 2)))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return canvas


def _add_decoy(canvas: Image, portraits: Sequence[PortraitPyramid], rng: np.random.Generator) -> None:
    """Something of a face's size and colours that is none: cloth, hands, a face cut into squares that are shuffled."""
    side = canvas.shape[0]
    width = int(np.exp(rng.uniform(math.log(24), math.log(0.7 * side))))
    height = min(round(width * rng.uniform(0.8, 1.6)), side)
    x, y = int(rng.integers(side - width + 1)), int(rng.integers(side - height + 1))
    patch = _shuffled_face(_pick(portraits, rng), rng) if rng.random() < 0.5 else _cloth(_pick(portraits, rng), rng)
    patch = np.asarray(cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.4:
        tint = rng.uniform(0.2, 1.3, 3)
        patch = np.asarray((patch * tint).clip(0, 255), np.uint8)
    window = canvas[y : y + height, x : x + width]
    alpha = np.zeros((height, width), np.float32)
    if rng.random() < 0.6:
        cv2.ellipse(alpha, (width // 2, height // 2), (width * 9 // 20, height * 9 // 20), 0, 0, 360, 1.0, -1)
    else:
        alpha[:] = 1
    soft = cv2.GaussianBlur(alpha, (0, 0), max(0.8, 0.02 * width))[..., None]
    window[...] = (patch * soft + window * (1 - soft)).astype(np.uint8)


def _shuffled_face(portrait: PortraitPyramid, rng: np.random.Generator) -> Image:
    picture = portrait.smaller[0]
    x0, y0, x1, y1 = (portrait.box_xyxy / 2).round().astype(int).clip(0)
    face = cv2.resize(picture[y0:y1, x0:x1], (96, 96), interpolation=cv2.INTER_AREA)
    cells = int(rng.choice([2, 3, 4]))
    step = 96 // cells
    squares = [face[r : r + step, c : c + step] for r in range(0, 96, step) for c in range(0, 96, step)]
    turned = [np.rot90(squares[i], int(rng.integers(4))) for i in rng.permutation(len(squares))]
    rows = [np.hstack(turned[i : i + cells]) for i in range(0, len(turned), cells)]
    return np.asarray(np.vstack(rows), np.uint8)


def _cloth(portrait: PortraitPyramid, rng: np.random.Generator) -> Image:
    """What is below the face, perhaps with a piece of skin, as hands before a shirt, and a badge."""
    picture = portrait.smaller[0]
    x0, y0, x1, y1 = (portrait.box_xyxy / 2).round().astype(int).clip(0)
    below = picture[min(y1 + 2, picture.shape[0] - 8) :]
    patch = np.asarray(cv2.resize(below, (96, 96), interpolation=cv2.INTER_LINEAR), np.uint8)
    cheek = picture[(y0 + y1) // 2 : y1, x0 : (x0 + x1) // 2]
    skin = tuple(float(v) for v in cheek.reshape(-1, 3).mean(axis=0)) if cheek.size else (120.0, 150.0, 200.0)
    for _ in range(int(rng.integers(0, 4))):
        centre = tuple(int(v) for v in rng.integers(8, 88, 2))
        axes = tuple(int(v) for v in rng.integers(4, 22, 2))
        cv2.ellipse(patch, centre, axes, float(rng.uniform(0, 180)), 0, 360, skin, -1, cv2.LINE_AA)
    if rng.random() < 0.3:
        x, y = (int(v) for v in rng.integers(20, 70, 2))
        cv2.rectangle(patch, (x, y), (x + 10, y + 14), (230.0, 230.0, 230.0), -1)
    return patch


def _shapes(side: int, rng: np.random.Generator) -> Image:
    canvas = _cloud(side, rng)
    for _ in range(int(rng.integers(5, 40))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        centre = tuple(int(v) for v in rng.integers(0, side, 2))
        axes = tuple(int(v) for v in np.exp(rng.uniform(math.log(2), math.log(side / 3), 2)))
        fill = -1 if rng.random() < 0.6 else int(rng.integers(1, 5))
        if rng.random() < 0.5:
            cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, fill, cv2.LINE_AA)
        else:
            corner = (centre[0] + axes[0], centre[1] + axes[1])
            cv2.rectangle(canvas, centre, corner, colour, fill)
    return canvas


def _cloud(side: int, rng: np.random.Generator) -> Image:
    """Noise at several scales."""
    canvas = np.zeros((side, side, 3), np.float32)
    for cells in (3, 8, 24, 80):
        noise = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        canvas += float(rng.uniform(0, 45)) * cv2.resize(noise, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray((canvas + rng.uniform(30, 220, 3)).clip(0, 255), np.uint8)


def _gradient(side: int, rng: np.random.Generator) -> Image:
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    return np.asarray(cv2.resize(corners, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def degrade(bgr_hwc: Image, rng: np.random.Generator) -> Image:
    """What film stock, lenses, scanners, standard definition and compression do, each by chance; a new picture."""
    picture = _graded(bgr_hwc[:, :, ::-1].astype(np.float32) / np.float32(255), rng)
    if rng.random() < 0.35:
        picture = _softened(picture, rng)
    if rng.random() < 0.4:
        of_film = rng.random() < 0.6
        picture = film_grain(picture, rng, width=(0.3, 1.0)) if of_film else gaussian_noise(picture, rng, (2, 18))
    if rng.random() < 0.06:
        picture = scratches(picture, rng, count=(1, 4), opacity=(0.1, 0.8))
        picture = dust(picture, rng, count=(0, 11), size=(0.002, 0.008))
    if rng.random() < 0.5:
        picture = jpeg(picture, rng, (15, 95))
    return np.ascontiguousarray(np.rint(picture[:, :, ::-1] * 255), np.uint8)


def _graded(picture: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Black and white or a cast, contrast and exposure: wider than any one archive, so that no colour is a cue."""
    kind = rng.random()
    if kind < 0.4:
        picture = grey(picture, rng)
    if kind < 0.1:
        picture = picture * _SEPIA
    elif 0.4 <= kind < 0.7:
        picture = picture * rng.uniform(0.8, 1.2, 3).astype(np.float32)
    if rng.random() < 0.6:
        picture = tone(picture, rng, gamma_sigma=0.25, black=(-0.2, 0.2), white=(0.75, 1.25))
    return picture.clip(0, 1)


def _softened(picture: RgbImage, rng: np.random.Generator) -> RgbImage:
    if rng.random() < 0.5:
        pixel = 1 / scale_of(picture)
        return blur(picture, rng, sigma=(0.4 * pixel, 1.8 * pixel))
    small = downsample(picture, rng, factor=(1.2, 2.6))
    return enlarged(small, picture, cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST)
