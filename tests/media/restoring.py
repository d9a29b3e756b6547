"""All steps of a run but the restoring."""

from pathlib import Path

from gpen_video.config.schema import EncodeSettings
from gpen_video.media import Carriage, assemble, decode, encode, plan_carriage, probe, staged_output


def restore(source: Path, target: Path, how: EncodeSettings, frame_rate: str | None = None) -> Carriage:
    """From source to target, pictures as they are."""
    info = probe(source, frame_rate)
    with staged_output(target, overwrite=False, source=source) as staged:
        carriage = plan_carriage(info, target, how)
        encode(decode(info), staged.video, like=info, settings=carriage.settings)
        assemble(staged.video, info, staged.part, carriage)
    return carriage
