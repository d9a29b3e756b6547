"""The weights that can be named: one readable table, nothing computed.

Sizes and hashes are those recorded by independent public repositories; the authors of GPEN publish none. Where none is
known, the hash of the first download is kept beside the file and checked from then on (trust on first use), and the
keys and shapes are always checked strictly.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from gpen_video.errors import UnknownWeightsError

Architecture = Literal["gpen", "retinaface-mobile0.25", "retinaface-resnet50", "parsenet", "bisenet", "arcface-ir-se50"]
Task = Literal["restore", "colourise", "inpaint", "labels-to-face", "detect", "parse", "recognise"]
Template = Literal["gpen", "ffhq"]


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights."""

    name: str
    url: str | None
    """Where it is fetched from; `None` for what comes with the program."""
    sha256: str | None
    """`None` where nobody recorded it, and for what comes with the program (see ``data/SHA256SUMS``)."""
    bytes: int | None
    """Size of the file; `None` where nobody recorded it."""
    architecture: Architecture
    task: Task
    terms: str
    description: str
    config: Mapping[str, int | float] = field(default_factory=dict)
    """What the file is published as; the network itself is built from the file's own shapes."""
    template: Template | None = None
    """The face crop that it was trained on; `None` for what is no GPEN."""
    shipped: str | None = None
    """Name of the file in the package's ``data`` folder."""

    def __post_init__(self) -> None:
        if (self.url is None) == (self.shipped is None):
            raise ValueError(f"{self.name}: either {self.url = } or {self.shipped = } must be given")

    @property
    def file_name(self) -> str:
        """The name that it has on disk, whatever it is called where it is fetched from."""
        return self.shipped or f"{self.name}.{(self.url or '').rpartition('.')[2]}"


OWN: Final = "Apache-2.0, as this program"
FACEXLIB: Final = "MIT, with facexlib"
GPEN: Final = (
    "no licence granted by the authors; earlier snapshots said academic and non-commercial use only; "
    "use only what your own terms allow"
)

_AUTHORS: Final = "https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models/"
_MODELSCOPE: Final = (
    "https://www.modelscope.cn/models/iic/cv_gpen_image-portrait-enhancement-hires/resolve/master/"  # authors' upload
)
_FACEXLIB: Final = "https://github.com/xinntao/facexlib/releases/download/"

