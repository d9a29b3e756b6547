"""What analogue video does to a picture, above all VHS.

Every pixel is a sample of the standard-definition raster, 13.5 million a second (ITU-R BT.601-7), and every row a
line; only motion scales with the image. Bandwidths are where a signal has lost 3 dB: a Gaussian low-pass of f MHz has
the standard deviation sqrt(ln 2) / (2 pi f), which is 1.79 / f samples.

Ranges: VHS records luma to about 3 MHz and chroma to about 0.5 MHz (IEC 60774-1; Poynton, *Digital Video and
HDTV*), and each further generation loses some of it.
"""

import cv2
import numpy as np

from gpen_video.train.degrade.images import (
    Image,
    Range,
    Rng,
    clip,
    correlated_noise,
    filter_separably,
    gaussian_taps,
    rgb_from_ycc,
    scale_of,
    ycc_from_rgb,
)

SAMPLES_PER_US = 13.5
_ONE = np.ones((1, 1))


def lowpass_sigma(bandwidth_mhz: float) -> float:
    """Samples of standard deviation of the Gaussian that loses 3 dB there."""
    return float(SAMPLES_PER_US * np.sqrt(np.log(2)) / (2 * np.pi * bandwidth_mhz))


def combing(image: Image, rng: Rng, across: Range = (-10.0, 10.0), down: Range = (-1.0, 1.0)) -> Image:
    """Two fields of different instants in one frame: odd lines from the picture a fiftieth of a second later.

    Args:
        image: R'G'B'.
        rng: draws the motion between the fields.
        across: how far the face moves to the right, in pixels of a reference face: near faces move farther.
        down: the same downwards.
    """
    x, y = rng.uniform(*across) * scale_of(image), rng.uniform(*down) * scale_of(image)
    shift = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    height, width = image.shape[:2]
    later = cv2.warpAffine(image, shift, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    result = image.copy()
    result[1::2] = later[1::2]
    return result


def chroma_bleed(
    image: Image,
    rng: Rng,
    bandwidth_mhz: Range = (0.25, 0.6),
    delay_us: Range = (-0.05, 0.35),
    lines: Range = (0.0, 2.0),
) -> Image:
    """Colour that is smeared along the line, late, and a line or two too low; luma stays.

    Args:
        image: R'G'B'.
        rng: draws the parameters.
        bandwidth_mhz: of the chroma signal.
        delay_us: of chroma against luma, in microseconds.
        lines: how far chroma has sunk, as it does with each generation.
    """
    sigma, delay = lowpass_sigma(rng.uniform(*bandwidth_mhz)), rng.uniform(*delay_us) * SAMPLES_PER_US
    ycc = ycc_from_rgb(image)
    across, down = gaussian_taps(sigma, delay), gaussian_taps(0.7, rng.uniform(*lines))
    ycc[:, :, 1:] = filter_separably(np.ascontiguousarray(ycc[:, :, 1:]), across, down)
    return clip(rgb_from_ycc(ycc))


def luma_ringing(image: Image, rng: Rng, bandwidth_mhz: Range = (1.6, 3.2), peaking: Range = (0.0, 0.8)) -> Image:
    """Luma of little bandwidth, sharpened again by the player: soft, with bright and dark seams along edges.

    Args:
        image: R'G'B'.
        rng: draws the parameters.
        bandwidth_mhz: of the luma signal.
        peaking: how much of the difference to a softer signal is added.
    """
    sigma, gain = lowpass_sigma(rng.uniform(*bandwidth_mhz)), rng.uniform(*peaking)
    wide = gaussian_taps(2.5 * sigma)
    taps = -gain * wide
    sharp = gaussian_taps(sigma)
    margin = (len(wide) - len(sharp)) // 2
    taps[margin : margin + len(sharp)] += (1 + gain) * sharp
    ycc = ycc_from_rgb(image)
    ycc[:, :, 0] = filter_separably(np.ascontiguousarray(ycc[:, :, 0]), taps, _ONE)
    return clip(rgb_from_ycc(ycc))


def tape_noise(image: Image, rng: Rng, luma: Range = (1.0, 8.0), chroma: Range = (0.5, 3.5)) -> Image:
    """Noise that is drawn out along the line: fine in luma, in streaks in colour.

    Args:
        image: R'G'B'.
        rng: draws the strengths, then the noise.
        luma: standard deviation in 1/255.
        chroma: the same for Cb and Cr.
    """
    strengths = rng.uniform(*luma) / 255, rng.uniform(*chroma) / 255
    noise = np.empty_like(image)
    noise[:, :, 0] = correlated_noise(image.shape[:2], rng, 0.8, 0.3) * np.float32(strengths[0])
    noise[:, :, 1:] = correlated_noise((*image.shape[:2], 2), rng, 3.5, 0.8) * np.float32(strengths[1])
    return clip(image + rgb_from_ycc(noise))


def line_jitter(image: Image, rng: Rng, samples: Range = (0.1, 0.8)) -> Image:
    """Lines that start too early or too late, most of it shared with their neighbours: no time-base corrector.

    Args:
        image: R'G'B'.
        rng: draws the strength, then the jitter.
        samples: standard deviation of a line's displacement.
    """
    height, _width = image.shape[:2]
    strength = rng.uniform(*samples)
    slow, own = correlated_noise((height, 1), rng, 0.1, 6.0), rng.standard_normal((height, 1), np.float32)
    return _displaced(image, np.float32(strength) * (np.float32(0.9) * slow + np.float32(0.43) * own))


def head_switching(
    image: Image, rng: Rng, height: Range = (0.015, 0.06), skew: Range = (-40.0, 40.0), noise: Range = (5.0, 40.0)
) -> Image:
    """The bottom lines, where the player changes heads: pulled aside and noisy.

    Args:
        image: R'G'B'.
        rng: draws the parameters, then the noise.
        height: share of the lines that show it, at least one (6 to 10 of 288 in a whole field).
        skew: displacement of the last line to the right, in samples.
        noise: standard deviation in 1/255.
    """
    count = max(1, round(rng.uniform(*height) * image.shape[0]))
    pull, strength = rng.uniform(*skew), rng.uniform(*noise) / 255
    result = image.copy()
    bottom = image[-count:]
    ramp = np.sqrt(np.arange(1, count + 1, dtype=np.float32) / count)[:, None]
    grain = correlated_noise(bottom.shape[:2], rng, 1.5, 0.1)[:, :, None] * np.float32(strength)
    result[-count:] = clip(_displaced(bottom, np.float32(pull) * ramp) + grain)
    return result


def dropouts(
    image: Image, rng: Rng, count: tuple[int, int] = (1, 5), length: Range = (10.0, 90.0), tone: Range = (0.7, 1.0)
) -> Image:
    """Missing oxide: streaks one line high that begin at once and fade away to the right.

    Half of them are filled by the player with the line before, as its dropout compensator does.

    Args:
        image: R'G'B'.
        rng: draws number, places and lengths.
        count: how many, both ends included.
        length: in samples.
        tone: of a streak that is not compensated.
    """
    result = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(count[0], count[1] + 1))):
        row, first = int(rng.integers(height)), int(rng.integers(width))
        last = min(width, first + max(1, round(rng.uniform(*length))))
        filling = image[max(0, row - 2), first:last] if rng.random() < 0.5 else np.float32(rng.uniform(*tone))
        alpha = np.sqrt(np.linspace(1, 0, last - first, endpoint=False, dtype=np.float32))[:, None]
        result[row, first:last] += alpha * (filling - result[row, first:last])
    return result


def _displaced(image: Image, right_h1: Image) -> Image:
    """Move each row to the right by its own number of samples; edges are drawn out."""
    height, width = image.shape[:2]
    x = np.arange(width, dtype=np.float32)[None] - right_h1
    y = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    moved = cv2.remap(image, np.ascontiguousarray(x), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32).reshape(image.shape)
