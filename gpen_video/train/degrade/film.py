"""What film does to a picture: grain by stock, halation, blur of an unsteady gate."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.train.degrade.images import Image, Range, Rng, clip, correlated_noise, luma, scale_of

_APERTURE_UM2 = np.pi * 24.0**2
"""The 48 micrometre spot through which RMS granularity is measured (ISO 10505)."""
_SCANNER_BLUR = 0.4
"""Standard deviation of a scanner's spot, in its own pixels: about that of a square pixel with a little lens blur."""
_WHITE_GAMMA = 2.2


@dataclass(frozen=True, slots=True)
class Stock:
    """A film gauge with the grain of the emulsions that were sold in it."""

    name: str
    frame_mm: float
    """Height of the camera aperture (SMPTE ST 59, ST 7; regular 8 mm)."""
    granularity: Range
    """Diffuse RMS granularity times 1000; Kodak's data sheets give 10 (Plus-X), 14 (Double-X), 17 (Tri-X)."""
    grain_um: Range
    """Standard deviation, in micrometres of film, of the spot that one clump of grain becomes in the print."""
    contrast: Range
    """Slope of the print (or of the reversal process) by which the negative's grain is amplified."""

    def pixel_um(self, lines: float) -> float:
        """Micrometres of film under one pixel of a scan with so many lines."""
        return 1000 * self.frame_mm / lines


STOCKS = (
    Stock("8 mm", 3.51, granularity=(9, 17), grain_um=(3.5, 7), contrast=(1.5, 2.5)),
    Stock("16 mm", 7.49, granularity=(9, 20), grain_um=(3.5, 7), contrast=(2.0, 2.7)),
    Stock("35 mm", 16.0, granularity=(9, 22), grain_um=(3.5, 7), contrast=(2.0, 2.7)),
)


def film_grain(
    image: Image, rng: Rng, strength: Range = (2.0, 18.0), width: Range = (0.4, 1.2), colour: Range = (0.0, 0.0)
) -> Image:
    """Grain: strongest in the middle tones, correlated over about a pixel.

    The envelope 0.35 + 2.6 Y (1 - Y) is 1 at middle grey: a negative's grain shows in the highlights, the print's own
    in the shadows (density noise grows as the root of density), and neither where the print is clear or black.

    Args:
        image: R'G'B'.
        rng: draws the parameters, then the grain.
        strength: standard deviation at middle grey, in 1/255.
        width: standard deviation of a grain's spot, in pixels of this image.
        colour: share of the variance that is each dye layer's own, 0 for black-and-white stock.
    """
    sigma, spot, own = rng.uniform(*strength) / 255, rng.uniform(*width), rng.uniform(*colour)
    grain = correlated_noise(image.shape[:2], rng, spot)[:, :, None]
    if own > 0:
        layers = correlated_noise(image.shape, rng, spot)
        grain = np.float32(np.sqrt(1 - own)) * grain + np.float32(np.sqrt(own)) * layers
    tone = luma(image)[:, :, None]
    return clip(image + grain * (np.float32(sigma) * (0.35 + 2.6 * tone * (1 - tone))))


def stock_grain(
    image: Image, rng: Rng, stock: Stock, lines: Range = (480.0, 1080.0), colour: Range = (0.0, 0.0)
) -> Image:
    """The grain that `stock` shows in a scan of so many `lines`, of which each pixel of `image` is one.

    Args:
        image: R'G'B' at the scan's own resolution.
        rng: draws the parameters, then the grain.
        stock: gauge and emulsion.
        lines: of the whole scanned frame.
        colour: as in `film_grain`.
    """
    strength, width = grain_of(stock, rng.uniform(*lines), rng)
    return film_grain(image, rng, (strength, strength), (width, width), colour)


def grain_of(stock: Stock, lines: float, rng: Rng) -> tuple[float, float]:
    """Strength (1/255 at middle grey) and width (pixels) of the grain that a scan of so many lines sees.

    Selwyn's law: grain is white noise of density, whose power per area follows from the granularity G measured through
    an aperture A as G^2 A. Seen through a Gaussian of standard deviation s it has the deviation G sqrt(A / (4 pi)) / s.
    A change dD of density changes R'G'B' = 10^(-D / 2.2) by -V ln(10) / 2.2 dD.
    """
    pixel = stock.pixel_um(lines)
    spot_um = float(np.hypot(rng.uniform(*stock.grain_um), _SCANNER_BLUR * pixel))
    granularity = rng.uniform(*stock.granularity) / 1000
    density = rng.uniform(*stock.contrast) * granularity * np.sqrt(_APERTURE_UM2 / (4 * np.pi)) / spot_um
    return float(255 * 0.5 * np.log(10) / _WHITE_GAMMA * density), spot_um / pixel


def halation(
    image: Image,
    rng: Rng,
    radius: Range = (6.0, 24.0),
    strength: Range = (0.1, 0.4),
    tint: tuple[float, float, float] = (1.0, 0.4, 0.15),
) -> Image:
    """Light that the film's base throws back: a glow about what is bright, reddest in colour film.

    Args:
        image: R'G'B'.
        rng: draws radius and strength.
        radius: standard deviation of the glow, in pixels of a reference face.
        strength: share of the light above half of white that comes back.
        tint: how much of it reaches red, green and blue; three times 1 for black-and-white stock.
    """
    sigma, share = rng.uniform(*radius) * scale_of(image), rng.uniform(*strength)
    light = np.square(image)
    excess = np.maximum(luma(light) - np.float32(0.5), 0)
    shrink = max(1.0, sigma / 2)
    height, width = excess.shape
    small = cv2.resize(
        excess, (max(1, round(width / shrink)), max(1, round(height / shrink))), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), max(sigma / shrink, 0.1), borderType=cv2.BORDER_REFLECT_101)
    glow = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 1)
    return clip(np.sqrt(light + glow * (np.float32(2 * share) * np.asarray(tint, np.float32))))


def weave_blur(image: Image, rng: Rng, length: Range = (2.0, 10.0), tilt: Range = (-0.3, 0.3)) -> Image:
    """Blur along a line: film that moves in the gate while it is exposed, or a camera that shakes.

    Args:
        image: R'G'B'.
        rng: draws length and direction.
        length: of the line, in pixels of a reference face.
        tilt: direction in radians from the vertical, along which film travels.
    """
    reach, angle = rng.uniform(*length) * scale_of(image), rng.uniform(*tilt)
    kernel = line_kernel(reach * np.sin(angle), reach * np.cos(angle))
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), np.float32)


def line_kernel(across: float, down: float) -> NDArray[np.float32]:
    """A point smeared evenly along a line of so many pixels, shared between its four neighbours; sums to 1."""
    radius = int(np.ceil(max(abs(across), abs(down)) / 2)) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    along = (np.arange(64) + 0.5) / 64 - 0.5
    x, y = radius + across * along, radius + down * along
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for column, row in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = np.abs(1 - column - (x - left)) * np.abs(1 - row - (y - top))
        np.add.at(kernel, (top + row, left + column), weight / len(along))
    return kernel.astype(np.float32)
