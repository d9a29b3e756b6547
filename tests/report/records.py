"""Treatment records to test with."""

from typing import Any

import numpy as np

from gpen_video.report import (
    Column,
    Decision,
    EncoderUsed,
    FilmFile,
    Setting,
    ShotRecord,
    StreamRecord,
    TrackRecord,
    TreatmentRecord,
    WeightsUsed,
    tool_used,
)
from gpen_video.report.record import BOX, REGION


def rows(frames: list[int], seed: int = 0) -> np.ndarray:
    """(N, columns), every number another; the last face is predicted, and its mask empty."""
    table = np.random.default_rng(seed).uniform(0, 500, (len(frames), len(Column))).astype(np.float32)
    table[:, Column.FRAME] = frames
    table[:, REGION] = np.floor(table[:, REGION])
    table[:, Column.LARGEST_CHANGE] = np.floor(table[:, Column.LARGEST_CHANGE])
    table[-1, BOX] = table[-1, REGION] = np.nan
    return table


def record(**changes: Any) -> TreatmentRecord:
    """A record with something in every place."""
    parts: dict[str, Any] = {
        "finished": "2026-01-02T03:04:05+00:00",
        "tool": tool_used({"libavcodec": "62.1.2"}, device="cpu", precision="fp32"),
        "command_line": ("gpen-video", "in.mkv", 'a "quoted" name\n.mkv', "Žižkov.mkv"),
        "source": FilmFile("in.mkv", 10, "0" * 64, 12),
        "result": FilmFile("out.mkv", 20, "f" * 64, 12),
        "encoder": EncoderUsed("ffv1", "yuv420p", {"level": "3"}),
        "settings": (
            Setting("media.tolerant", False, "default"),
            Setting("encode.crf", 16.5, "preset tape"),
            Setting("encode.pix_fmt", None, "default"),
            Setting("track.lag", 8, "command line"),
            Setting("encode.options", {}, "default"),
        ),
        "weights": (
            WeightsUsed("restore", "gpen-lite-256", "a" * 64, "Apache-2.0"),
            WeightsUsed("detect", "mine.pth", "b" * 64, None),
        ),
        "carried": (
            StreamRecord(0, 0, "video", "h264", "restored"),
            StreamRecord(2, 1, "subtitle", "subrip", "converted", "mov_text"),
        ),
        "lost": ("attachment stream 3 (ttf): mp4 cannot hold it",),
        "warnings": (),
        "shots": (ShotRecord(0, 7), ShotRecord(7, 5)),
        "tracks": (
            TrackRecord(0, 0, ((0, 2), (5, 6)), rows([0, 1, 2, 5, 6])),
            TrackRecord(3, 1, ((7, 8),), rows([7, 8], 1)),
        ),
        "decisions": (Decision(0, 4, None, "too small", 11.5), Decision(9, 9, 3, "profile", None)),
    }
    return TreatmentRecord(**{**parts, **changes})
