"""All degradations on one sheet, to be looked at."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np

from gpen_video.train.degrade import chain, codec, film, marks, mixture, spectral, tape, tone
from gpen_video.train.degrade.images import Image, Step

_COLUMNS = 9
_CAPTION = 18

_BLACK_AND_WHITE = {
    "panchromatic": spectral.PANCHROMATIC,
    "orthochromatic": spectral.ORTHOCHROMATIC,
    "blue-sensitive": spectral.BLUE_SENSITIVE,
}
# Degradation, its argument, the values shown.
_STRENGTHS: tuple[tuple[Callable[..., Image], str, tuple[float, ...]], ...] = (
    (chain.blur, "sigma", (2, 5, 10)),
    (film.weave_blur, "length", (4, 8, 16)),
    (chain.downsample, "factor", (2, 4, 8)),
    (chain.gaussian_noise, "sigma", (5, 10, 20)),
    (chain.jpeg, "quality", (60, 30, 15)),
    (film.halation, "strength", (0.1, 0.25, 0.4)),
    (film.film_grain, "strength", (4, 9, 18)),
    (marks.scratches, "opacity", (0.1, 0.3, 0.5)),
    (marks.dust, "size", (0.003, 0.007, 0.012)),
    (marks.hairs, "length", (30, 80, 160)),
    (tone.flicker, "stops", (-0.25, 0.1, 0.25)),
    (tone.dye_fade, "cyan", (0.9, 0.65, 0.4)),
    (tape.combing, "across", (2, 5, 10)),
    (tape.chroma_bleed, "bandwidth_mhz", (0.6, 0.4, 0.25)),
    (tape.luma_ringing, "bandwidth_mhz", (3.2, 2.4, 1.6)),
    (tape.tape_noise, "luma", (2, 5, 8)),
    (tape.line_jitter, "samples", (0.2, 0.5, 0.8)),
    (tape.head_switching, "height", (0.015, 0.03, 0.06)),
    (tape.dropouts, "length", (15, 45, 90)),
    (codec.mpeg, "quantiser", (4, 10, 20)),
    (codec.h263, "quantiser", (6, 12, 24)),
    (codec.cinepak, "entries", (64, 32, 16)),
)


def contact_sheet(image: Image, seed: int) -> Image:
    """Every degradation of a portrait at several strengths, named, and whole chains of the mixture.

    Args:
        image: (H, W, 3) R'G'B'.
        seed: of all that is random.

    Returns:
        (rows * (H + 18), 9 W, 3) R'G'B'.
    """
    cells = [
        _captioned(chain.enlarged(step(image, np.random.default_rng((seed, index))), image, cv2.INTER_CUBIC), name)
        for index, (name, step) in enumerate(_entries())
    ]
    cells += [np.ones_like(cells[0])] * (-len(cells) % _COLUMNS)
    return np.vstack([np.hstack(cells[first : first + _COLUMNS]) for first in range(0, len(cells), _COLUMNS)])


def _entries() -> Iterator[tuple[str, Step]]:
    yield "as it is", lambda image, _: image
    yield "contrast", tone.tone
    for name, weights in _BLACK_AND_WHITE.items():
        yield name, partial(_black_and_white, weights=weights)
    for stock in film.STOCKS:
        yield f"stock grain {stock.name}", partial(film.stock_grain, stock=stock)
    yield "colour grain", partial(film.film_grain, colour=(0.6, 0.6))
    for function, argument, values in _STRENGTHS:
        for value in values:
            options: dict[str, Any] = {argument: (value, value)}
            yield f"{function.__name__.replace('_', ' ')} {value:g}", partial(function, **options)
    for ranges, name in ((chain.PUBLISHED, "published"), (chain.USUAL, "usual"), (chain.MILD, "mild")):
        for number in range(1, 4):
            yield f"{name} {number}", partial(chain.published, ranges=ranges, enlarge=cv2.INTER_CUBIC)
    for number in range(1, 19):
        yield f"archival {number}", mixture.archival


def _black_and_white(image: Image, _: np.random.Generator, weights: spectral.Weights) -> Image:
    return spectral.black_and_white(image, weights)


def _captioned(cell: Image, name: str) -> Image:
    width = cell.shape[1]
    strip = np.full((_CAPTION, width, 3), 255, np.uint8)
    cv2.putText(strip, name, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, min(0.42, width / 480), (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip.astype(np.float32) / np.float32(255), cell])
