"""How a result will be put together, as `plan_carriage` finds it out and `assemble` does it."""

from dataclasses import dataclass, field
from typing import Literal

from gpen_video.config.schema import EncodeSettings
from gpen_video.media.encode import EncoderPlan
from gpen_video.media.probe import PictureDetails
from gpen_video.media.sequence import ImageNames


@dataclass(frozen=True, slots=True)
class CarriedStream:
    """A stream of the result."""

    source_index: int
    """Which stream of the source it comes from."""
    action: Literal["restored", "copied", "converted"]
    codec: str | None = None
    """What text is converted to."""


@dataclass(frozen=True, slots=True)
class Carriage:
    """How the result will be put together, found out before work starts."""

    container: str
    """FFmpeg's name of the writer."""
    streams: tuple[CarriedStream, ...]
    """In the order of the result, which is the source's."""
    details: PictureDetails
    encoder: EncoderPlan
    writer_options: dict[str, str]
    notes: tuple[str, ...]
    """What will differ without being lost, one line each."""
    losses: tuple[str, ...]
    """What the result cannot hold, one line each; empty if all comes along."""
    images: ImageNames | None = None
    """The names of the result's files, if it is an image sequence."""
    settings: EncodeSettings = field(default_factory=EncodeSettings)
    """With which `encode` is to be called: the user's, or what an image sequence makes of them."""
