"""What lies on film or is torn from it: scratches, dust, hairs."""

import cv2
import numpy as np

from gpen_video.train.degrade.images import Image, Range, Rng, scale_of

_DARK, _LIGHT = np.float32(0.05), np.float32(0.95)
"""Dirt on a print is dark; dirt on the negative, or emulsion torn off the print, is light."""
_SHIFT = 4
"""Fractional bits of OpenCV's drawing coordinates."""


def scratches(
    image: Image,
    rng: Rng,
    count: tuple[int, int] = (1, 3),
    width: Range = (0.6, 1.4),
    opacity: Range = (0.1, 0.5),
    wander: float = 0.08,
) -> Image:
    """Thin vertical lines, light or dark, that wander a little.

    Args:
        image: R'G'B'.
        rng: draws number, places and tones.
        count: how many, both ends included.
        width: half width in pixels of this image, where the line fades to nothing.
        opacity: of the middle of the line.
        wander: standard deviation of the step aside from one row to the next, in pixels.
    """
    result = image.copy()
    rows, columns = image.shape[:2]
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        line = rng.uniform(0, columns) + np.cumsum(rng.normal(0, wander, rows))
        half, depth, tone = rng.uniform(*width), rng.uniform(*opacity), rng.choice([_DARK, _LIGHT])
        first, last = max(0, int(line.min() - half)), min(columns, int(line.max() + half) + 2)
        if first >= last:  # wandered out of the image
            continue
        distance = np.abs(np.arange(first, last)[None] - line[:, None])
        alpha = (np.clip(1 - distance / half, 0, 1) * depth).astype(np.float32)
        band = result[:, first:last]
        band += alpha[:, :, None] * (tone - band)
    return result


def dust(
    image: Image,
    rng: Rng,
    count: tuple[int, int] = (1, 6),
    size: Range = (0.003, 0.012),
    opacity: Range = (0.4, 1.0),
) -> Image:
    """Specks, light or dark, ragged rather than round.

    Args:
        image: R'G'B'.
        rng: draws number, places, shapes and tones.
        count: how many, both ends included.
        size: radius as a share of the shorter side, at least half a pixel.
        opacity: of the speck.
    """
    result = image.copy()
    height, width = image.shape[:2]
    turns = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        centre = rng.uniform(0, 1, 2) * (width - 1, height - 1)
        radius = np.maximum(rng.uniform(*size, 2) * min(height, width), 0.5)
        ragged = rng.uniform(0.6, 1.3, (7, 1)) * np.column_stack([np.cos(turns), np.sin(turns)]) * radius
        _paint(result, centre + ragged, rng.choice([_DARK, _LIGHT]), rng.uniform(*opacity), filled=True)
    return result


def hairs(
    image: Image,
    rng: Rng,
    count: tuple[int, int] = (1, 2),
    length: Range = (30.0, 160.0),
    bend: float = 0.15,
    opacity: Range = (0.4, 0.9),
) -> Image:
    """Fibres in the gate or on the print: thin curls, mostly dark.

    Args:
        image: R'G'B'.
        rng: draws number, places, shapes and tones.
        count: how many, both ends included.
        length: in pixels of a reference face.
        bend: standard deviation, in radians, of the turn from one twelfth of the hair to the next.
        opacity: of the hair.
    """
    result = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        start = rng.uniform(0, 1, 2) * (width - 1, height - 1)
        curl = rng.normal(0, bend)
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(curl, bend, 12))
        step = rng.uniform(*length) * scale_of(image) / 12
        path = start + np.cumsum(step * np.column_stack([np.cos(heading), np.sin(heading)]), axis=0)
        tone = _DARK if rng.random() < 0.7 else _LIGHT
        _paint(result, np.vstack([start, path]), tone, rng.uniform(*opacity), filled=False)
    return result


def _paint(result: Image, points_nxy: np.ndarray, tone: np.float32, opacity: float, *, filled: bool) -> None:
    """Lay a polygon or a line of one tone over the part of `result` that it covers."""
    height, width = result.shape[:2]
    left, top = np.maximum(np.floor(points_nxy.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.minimum(np.ceil(points_nxy.max(axis=0)).astype(int) + 3, (width, height))
    if left >= right or top >= bottom:
        return
    alpha = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.round((points_nxy - (left, top)) * 2**_SHIFT).astype(np.int32)
    if filled:
        cv2.fillPoly(alpha, [corners], 255, cv2.LINE_AA, _SHIFT)
    else:
        cv2.polylines(alpha, [corners], False, 255, 1, cv2.LINE_AA, _SHIFT)
    # A speck is soft at the edge: it lies out of focus, on the film's other side.
    soft = cv2.GaussianBlur(alpha, (3, 3), 0.6).reshape(alpha.shape).astype(np.float32)
    window = result[top:bottom, left:right]
    window += (soft * np.float32(opacity / 255))[:, :, None] * (tone - window)
