"""Whole chains for training: what a face went through from the scene to the file.

A chain is drawn once, as steps whose parameters are fixed, and then run on one image or on every frame of a clip: what
belongs to lens, stock, transfer and codec stays, while grain, dust and noise come from the generator given to `run`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np

from gpen_video.train.degrade.chain import (
    MILD,
    PUBLISHED,
    USUAL,
    Ranges,
    blur,
    downsample,
    enlarged,
    gaussian_noise,
    jpeg,
)
from gpen_video.train.degrade.codec import cinepak, h263, mpeg
from gpen_video.train.degrade.film import STOCKS, film_grain, grain_of, halation, weave_blur
from gpen_video.train.degrade.images import Image, Range, Rng, Step, is_neutral
from gpen_video.train.degrade.marks import dust, hairs, scratches
from gpen_video.train.degrade.spectral import grey
from gpen_video.train.degrade.tape import (
    chroma_bleed,
    combing,
    dropouts,
    head_switching,
    line_jitter,
    luma_ringing,
    tape_noise,
)
from gpen_video.train.degrade.tone import dye_fade, tone

Steps = tuple[Step, ...]

_LENS_BLUR: Range = (0.5, 5.0)
_ARCHIVAL_DOWN: Range = (1.0, 5.0)
_SCANNER_NOISE: Range = (0.0, 6.0)
_SCAN_LINES: Range = (480.0, 1080.0)
_STOCK_SHARES = (0.15, 0.35, 0.5)
_GREY_TINT = (1.0, 1.0, 1.0)


def held(degradation: Callable[..., Image], rng: Rng, **ranges: object) -> Step:
    """`degradation` with all that it draws fixed now, the same in every frame."""
    seed = int(rng.integers(2**63))
    return lambda image, _: degradation(image, np.random.default_rng(seed), **ranges)


def chosen(rng: Rng, bounds: Range) -> Range:
    """A range of one value out of `bounds`."""
    value = float(rng.uniform(*bounds))
    return value, value


def run(steps: Sequence[Step], image: Image, rng: Rng, enlarge: int = cv2.INTER_CUBIC) -> Image:
    """Send an image through a chain and bring it back to its size; `rng` draws what is new in each frame."""
    small = image
    for step in steps:
        small = step(small, rng)
    return enlarged(small, image, enlarge)


def draw_published(rng: Rng, ranges: Ranges) -> Steps:
    """The published chain with its parameters chosen."""
    return (
        held(blur, rng, sigma=ranges.blur_sigma),
        held(downsample, rng, factor=ranges.down),
        partial(gaussian_noise, sigma=chosen(rng, ranges.noise)),
        held(jpeg, rng, quality=ranges.jpeg),
    )


def draw_archival(rng: Rng, *, black_and_white: bool) -> Steps:
    """Film, film on tape, tape, or early digital video, with its parameters chosen.

    Args:
        rng: draws the chain.
        black_and_white: no dyes and no colour signal.
    """
    origin = rng.choice(["film", "film on tape", "tape", "digital"], p=(0.5, 0.12, 0.2, 0.18))
    steps = [held(blur, rng, sigma=_LENS_BLUR)]
    if rng.random() < 0.15:
        steps.append(held(weave_blur, rng))
    steps.append(held(downsample, rng, factor=_ARCHIVAL_DOWN))
    if "film" in origin:
        steps += _film(rng, black_and_white)
    if "tape" in origin:
        steps += _tape(rng, black_and_white, interlaced=origin == "tape")
    steps.append(partial(gaussian_noise, sigma=chosen(rng, _SCANNER_NOISE)))
    return (*steps, *_codec(rng, early=origin == "digital"))


def _film(rng: Rng, black_and_white: bool) -> list[Step]:
    steps: list[Step] = []
    if rng.random() < 0.25:
        steps.append(held(halation, rng, **({"tint": _GREY_TINT} if black_and_white else {})))
    stock = STOCKS[int(rng.choice(len(STOCKS), p=_STOCK_SHARES))]
    strength, width = grain_of(stock, rng.uniform(*_SCAN_LINES), rng)
    own = 0.0 if black_and_white else float(rng.uniform(0, 0.7))
    steps.append(partial(film_grain, strength=(strength, strength), width=(width, width), colour=(own, own)))
    if rng.random() < 0.2:
        steps.append(held(scratches, rng))
    if rng.random() < 0.3:
        steps.append(dust)
    if rng.random() < 0.08:
        steps.append(hairs)
    return steps


def _tape(rng: Rng, black_and_white: bool, *, interlaced: bool) -> list[Step]:
    steps: list[Step] = []
    if interlaced and rng.random() < 0.35:
        steps.append(held(combing, rng))
    steps.append(held(luma_ringing, rng))
    if not black_and_white:
        steps.append(held(chroma_bleed, rng))
    steps.append(partial(tape_noise, luma=chosen(rng, (1.0, 8.0)), chroma=chosen(rng, (0.5, 3.5))))
    if rng.random() < 0.3:
        steps.append(partial(line_jitter, samples=chosen(rng, (0.1, 0.8))))
    if rng.random() < 0.15:
        steps.append(dropouts)
    if rng.random() < 0.04:
        steps.append(
            partial(head_switching, height=chosen(rng, (0.015, 0.06)), skew=chosen(rng, (-40, 40)), noise=(5, 40))
        )
    return steps


def _codec(rng: Rng, *, early: bool) -> list[Step]:
    """The codec of the transfer, or of the camera or web clip where there was nothing else."""
    name = rng.choice(["none", "jpeg", "mpeg", "h263", "cinepak"], p=_CODEC_SHARES[early])
    codecs: dict[str, list[Step]] = {
        "none": [],
        "jpeg": [held(jpeg, rng, quality=(30, 95))],
        "mpeg": [held(mpeg, rng)],
        "h263": [held(h263, rng)],
        "cinepak": [held(cinepak, rng)],
    }
    return codecs[str(name)]


_CODEC_SHARES = {False: (0.15, 0.45, 0.4, 0.0, 0.0), True: (0.0, 0.1, 0.4, 0.3, 0.2)}


def archival(image: Image, rng: Rng, enlarge: int = cv2.INTER_CUBIC) -> Image:
    """Film, tape or early digital video: one plausible chain in physical order.

    Lens and motion, the source's resolution, then what the medium adds (halation, grain, marks; combing, bandwidth,
    noise of a tape), the scanner's noise, the codec, and the enlargement to the face's size.
    """
    return run(draw_archival(rng, black_and_white=is_neutral(image)), image, rng, enlarge)


def draw_grade(rng: Rng) -> Steps:
    """What both images of a pair get: black and white (3 in 10), contrast (half), faded dyes (1 in 14 of the rest)."""
    steps: list[Step] = []
    in_colour = rng.random() >= 0.3
    if not in_colour:
        steps.append(held(grey, rng))
    elif rng.random() < 0.07:
        steps.append(held(dye_fade, rng))
    if rng.random() < 0.5:
        steps.append(held(tone, rng))
    return tuple(steps)


ARCHIVAL_SHARE = 0.45
"""Of archival chains in the mixture, where nothing else is asked for."""


def draw_chain(rng: Rng, *, black_and_white: bool, archival_share: float = ARCHIVAL_SHARE) -> Steps:
    """What only the degraded image gets: archival, or of the rest published ranges 6, usual 4 and mild 1 in 11."""
    chance = rng.random()
    if chance >= 1 - archival_share:
        return draw_archival(rng, black_and_white=black_and_white)
    chance *= 11 / (1 - archival_share)
    return draw_published(rng, PUBLISHED if chance < 6 else USUAL if chance < 10 else MILD)


def training_pair(image: Image, rng: Rng, archival_share: float = ARCHIVAL_SHARE) -> tuple[Image, Image]:
    """A (degraded, target) pair of the mixture that the shipped network is trained on.

    Three in ten are black and white in both, so that the network does not colour; tone changes are in both as well:
    the film's grading is not ours to undo. Faces are enlarged as `faces.align` enlarges them, with cubic interpolation.
    """
    target = image.copy()
    for step in draw_grade(rng):
        target = step(target, rng)
    chain = draw_chain(rng, black_and_white=is_neutral(target), archival_share=archival_share)
    return run(chain, target, rng), target
