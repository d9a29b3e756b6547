"""The treatment record: what was done to a film, by what, with which settings, and to which samples."""

from gpen_video.report.files import film_file
from gpen_video.report.record import (
    FACE_COLUMNS,
    SCHEMA,
    Column,
    Decision,
    EncoderUsed,
    FilmFile,
    Setting,
    ShotRecord,
    StreamRecord,
    Tool,
    TrackRecord,
    TreatmentRecord,
    WeightsUsed,
    runs_of,
    settings_of,
)
from gpen_video.report.schema import json_schema, shipped_schema
from gpen_video.report.store import read_record, write_record
from gpen_video.report.tool import tool_used

__all__ = [
    "FACE_COLUMNS",
    "SCHEMA",
    "Column",
    "Decision",
    "EncoderUsed",
    "FilmFile",
    "Setting",
    "ShotRecord",
    "StreamRecord",
    "Tool",
    "TrackRecord",
    "TreatmentRecord",
    "WeightsUsed",
    "film_file",
    "json_schema",
    "read_record",
    "runs_of",
    "settings_of",
    "shipped_schema",
    "tool_used",
    "write_record",
]
