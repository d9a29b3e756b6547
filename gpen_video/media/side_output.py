"""Matte and layer as films of their own beside the result: same times, same orientation, names whole or not at all.

The matte is FFV1 in Matroska. The layer is FFV1 with alpha in Matroska, or ProRes 4444 with alpha of 16 bits in a
``.mov``. Both carry the source's tags, timecode, aspect ratio and rotation, so that an editing suite lays them exactly
over the source, but none of its other streams.

Matroska counts in milliseconds. At rates such as 23.976 a program that pairs pictures by their times, not by their
number, may so take the layer's picture before: there a ``.mov`` is better, and FFmpeg's ``overlay`` wants
``setpts=N/TB`` before it, on both.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gpen_video.colour import is_full_range
from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import UsageError
from gpen_video.media.assemble import assemble
from gpen_video.media.carriage import Carriage, CarriedStream
from gpen_video.media.encode import check_encoder
from gpen_video.media.probe import PictureDetails, picture_details
from gpen_video.media.side_data import HdrMetadata
from gpen_video.media.staging import Announce, check_target, staged_output
from gpen_video.types import ColourSpec, PixelFormat, VideoInfo

Kind = Literal["matte", "layer"]

_CONTAINERS: dict[Kind, dict[str, str]] = {
    "matte": {".mkv": "matroska"},
    "layer": {".mkv": "matroska", ".mov": "mov"},
}
_WHY = {"matte": "a matte is FFV1 in Matroska", "layer": "a layer is FFV1 in Matroska or ProRes 4444 in QuickTime"}
_ENCODERS = {
    "matroska": EncodeSettings(codec="ffv1", crf=None, preset=None),
    "mov": EncodeSettings(codec="prores_ks", crf=None, preset=None, options={"profile": "4444", "alpha_bits": "16"}),
}
_CHROMA_WITH_ALPHA = ((1, 1), (1, 0), (0, 0))
"""4:2:0, 4:2:2 and 4:4:4, beside which FFV1 has alpha; ProRes beside 4:4:4 alone."""


@dataclass(frozen=True, slots=True)
class SideOutput:
    """A film that is written beside the result."""

    path: Path
    like: VideoInfo
    """The source, as if its pictures had the format and colour of those that are written here."""
    carriage: Carriage

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its encoder does not keep of the pictures, one line each, for the user."""
        return tuple(f"{self.path}: {line}" for line in self.carriage.encoder.warnings)


def check_side_targets(
    matte: Path | None, layer: Path | None, *, source: Path, target: Path, overwrite: bool = False
) -> None:
    """Check, without writing anything, whether matte and layer may go where they are to go.

    Args:
        matte: Its file, if there is to be one.
        layer: Its file, if there is to be one.
        source: The film that is read.
        target: The result: a file, or an image sequence.
        overwrite: Whether files of these names may be replaced.

    Raises:
        UsageError: An ending that does not go with it, or two of the four are the same file.
        OutputError: See `staging.check_target`.
    """
    wanted: dict[Kind, Path] = {}
    if matte is not None:
        wanted["matte"] = matte
    if layer is not None:
        wanted["layer"] = layer
    taken = {"the result": target}
    for kind, path in wanted.items():
        _container(kind, path)
        for name, other in taken.items():
            if _is_same(path, other):
                raise UsageError(f"{path}: {name} goes there already; choose another name for the {kind}")
        check_target(path, overwrite=overwrite, source=source)
        taken[f"the {kind}"] = path


def needs_full_chroma(layer: Path, source: PixelFormat) -> bool:
    """Whether that layer needs its chroma on the luma grid: ProRes always, FFV1 for 4:4:0, 4:1:1 and 4:1:0."""
    prores = _container("layer", layer) == "mov"
    return prores or (source.log2_chroma_w, source.log2_chroma_h) not in _CHROMA_WITH_ALPHA


def plan_side_output(
    kind: Kind, path: Path, info: VideoInfo, pictures: PixelFormat, details: PictureDetails | None = None
) -> SideOutput:
    """Find out how a matte or layer will be written, by opening its encoder.

    Args:
        kind: Which of them.
        path: The file.
        info: The source.
        pictures: The format of the pictures that will be handed over.
        details: The source's, where they are known already.

    Raises:
        UsageError: The ending of `path` does not go with it.
        EncodeError: The encoder refuses the size.
        ProbeError: The source is no longer what it was.
    """
    container = _container(kind, path)
    details = replace(details or picture_details(info), has_captions=False, has_active_format=False)
    if kind == "matte":  # its samples are parts of 1, not light
        details = replace(details, hdr=HdrMetadata(), container_colour=ColourSpec())
        colour = ColourSpec(full_range=True)
    else:
        colour = replace(info.colour, full_range=is_full_range(info.colour, info.format))
    like = replace(info, format=pictures, source_format_name=pictures.name, colour=colour)
    settings = _ENCODERS[container]
    encoder = check_encoder(like, settings, details)
    streams = (CarriedStream(info.stream_index, "restored"),)
    carriage = Carriage(container, streams, details, encoder, {}, (), (), settings=settings)
    return SideOutput(path, like, carriage)


def publish_side_output(
    output: SideOutput,
    video: Path,
    *,
    overwrite: bool = False,
    folder: Path | None = None,
    announce: Announce | None = None,
) -> None:
    """Make a matte or layer of its pictures; it appears under its name whole, or not at all.

    Args:
        output: From `plan_side_output`.
        video: Its pictures, as `encode.FrameWriter` wrote them with `output.carriage.encoder` and `output.like`.
        overwrite: Whether a file of that name may be replaced.
        folder: See `staging.staged_output`.
        announce: See there.

    Raises:
        UsageError: See `staging.staged_output`.
        OutputError: The file cannot be written.
    """
    source = output.like.path
    with staged_output(output.path, overwrite=overwrite, source=source, folder=folder, announce=announce) as staged:
        assemble(video, output.like, staged.part, output.carriage)


def _container(kind: Kind, path: Path) -> str:
    known = _CONTAINERS[kind]
    if path.suffix.lower() not in known:
        raise UsageError(f"{path}: {_WHY[kind]}; give it a name that ends in {' or '.join(known)}")
    return known[path.suffix.lower()]


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names mean one file, there already or not."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
