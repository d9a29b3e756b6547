"""Clips whose truth is known: portraits in known motion before a textured background, and real clips taken as clean."""

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.faces import upright_rgb
from gpen_video.geometry import apply, scaling
from gpen_video.media import decode, probe
from gpen_video.train.degrade import Image, Rng, film_grain, gaussian_noise, jpeg
from gpen_video.train.degrade.chain import blur
from gpen_video.train.degrade.images import Step, correlated_noise
from gpen_video.train.degrade.mixture import held, run

Float64 = NDArray[np.float64]
Portrait = tuple[Image, Float64]
"""A picture and its (5, 2) landmarks."""

SHARED = Path(__file__).parents[3] / "shared"
WIDTH, HEIGHT = 480, 360
EYE_DISTANCE = 46.0
"""Pixels between the eyes in the frame: the crop of 256 pixels is hardly enlarged."""
_HEAD = (1.9, 2.3, 2.6)
"""How far a portrait is cut out around the middle of the eyes: to the sides, up and down, in eye distances."""
_WHOLE = 100_000
MOVE = 14
"""Frames that the fast move takes: 210 pixels, at most 22 a frame, a quarter of a face size."""
_DASH = 40
"""Frames of its clip: the head stands before and after."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A portrait, and where it is in each frame."""

    image: Image
    """(H, W, 3), 0 to 1."""
    landmarks_5xy: Float64
    frame_from_image_t23: Float64
    """(T, 2, 3)."""
    hidden_t: NDArray[np.bool_] | None = None
    """Frames in which somebody else stands before the face."""

    def landmarks_at(self, frame: int) -> Float64:
        """(5, 2) true landmarks, as far as those of the portrait are true."""
        return apply(self.frame_from_image_t23[frame], self.landmarks_5xy)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One clip without damage."""

    name: str
    kind: str
    """``still``, ``moving``, ``fast``, ``crossing`` or ``real``."""
    frames: Callable[[], Sequence[Image]]
    """Makes the (H, W, 3) pictures."""
    damage: str
    """Name in `DAMAGE`."""
    people: tuple[Person, ...] = ()
    """From the farthest to the nearest; nobody is known in real clips."""


@dataclass(frozen=True, slots=True)
class _Path:
    """Where the middle of the eyes is, and how the portrait is turned and stretched, at a time in frames."""

    x: Callable[[float], float]
    y: Callable[[float], float]
    turn: Callable[[float], float] = field(default=lambda t: 0.0)
    """Degrees."""
    stretch: Callable[[float], tuple[float, float]] = field(default=lambda t: (1.0, 1.0))


def scenes(*, quick: bool) -> list[Scene]:
    """The clips of the bench; fewer and shorter ones for a quick look."""
    count = 24 if quick else 48
    portraits = _portraits()
    faces = iter(portraits)

    def alone(name: str, kind: str, damage: str, path: _Path, pan: float = 0.0, count: int = count) -> Scene:
        person = _person(next(faces), path, count)
        return Scene(name, kind, lambda: _composed((person,), count, pan, name), damage, (person,))

    still = _Path(lambda t: 236.3, lambda t: 150.6)
    nod = _Path(
        lambda t: 240 + 8 * np.sin(t / 9),
        lambda t: 150 + 6 * np.sin(t / 5),
        lambda t: 7 * np.sin(t / 7),
        lambda t: (1 - 0.06 * np.sin(t / 6) ** 2, 1 - 0.05 * np.sin(t / 5) ** 2),
    )
    dash = _Path(lambda t: 130 + 210 * _eased((t - _DASH / 2 + MOVE / 2) / MOVE), lambda t: 150.0)
    chosen = [
        alone("still head, noise", "still", "noise", still),
        alone("slow drift", "moving", "noise", _Path(lambda t: 190 + 1.3 * t, lambda t: 145 + 0.4 * t)),
        alone("fast move", "fast", "noise", dash, count=_DASH),
        _crossing(faces, count),
    ]
    if quick:
        return chosen
    stroll = _Path(lambda t: 150 + 3.1 * t, lambda t: 150 + 3 * np.sin(t / 3))
    return [
        *chosen,
        alone("still head, grain", "still", "grain", still),
        alone("still head, video", "still", "video", still),
        alone("nod and turn", "moving", "grain", nod),
        alone("walking by, camera pans", "moving", "video", stroll, pan=-4.0),
        _real("grid_bbaf2n.mpg", "noise", count),
        _real("carphone_pristine.mp4", "grain", count),
    ]


def damaged(scene: Scene, clean: Sequence[Image], noise: int = 0) -> list[Image]:
    """The clip as it is found: one chain for all frames, its noise new in each, and another for each number."""
    rng = np.random.default_rng((_seed(scene.name), noise) if noise else _seed(scene.name))
    steps = DAMAGE[scene.damage](rng)
    return [run(steps, frame, rng) for frame in clean]


DAMAGE: dict[str, Callable[[Rng], tuple[Step, ...]]] = {
    "noise": lambda rng: (
        held(blur, rng, sigma=(1.6, 1.6)),
        _at_three_quarters,
        lambda image, new: gaussian_noise(image, new, (9.0, 9.0)),
        held(jpeg, rng, quality=(75, 75)),
    ),
    "grain": lambda rng: (
        held(blur, rng, sigma=(2.2, 2.2)),
        lambda image, new: film_grain(image, new, (12.0, 12.0), (0.7, 0.7), (0.3, 0.3)),
        lambda image, new: gaussian_noise(image, new, (2.0, 2.0)),
    ),
    "video": lambda rng: (
        held(blur, rng, sigma=(1.2, 1.2)),
        _at_half,
        lambda image, new: gaussian_noise(image, new, (5.0, 5.0)),
        held(jpeg, rng, quality=(45, 45)),
    ),
}
"""What is done to a clip, by name: parts of the published and the archival chain at stated strengths."""


def _at_three_quarters(image: Image, _: Rng) -> Image:
    return _resized(image, 0.75)


def _at_half(image: Image, _: Rng) -> Image:
    return _resized(image, 0.5)


def _resized(image: Image, by: float) -> Image:
    return np.asarray(cv2.resize(image, None, fx=by, fy=by, interpolation=cv2.INTER_AREA), np.float32)


def _eased(part: float) -> float:
    t = float(np.clip(part, 0, 1))
    return t * t * (3 - 2 * t)


def _crossing(faces: Iterator[Portrait], count: int) -> Scene:
    """Two people walk past each other, one before the other."""
    far = _person(next(faces), _Path(lambda t: 110 + 260 * t / count, lambda t: 146.0), count)
    near = _person(next(faces), _Path(lambda t: 370 - 260 * t / count, lambda t: 156.0), count)
    gap = np.abs(_eyes(far)[:, 0] - _eyes(near)[:, 0])
    far = Person(far.image, far.landmarks_5xy, far.frame_from_image_t23, gap < 1.6 * EYE_DISTANCE)
    people = (far, near)
    return Scene("two people cross", "crossing", lambda: _composed(people, count, 0.0, "cross"), "noise", people)


def _eyes(person: Person) -> Float64:
    count = len(person.frame_from_image_t23)
    return np.stack([person.landmarks_at(frame)[:2].mean(axis=0) for frame in range(count)])


def _real(name: str, damage: str, count: int) -> Scene:
    def frames() -> list[Image]:
        info = probe(SHARED / "media" / "faces" / name)
        with closing(decode(info)) as source:
            return [
                np.asarray(upright_rgb(frame, _WHOLE)[0], np.float32) / np.float32(255)
                for frame in islice(source, count)
            ]

    return Scene(name, "real", frames, damage)


def _portraits() -> list[Portrait]:
    """Held-out frontal portraits, always the same ones."""
    with (SHARED / "faces" / "index.csv").open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if _is_held_out(row["identity"])
            and row["source"] in ("civilservice", "faker")
            and abs(float(row["yaw_ratio"])) < 0.12
            and abs(float(row["roll_deg"])) < 6
            and float(row["eye_distance"]) > 100
        ]
    names = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    return [
        (
            _read(SHARED / "faces" / "images" / row["file"]),
            np.array([[float(row[f"{name}_{axis}"]) for axis in "xy"] for name in names]),
        )
        for row in sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())[:12]
    ]


def _is_held_out(identity: str) -> bool:
    return int(hashlib.sha256(identity.encode()).hexdigest(), 16) % 20 == 0


def _read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1], np.float32) / np.float32(255)


def _person(portrait: Portrait, path: _Path, count: int) -> Person:
    image, landmarks = portrait
    scale = EYE_DISTANCE / float(np.linalg.norm(landmarks[1] - landmarks[0]))
    # The picture is brought near its size once, so that the motion resamples without aliasing.
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    factor = small.shape[1] / image.shape[1]
    in_small = apply(scaling(factor, factor, (factor - 1) / 2, (factor - 1) / 2), landmarks)
    middle = in_small[:2].mean(axis=0)
    matrices = []
    for t in range(count):
        angle, (wide, high) = np.radians(path.turn(t)), path.stretch(t)
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([wide, high])
        there = np.array([path.x(t), path.y(t)])
        matrices.append(np.column_stack([linear, there - linear @ middle]))
    return Person(np.asarray(small, np.float32), in_small, np.stack(matrices))


def _composed(people: Sequence[Person], count: int, pan: float, name: str) -> list[Image]:
    """Frames: the background shifted by `pan` pixels a frame, and the people before it, the nearest last."""
    wall = _wall(np.random.default_rng(_seed(name)), WIDTH + round(abs(pan) * count) + 8)
    start = abs(pan) * count if pan > 0 else 0.0
    return [_frame(people, t, wall, start - pan * t) for t in range(count)]


def _frame(people: Sequence[Person], t: int, wall: Image, left: float) -> Image:
    frame = cv2.warpAffine(wall, scaling(1, 1, -left, 0), (WIDTH, HEIGHT), flags=cv2.INTER_LANCZOS4)
    for person in people:
        matrix = person.frame_from_image_t23[t]
        image = cv2.warpAffine(
            person.image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
        )
        alpha = cv2.warpAffine(_cutout(person), matrix, (WIDTH, HEIGHT))[..., None]
        frame = frame + alpha * (image - frame)
    return np.asarray(np.clip(frame, 0, 1), np.float32)


def _cutout(person: Person) -> Image:
    """(H, W) matte: an upright soft oval with head and shoulders, 0 at the portrait's border."""
    height, width = person.image.shape[:2]
    sides, up, down = (EYE_DISTANCE * part for part in _HEAD)
    x, y = person.landmarks_5xy[:2].mean(axis=0)
    across = (np.arange(width, dtype=np.float32) - x) / sides
    along = np.arange(height, dtype=np.float32) - y
    along = np.where(along < 0, along / up, along / down)
    radius = np.sqrt(across[None] ** 2 + along[:, None] ** 2)
    border = np.minimum(*np.meshgrid(_to_border(width), _to_border(height)))
    return np.asarray(np.clip(np.minimum((1.0 - radius) / 0.08, border / 6), 0, 1), np.float32)


def _to_border(length: int) -> Image:
    pixel = np.arange(length, dtype=np.float32)
    return np.asarray(np.minimum(pixel, length - 1 - pixel), np.float32)


def _wall(rng: Rng, width: int) -> Image:
    """A wall with texture of many sizes, for the camera's motion to be seen by."""
    shape = (HEIGHT, width)
    texture = sum(
        strength * correlated_noise(shape, rng, size) for size, strength in ((2, 0.03), (6, 0.05), (25, 0.07))
    )
    tint = np.array([0.50, 0.47, 0.42], np.float32)
    return np.asarray(np.clip(tint * (1 + np.asarray(texture)[..., None]), 0, 1), np.float32)


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
