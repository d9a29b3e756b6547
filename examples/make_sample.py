"""Make `examples/sample.mp4`, the clip of the README: a portrait that never was on film, aged as if it had been.

    python examples/make_sample.py [TARGET]

The portrait is scikit-image's `astronaut` (Eileen Collins; NASA, public domain). It is moved as a hand-held camera
would, turned black and white, softened, grained, scratched and dusted by the project's own degradations with a fixed
seed, and compressed once. A quiet hum stands for the optical sound, so that there is sound to carry over.
"""

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

from gpen_video.train.degrade import dust, film_grain, grey, scratches

WIDTH, HEIGHT, FRAMES, RATE = 384, 288, 96, 24
SOUND_RATE = 48_000
SEED = 1912


def camera(index: int) -> np.ndarray:
    """(2, 3) view_from_portrait: a slow push in with a little sway and gate weave."""
    t = index / (FRAMES - 1)
    zoom = 0.82 + 0.10 * t
    weave = np.random.default_rng((SEED, index)).normal(0, 0.25, 2)
    focus = np.array([252 + 9 * np.sin(5 * t), 148 + 6 * np.cos(4 * t)])
    angle = np.radians(1.5 * np.sin(3 * t))
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([WIDTH / 2, HEIGHT * 0.38]) + weave - turn @ focus
    return np.column_stack([turn, shift])


def frame(portrait: np.ndarray, index: int) -> np.ndarray:
    """One aged frame, (HEIGHT, WIDTH, 3) uint8."""
    rng = np.random.default_rng((SEED, 1, index))
    view = cv2.warpAffine(
        portrait, camera(index), (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101
    )
    view = grey(view, np.random.default_rng(SEED))
    view = cv2.GaussianBlur(view, (0, 0), 1.9)
    view = np.float32(0.06) + np.float32(0.84 + 0.02 * np.sin(index * 1.7)) * view
    view = film_grain(view, rng, strength=(8.0, 8.0))
    if index % 3 == 0:
        view = dust(view, rng)
    if 30 <= index < 70:
        view = scratches(view, np.random.default_rng((SEED, 2, index // 20)))
    return np.round(np.clip(view, 0, 1) * 255).astype(np.uint8)


def hum() -> np.ndarray:
    """(1, samples) int16: 100 Hz and a little hiss."""
    samples = SOUND_RATE * FRAMES // RATE
    time = np.arange(samples) / SOUND_RATE
    hiss = np.random.default_rng(SEED).normal(0, 60, samples)
    return (400 * np.sin(2 * np.pi * 100 * time) + hiss).astype(np.int16)[None]


def main(target: Path) -> None:
    """Write the clip."""
    portrait = astronaut().astype(np.float32) / np.float32(255)
    with av.open(str(target), "w", options={"movflags": "+faststart"}) as film:
        film.metadata["title"] = "Sample of gpen-video: an aged portrait"
        video = film.add_stream("libx264", rate=RATE, options={"crf": "26", "preset": "slow"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = film.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for index in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(frame(portrait, index), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            film.mux(video.encode(picture))
        film.mux(video.encode(None))
        chunk = av.AudioFrame.from_ndarray(hum(), format="s16", layout="mono")
        chunk.sample_rate, chunk.pts = SOUND_RATE, 0
        film.mux(sound.encode(chunk))
        film.mux(sound.encode(None))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sample.mp4"))
