"""Short clips of one portrait for training steadiness: true motion, known exactly."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.train.degrade.images import Image, Range, Rng, is_neutral
from gpen_video.train.degrade.mixture import ARCHIVAL_SHARE, draw_chain, draw_grade, run

_SWAY_FRAMES: Range = (10.0, 60.0)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """T frames of one portrait."""

    degraded_thwc: Image
    """(T, H, W, 3): one chain for all frames, its grain, dust and noise new in each."""
    target_thwc: Image
    """(T, H, W, 3): the same frames undegraded."""
    frame_from_first_t23: NDArray[np.float64]
    """(T, 2, 3); the first is the identity. A point is (x, y) in pixels with the *centre* of the top-left sample at
    (0, 0), as everywhere in gpen_video and in OpenCV: what is at (x, y) in frame 0 is at ``A[t] @ (x, y, 1)`` in frame
    t, and ``cv2.warpAffine(frame_0, A[t], (W, H))`` is frame t where frame 0 showed it.

    From frame s to frame t: ``compose(A[t], invert(A[s]))`` of `gpen_video.geometry`. For torch's `grid_sample` with
    ``align_corners=False`` normalise a point as ``(2 p + 1) / size - 1``, and sample frame s at the *inverse* map.
    """
    gain_t: Image
    """(T,) factor on R'G'B' by which the exposure blinks, in target and degraded frame alike. A temporal loss has to
    divide by it, or compare the restored frames' difference with the targets' own."""


def training_clip(
    image: Image,
    rng: Rng,
    frames: int,
    *,
    stops: Range = (-0.15, 0.15),
    archival_share: float = ARCHIVAL_SHARE,
) -> Clip:
    """A clip of the mixture of `training_pair`, with slow motion of camera or head.

    Args:
        image: (H, W, 3) R'G'B', the portrait.
        rng: decides everything.
        frames: how many, at least 1.
        stops: range of a frame's exposure, in a third of the clips; the others are steady.
        archival_share: of archival chains in the mixture.

    Raises:
        ValueError: `frames` is below 1.
    """
    if frames < 1:
        raise ValueError(f"a clip needs at least one frame, got {frames}")
    still = image.copy()
    for step in draw_grade(rng):
        still = step(still, rng)
    height, width = still.shape[:2]
    path = camera_path(rng, (width, height), frames)
    blinks = rng.random() < 1 / 3
    gain = 2 ** (rng.uniform(*stops, frames) / 2.2) if blinks else np.ones(frames)
    targets = [np.clip(_moved(still, matrix) * np.float32(g), 0, 1) for matrix, g in zip(path, gain, strict=True)]
    chain = draw_chain(rng, black_and_white=is_neutral(still), archival_share=archival_share)
    degraded = [run(chain, target, rng) for target in targets]
    return Clip(np.stack(degraded), np.stack(targets), path, gain.astype(np.float32))


def camera_path(
    rng: Rng,
    size_wh: tuple[int, int],
    frames: int,
    *,
    pan: Range = (0.0, 0.006),
    zoom: Range = (-0.004, 0.004),
    turn: Range = (-0.4, 0.4),
    sway: Range = (0.0, 0.01),
    weave: Range = (0.0, 0.0008),
) -> NDArray[np.float64]:
    """Pan, zoom and turn at an even speed, with a slow sway and the unsteadiness of a gate.

    Args:
        rng: draws the path.
        size_wh: width and height of a frame.
        frames: how many.
        pan: in shorter sides per frame, in any direction.
        zoom: logarithm of the scale, per frame.
        turn: in degrees per frame, about the middle.
        sway: amplitude in shorter sides; its period is 10 to 60 frames.
        weave: standard deviation in shorter sides, independent in each frame.

    Returns:
        (frames, 2, 3) `frame_from_first`, see `Clip`.
    """
    side = min(size_wh)
    middle = (np.array(size_wh) - 1) / 2
    time = np.arange(frames)
    direction, phase = rng.uniform(0, 2 * np.pi, 2)
    speed, growth, spin = rng.uniform(*pan) * side, rng.uniform(*zoom), np.radians(rng.uniform(*turn))
    swing = rng.uniform(*sway) * side * np.sin(2 * np.pi * time / rng.uniform(*_SWAY_FRAMES) + phase)
    along = np.array([np.cos(direction), np.sin(direction)])
    aside = np.array([-along[1], along[0]])
    shift = speed * time[:, None] * along + swing[:, None] * aside
    shift += rng.uniform(*weave) * side * rng.standard_normal((frames, 2))
    shift -= shift[0]
    scale, angle = np.exp(growth * time), spin * time
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], axis=1)
    return np.concatenate([linear, (middle + shift - linear @ middle)[:, :, None]], axis=2)


def _moved(still: Image, frame_from_first_2x3: NDArray[np.float64]) -> Image:
    height, width = still.shape[:2]
    # Lanczos, so that moved frames are hardly softer than the first, which is the portrait itself.
    moved = cv2.warpAffine(
        still, frame_from_first_2x3, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, np.float32).reshape(still.shape)
