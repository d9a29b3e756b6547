"""Synthetic low quality for training: each degradation a small function of an image and an explicit generator.

Images are (H, W, 3) float32 R'G'B' in 0..1 of any size; nothing is written into what was given, and the same generator
state gives the same image. Ranges are arguments, each a (lowest, highest) pair drawn from evenly. Only numpy and
OpenCV are needed, so that training runs where nothing else is installed.

| module | degradations |
| --- | --- |
| `chain` | the published chain: blur, down-sampling, noise, JPEG |
| `film` | grain by stock, halation, blur by an unsteady gate |
| `marks` | scratches, dust, hairs |
| `tone`, `spectral` | contrast, fading, flicker; black and white: given to both images of a pair |
| `tape` | combing, bandwidth of chroma and luma, noise, jitter, head switching, dropouts |
| `codec` | MPEG-1/2, H.263, Cinepak |
| `mixture` | plausible chains of all of them, and the pairs to train on |
| `motion` | the same over short clips with known motion |
| `sheet` | all of them on one sheet |
"""

from gpen_video.train.degrade.chain import (
    MILD,
    PUBLISHED,
    USUAL,
    Ranges,
    blur,
    downsample,
    gaussian_kernel,
    gaussian_noise,
    jpeg,
    published,
)
from gpen_video.train.degrade.codec import cinepak, h263, mpeg
from gpen_video.train.degrade.film import STOCKS, Stock, film_grain, halation, stock_grain, weave_blur
from gpen_video.train.degrade.images import Image, Range, Rng
from gpen_video.train.degrade.marks import dust, hairs, scratches
from gpen_video.train.degrade.mixture import ARCHIVAL_SHARE, archival, training_pair
from gpen_video.train.degrade.motion import Clip, camera_path, training_clip
from gpen_video.train.degrade.sheet import contact_sheet
from gpen_video.train.degrade.spectral import (
    BLUE_SENSITIVE,
    ORTHOCHROMATIC,
    PANCHROMATIC,
    black_and_white,
    grey,
)
from gpen_video.train.degrade.tape import (
    chroma_bleed,
    combing,
    dropouts,
    head_switching,
    line_jitter,
    luma_ringing,
    tape_noise,
)
from gpen_video.train.degrade.tone import dye_fade, flicker, tone

__all__ = [
    "ARCHIVAL_SHARE",
    "BLUE_SENSITIVE",
    "MILD",
    "ORTHOCHROMATIC",
    "PANCHROMATIC",
    "PUBLISHED",
    "STOCKS",
    "USUAL",
    "Clip",
    "Image",
    "Range",
    "Ranges",
    "Rng",
    "Stock",
    "archival",
    "black_and_white",
    "blur",
    "camera_path",
    "chroma_bleed",
    "cinepak",
    "combing",
    "contact_sheet",
    "downsample",
    "dropouts",
    "dust",
    "dye_fade",
    "film_grain",
    "flicker",
    "gaussian_kernel",
    "gaussian_noise",
    "grey",
    "h263",
    "hairs",
    "halation",
    "head_switching",
    "jpeg",
    "line_jitter",
    "luma_ringing",
    "mpeg",
    "published",
    "scratches",
    "stock_grain",
    "tape_noise",
    "tone",
    "training_clip",
    "training_pair",
    "weave_blur",
]