_TABLE: Final = (
    Weights(
        name="gpen-lite-256",
        url=None,
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="restore",
        terms=OWN,
        description="the default: small and quick, our own training, comes with the program",
        config={"size": 256},
        template="gpen",
        shipped="gpen-lite-256.safetensors",
    ),
    Weights(
        name="gpen-lite-256-soft",
        url=None,
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="restore",
        terms=OWN,
        description="the same, trained on without a discriminator: softer, nearer to the pixels; also comes along",
        config={"size": 256},
        template="gpen",
        shipped="gpen-lite-256-soft.safetensors",
    ),
    Weights(
        name="gpen-bfr-256",
        url=f"{_AUTHORS}GPEN-BFR-256.pth",
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="restore",
        terms=GPEN,
        description="published, light, about 76 MB; clearly weaker than 512",
        config={"size": 256, "channel_multiplier": 1, "narrow": 0.5},
        template="gpen",
    ),
    Weights(
        name="gpen-bfr-512",
        url=f"{_AUTHORS}GPEN-BFR-512.pth",
        sha256="f1002c41add95b0decad69604d80455576f7187dd99ca16bd611bcfd44c10b51",
        bytes=284_085_738,
        architecture="gpen",
        task="restore",
        terms=GPEN,
        description="published, the authors' default",
        config={"size": 512, "channel_multiplier": 2, "narrow": 1.0},
        template="gpen",
    ),
    Weights(
        name="gpen-bfr-1024",
        url=f"{_MODELSCOPE}pytorch_model.pt",
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="restore",
        terms=GPEN,
        description="published, for faces above 512 pixels, about 285 MB",
        config={"size": 1024, "channel_multiplier": 2, "narrow": 1.0},
        template="gpen",
    ),
    Weights(
        name="gpen-bfr-2048",
        url=f"{_MODELSCOPE}pytorch_model-2048.pt",
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="restore",
        terms=GPEN,
        description="published, for close-ups in 4K and above, about 285 MB",
        config={"size": 2048, "channel_multiplier": 2, "narrow": 1.0},
        template="gpen",
    ),
    Weights(
        name="gpen-colorization-1024",
        url=f"{_AUTHORS}GPEN-Colorization-1024.pth",
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="colourise",
        terms=GPEN,
        description="published, grey face to colour, about 285 MB",
        config={"size": 1024, "channel_multiplier": 2, "narrow": 1.0},
        template="gpen",
    ),
    Weights(
        name="gpen-inpainting-1024",
        url=f"{_AUTHORS}GPEN-Inpainting-1024.pth",
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="inpaint",
        terms=GPEN,
        description="published, fills white brush strokes, about 285 MB",
        config={"size": 1024, "channel_multiplier": 2, "narrow": 1.0},
        template="gpen",
    ),
    Weights(
        name="gpen-seg2face-512",
        url=f"{_AUTHORS}GPEN-Seg2face-512.pth",
        sha256=None,
        bytes=None,
        architecture="gpen",
        task="labels-to-face",
        terms=GPEN,
        description="published, draws a face from a colour map of labels; input and output 0 to 1, about 284 MB",
        config={"size": 512, "channel_multiplier": 2, "narrow": 1.0},
        template="gpen",
    ),
    Weights(
        name="retinaface-mobile0.25",
        url=None,
        sha256=None,
        bytes=None,
        architecture="retinaface-mobile0.25",
        task="detect",
        terms=OWN,
        description="the default detector: our own training, comes with the program",
        shipped="retinaface-mobile0.25.safetensors",
    ),
    Weights(
        name="retinaface-resnet50",
        url=f"{_FACEXLIB}v0.1.0/detection_Resnet50_Final.pth",
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        bytes=109_497_761,
        architecture="retinaface-resnet50",
        task="detect",
        terms=FACEXLIB,
        description="facexlib's large detector, the one that GPEN's authors use",
    ),
    Weights(
        name="bisenet",
        url=f"{_FACEXLIB}v0.2.0/parsing_bisenet.pth",
        sha256=None,
        bytes=None,
        architecture="bisenet",
        task="parse",
        terms=FACEXLIB,
        description="sees hair, glasses and hats in front of a face; five times the work of restoring at 256",
    ),
    Weights(
        name="parsenet",
        url=f"{_FACEXLIB}v0.2.2/parsing_parsenet.pth",
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        bytes=85_331_193,
        architecture="parsenet",
        task="parse",
        terms=FACEXLIB,
        description="the same, by the network that GPEN's authors use; 80 times the work of restoring at 256",
    ),
    Weights(
        name="arcface-ir-se50",
        url=f"{_FACEXLIB}v0.1.0/recognition_arcface_ir_se50.pth",
        sha256="a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        bytes=None,
        architecture="arcface-ir-se50",
        task="recognise",
        terms=FACEXLIB,
        description="knows persons apart, to guard their likeness; about 175 MB",
    ),
)

REGISTRY: Final[Mapping[str, Weights]] = MappingProxyType({weights.name: weights for weights in _TABLE})
"""The table by name."""


def by_name(name: str) -> Weights:
    """The entry of that name.

    Raises:
        UnknownWeightsError: there is none.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    close = difflib.get_close_matches(name.lower(), REGISTRY, n=1)
    advice = f"did you mean {close[0]}?" if close else "`gpen-video weights list` shows the names"
    raise UnknownWeightsError(f"{name}: no weights of this name, and no such file; {advice}")
