"""A run's treatment record, put together from what its parts know."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from gpen_video.config import ResolvedSettings, Settings
from gpen_video.media import Carriage
from gpen_video.media.versions import ffmpeg_versions
from gpen_video.pipeline.observe import RunPlan
from gpen_video.pipeline.record import Treatment
from gpen_video.report import (
    EncoderUsed,
    StreamRecord,
    TreatmentRecord,
    WeightsUsed,
    film_file,
    settings_of,
    tool_used,
)
from gpen_video.report.record import Role
from gpen_video.types import VideoInfo
from gpen_video.weights import locate


def treatment_record(
    plan: RunPlan,
    carriage: Carriage,
    resolved: ResolvedSettings,
    treatment: Treatment,
    *,
    result: Path,
    warnings: Sequence[str] = (),
    command_line: Sequence[str] = (),
) -> TreatmentRecord:
    """Put a record together when the result is whole; reads source and result once for their hashes.

    Args:
        plan: What was going to be done.
        carriage: How the result was assembled.
        resolved: Every setting, and who set it.
        treatment: What was done on the way.
        result: The finished file, which need not have its own name (`plan.target`) yet.
        warnings: What came up on the way, beyond the plan's warnings.
        command_line: As it was typed, the program's name first; empty for a call of the library.

    Raises:
        InputError: Source or result cannot be read.
        WeightsError: The weights are no longer there.
    """
    settings = resolved.settings
    return TreatmentRecord(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        tool=tool_used(ffmpeg_versions(), device=plan.device, precision=plan.precision),
        command_line=tuple(command_line),
        source=film_file(_on_disk(plan.info.path), treatment.frames),
        result=film_file(result, treatment.frames, called=plan.target),
        encoder=EncoderUsed(plan.codec, plan.pix_fmt, dict(plan.encoder_options)),
        settings=settings_of(resolved),
        weights=tuple(_weights(role, name) for role, name in networks_used(plan, settings).items() if name is not None),
        carried=carried_streams(carriage, plan.info),
        lost=tuple(plan.lost),
        warnings=(*plan.warnings, *warnings),
        shots=treatment.shots(),
        tracks=treatment.tracks(),
        decisions=tuple(run.decision for run in treatment.decisions),
    )


def _on_disk(path: Path) -> Path:
    """The folder of an image sequence that is named by its pattern."""
    return path if path.exists() else path.parent


def carried_streams(carriage: Carriage, info: VideoInfo) -> tuple[StreamRecord, ...]:
    """The streams of the result, in its order."""
    return tuple(
        StreamRecord(
            carried.source_index,
            place,
            info.streams[carried.source_index].kind,
            info.streams[carried.source_index].codec,
            carried.action,
            carried.codec,
        )
        for place, carried in enumerate(carriage.streams)
    )


def networks_used(plan: RunPlan, settings: Settings) -> dict[Role, str | None]:
    """Names or files of the weights, by what they are for; `None` for networks that are not used."""
    return {
        "restore": settings.restore.weights,
        "detect": settings.detect.weights,
        "parse": plan.parser,
        "recognise": plan.embedder,
    }


def _weights(role: Role, name_or_path: str) -> WeightsUsed:
    found = locate(name_or_path, offline=True)  # the run has just read them, so they are here
    return WeightsUsed(role, found.name, found.sha256, found.weights.terms if found.weights else None)
