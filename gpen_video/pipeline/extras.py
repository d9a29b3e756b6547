"""What a run is asked for beyond its settings: a choice of faces; record, matte, layer, checksums, proof."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gpen_video.config import Settings
from gpen_video.errors import ConfigError, OutputError, UsageError
from gpen_video.faces import LayerWish, layer_format, matte_format
from gpen_video.media import PictureDetails, SideOutput, check_side_targets, needs_full_chroma, plan_side_output
from gpen_video.media.images_out import folder_of
from gpen_video.pipeline.basis import Value
from gpen_video.pipeline.choose import Choice, plan_choice
from gpen_video.pipeline.cue_files import read_cue_sheet
from gpen_video.pipeline.track_numbers import TrackNumbers
from gpen_video.types import VideoInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Files beside the result, and which faces are restored; nothing, and all of them, by default."""

    faces: TrackNumbers | None = None
    """Tracks that are restored; `None` for all."""
    cues: Path | None = None
    """A cue sheet: how much of each track is restored, and when."""
    report: Path | None = None
    """Treatment record, JSON."""
    matte: Path | None = None
    """Blended masks, FFV1 in Matroska."""
    layer: Path | None = None
    """Restored faces with alpha, FFV1 in Matroska or ProRes 4444 in QuickTime."""
    framemd5: bool = False
    """Checksums of source and result, beside the result: its name with ``.source.framemd5`` and ``.framemd5`` added."""
    verify: bool = False
    """Compare result and source when it is written; a result that fails stays hidden and is removed."""

    @property
    def records(self) -> bool:
        """Whether the run has to note what it does."""
        return self.report is not None or self.verify

    def sidecars(self, target: Path) -> tuple[Path, ...]:
        """The checksum files of source and result; the two films may have one name, in two folders.

        They lie beside the result, which may be a folder of images.
        """
        endings, place = (".source.framemd5", ".framemd5") if self.framemd5 else (), folder_of(target)
        return tuple(place.with_name(place.name + ending) for ending in endings)

    def check(self, source: Path, target: Path, *, overwrite: bool) -> None:
        """Check, before anything is read, whether all files may go where they are to go.

        Raises:
            ConfigError: the cue sheet cannot be read, or something in it is wrong.
            UsageError: two of them, or one and the source, the cue sheet or the result, are the same file.
            OutputError: a folder is missing, or a file exists.
        """
        if self.cues is not None:
            read_cue_sheet(self.cues)
            if self.cues.absolute() in {
                path.absolute() for path in (target, self.matte, self.layer) if path is not None
            }:
                raise UsageError(f"{self.cues} is the cue sheet; choose another name for what is written")
        check_side_targets(self.matte, self.layer, source=source, target=target, overwrite=overwrite)
        taken = {path.absolute() for path in (source, target, self.matte, self.layer, self.cues) if path is not None}
        plain = [*((self.report,) if self.report else ()), *self.sidecars(target)]
        for path in plain:
            if path.absolute() in taken:
                raise UsageError(f"{path}: another file of this run goes there already, or it is the source")
            taken.add(path.absolute())
            if not path.parent.is_dir():
                raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
            if path.is_dir():
                raise OutputError(f"{path} is a folder; name a file")
            if path.exists() and not overwrite:
                raise OutputError(f"{path} exists already; choose another name, or replace it with --overwrite")

    def choice(self, info: VideoInfo, settings: Settings, *, offline: bool = False) -> Choice | None:
        """What of which face is wanted; see `plan_choice`."""
        return plan_choice(self.faces, self.cues, info, settings, offline=offline)

    def layers(self, info: VideoInfo) -> LayerWish:
        """What pasting has to give out besides frames."""
        full = self.layer is not None and needs_full_chroma(self.layer, info.format)
        return LayerWish(matte=self.matte is not None, layer=self.layer is not None, full_chroma=full)

    def side_outputs(self, info: VideoInfo, details: PictureDetails) -> dict[str, SideOutput]:
        """How matte and layer will be written, by kind.

        Args:
            info: The film as the result will be.
            details: Its pictures'.

        Raises:
            UsageError, EncodeError, ProbeError: See `media.plan_side_output`.
        """
        outputs: dict[str, SideOutput] = {}
        if self.matte is not None:
            outputs["matte"] = plan_side_output("matte", self.matte, info, matte_format(info.format), details)
        if self.layer is not None:
            pictures = layer_format(info.format, full_chroma=self.layers(info).full_chroma)
            outputs["layer"] = plan_side_output("layer", self.layer, info, pictures, details)
        return outputs

    def identity(self) -> dict[str, Value]:
        """What of this decides what a run makes: as values that can be compared with those of another run.

        Raises:
            ConfigError: The cue sheet cannot be read.
        """
        return {
            "--faces": str(self.faces) if self.faces is not None else "all",
            "--cues": _digest(self.cues) if self.cues is not None else "none",
            "treatment record": self.records,
            "--matte": self.matte is not None,
            "--layer": self.layer.suffix.lower() if self.layer is not None else "none",
        }


def _digest(cues: Path) -> str:
    try:
        return hashlib.sha256(cues.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"{cues}: the cue sheet cannot be read: {error.strerror}") from error
