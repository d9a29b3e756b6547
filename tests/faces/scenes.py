"""Pictures and faces to test with; all arrays are read-only, so that a stage that writes into its input fails."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import chroma_offset, yuv_from_rgb
from gpen_video.geometry import TEMPLATES, apply
from gpen_video.types import (
    ColourSpec,
    Detection,
    FaceCrop,
    Frame,
    FrameFaces,
    MaskedFace,
    Picture,
    PixelFormat,
    RestoredFace,
    Timestamp,
    TrackedFace,
)

FORMATS = {
    fmt.name: fmt
    for fmt in (
        PixelFormat("yuv420p", "yuv", 8, 1, 1),
        PixelFormat("yuvj420p", "yuv", 8, 1, 1),
        PixelFormat("yuv422p10le", "yuv", 10, 1, 0),
        PixelFormat("yuv444p16le", "yuv", 16, 0, 0),
        PixelFormat("yuva420p", "yuv", 8, 1, 1, has_alpha=True),
        PixelFormat("gray", "gray", 8),
        PixelFormat("gray10le", "gray", 10),
        PixelFormat("gbrp", "rgb", 8),
        PixelFormat("gbrp12le", "rgb", 12),
    )
}


Scene = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""R'G'B' as (3, ...), 0 to 1, at points x, y of the frame."""


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def plane_shapes(fmt: PixelFormat, width: int, height: int) -> list[tuple[int, int]]:
    chroma = (-(-height // 2**fmt.log2_chroma_h), -(-width // 2**fmt.log2_chroma_w))
    shapes = {"gray": [(height, width)], "rgb": [(height, width)] * 3}
    shapes["yuv"] = [(height, width), chroma, chroma]
    return shapes[fmt.family] + [(height, width)] * fmt.has_alpha


def picture_of(fmt: PixelFormat, samples: list[NDArray[Any]], colour: ColourSpec | None = None) -> Picture:
    dtype = np.uint8 if fmt.bits == 8 else np.uint16
    return Picture(tuple(frozen(np.asarray(plane).astype(dtype)) for plane in samples), fmt, colour or ColourSpec())


def noise_picture(
    fmt: PixelFormat, width: int = 160, height: int = 120, colour: ColourSpec | None = None, seed: int = 0
) -> Picture:
    """Every code value of the format, at random: what must not change is then seen to have changed."""
    rng = np.random.default_rng(seed)
    shapes = plane_shapes(fmt, width, height)
    return picture_of(fmt, [rng.integers(0, 2**fmt.bits, shape) for shape in shapes], colour)


def frame_of(picture: Picture, index: int = 0, starts_shot: bool | None = None) -> Frame:
    first = index == 0 if starts_shot is None else starts_shot
    return Frame(index, Timestamp(index, Fraction(1, 25)), picture, starts_shot=first)


def gray_frame(index: int = 0, starts_shot: bool | None = None, width: int = 320, height: int = 240) -> Frame:
    plane = np.full((height, width), 90)
    return frame_of(picture_of(FORMATS["gray"], [plane]), index, starts_shot)


def landmarks_at(x: float, y: float, size: float, angle: float = 0.0) -> NDArray[np.float64]:
    """The template's face with the crop's centre at (x, y), the crop being `size` pixels wide, turned by radians."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return frozen((TEMPLATES["gpen"] - 0.5) * size @ turn.T + (x, y))


def detection_at(x: float, y: float, size: float, score: float = 0.9) -> Detection:
    """A face whose box is about half the crop wide, as detectors draw it."""
    box = np.array([x - 0.22 * size, y - 0.2 * size, x + 0.22 * size, y + 0.35 * size], np.float32)
    return Detection(frozen(box), frozen(landmarks_at(x, y, size).astype(np.float32)), score)


def tracked_at(
    x: float, y: float, size: float, angle: float = 0.0, track_id: int = 0, seen: bool = True
) -> TrackedFace:
    return TrackedFace(track_id, landmarks_at(x, y, size, angle), detection_at(x, y, size) if seen else None)


def masked(crop: FaceCrop, restored_rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> MaskedFace:
    return MaskedFace(RestoredFace(crop, frozen(restored_rgb)), frozen(alpha))


def carrier(frame: Frame, *faces: Detection | TrackedFace | RestoredFace | MaskedFace) -> FrameFaces[Any]:
    return FrameFaces(frame, tuple(faces))


def grid(width: int, height: int) -> tuple[NDArray[Any], NDArray[Any]]:
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return x, y


def painted(fmt: PixelFormat, spec: ColourSpec, scene: Scene, width: int = 320, height: int = 240) -> Picture:
    """A picture of `scene(x, y) -> (3, ...) R'G'B'`, each plane sampled where its samples lie."""
    to_yuv = yuv_from_rgb(spec, fmt, height)
    offset_x, offset_y = chroma_offset(spec, fmt)
    samples = []
    for index, (rows, columns) in enumerate(plane_shapes(fmt, width, height)):
        x, y = grid(columns, rows)
        if index == 3:  # alpha, to be ignored
            samples.append(x)
            continue
        if index and fmt.family == "yuv":
            x, y = x * 2**fmt.log2_chroma_w, y * 2**fmt.log2_chroma_h
            x, y = (x + offset_x if fmt.log2_chroma_w else x), (y + offset_y if fmt.log2_chroma_h else y)
        values = np.tensordot(to_yuv.matrix[index].astype(float), scene(x, y), 1) + to_yuv.offset[index]
        samples.append(np.clip(np.rint(values), 0, 2**fmt.bits - 1))
    return picture_of(fmt, samples, spec)


def ramps(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Colours that change at different rates: a shift of one plane against another shows."""
    return np.stack([0.2 + x / 640, 0.8 - y / 480, 0.3 + (x + y) / 1400])


def smooth_discs(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    return np.stack(
        [0.5 + 0.4 * np.cos(np.hypot(x - cx, y - cy) / 9) for cx, cy in ((150, 110), (180, 130), (140, 90))]
    )


def seen_in(crop: FaceCrop, scene: Scene) -> NDArray[Any]:
    u, v = grid(*crop.rgb_hwc.shape[1::-1])
    points = apply(crop.frame_from_crop_2x3, np.column_stack([u.ravel(), v.ravel()]))
    return scene(*points.T).T.reshape(*u.shape, 3)
