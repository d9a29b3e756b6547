"""What a finished segment leaves beside its pictures: a file of arrays."""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpen_video.errors import JournalError
from gpen_video.pipeline.decisions import DecisionRun
from gpen_video.pipeline.film_log import Trace
from gpen_video.pipeline.record import Treatment
from gpen_video.report import Column

_TRACE: Final = tuple(field.name for field in fields(Trace) if field.name != "first")


@dataclass(frozen=True, slots=True, eq=False)
class SegmentNotes:
    """Of one segment."""

    trace: Trace
    faces: int
    """That were restored, counted in each frame."""
    first_frames: Mapping[int, int]
    """Track -> frame in which it begins, of all tracks that begin in the segment, wanted or not."""
    treatment: Treatment | None = None
    """Where a treatment record is wanted."""


def write_notes(notes: SegmentNotes, path: Path) -> None:
    """Write notes and bring them to disk.

    Raises:
        OSError: It cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {name: getattr(notes.trace, name) for name in _TRACE}
    arrays["first"] = np.array(notes.trace.first)
    arrays["faces"] = np.array(notes.faces)
    arrays["first_frames"] = np.array(list(notes.first_frames.items()), np.int64).reshape(-1, 2)
    if notes.treatment is not None:
        arrays |= _arrays_of(notes.treatment)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    with path.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def read_notes(path: Path) -> SegmentNotes:
    """Read notes.

    Raises:
        JournalError: They are not there or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            trace = Trace(int(arrays["first"]), **{name: arrays[name] for name in _TRACE})
            return SegmentNotes(
                trace,
                int(arrays["faces"]),
                dict(arrays["first_frames"].tolist()),
                _treatment_of(arrays) if "rows" in arrays else None,
            )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise JournalError(f"{path}: what a run noted of a finished segment cannot be read; start anew") from error


def _arrays_of(treatment: Treatment) -> dict[str, NDArray[Any]]:
    owners = np.repeat(np.array(list(treatment.rows), np.int64), [len(rows) for rows in treatment.rows.values()])
    decisions = json.dumps([run.as_json() for run in treatment.decisions]).encode()
    return {
        "frames": np.array(treatment.frames),
        "shot_starts": np.array(treatment.shot_starts, np.int64),
        "row_track": owners,
        "rows": np.concatenate([np.empty((0, len(Column)), np.float32), *treatment.rows.values()]),
        "decisions": np.frombuffer(decisions, np.uint8),
    }


def _treatment_of(arrays: Mapping[str, NDArray[Any]]) -> Treatment:
    owner, rows = arrays["row_track"], arrays["rows"]
    return Treatment(
        int(arrays["frames"]),
        tuple(arrays["shot_starts"].tolist()),
        {int(track): rows[owner == track] for track in np.unique(owner)},
        tuple(DecisionRun(*values) for values in json.loads(arrays["decisions"].tobytes())),
    )
