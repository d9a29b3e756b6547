"""Reports of a batch: JSON for each film, and ``report.html``, ``report.json`` and ``report.csv`` for all of them."""

import csv
import hashlib
import io
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gpen_video.errors import OutputError
from gpen_video.jobs.outcome import BatchResult, Outcome
from gpen_video.jobs.report_html import html_report
from gpen_video.whole_file import whole_file

FORMAT: Final = "gpen-video/batch-report/1"
FILMS: Final = "films"
"""The folder of the films' own reports."""

_LEISURE: Final = 2.0
"""Least seconds between two reports of all films; and never more than a twentieth of the time goes into them."""

COLUMNS: Final = (
    *("job", "line", "source", "target", "status", "attempts", "frames", "faces", "tracks", "shots", "seconds"),
    *("frames_per_second", "error", "message", "warnings", "record", "started", "finished"),
)
"""Of ``report.csv``, and names in the JSON."""


class BatchReports:
    """The folder of reports, while a batch runs."""

    def __init__(self, folder: Path, on_warning: Callable[[str], None]) -> None:
        """Takes the folder, which need not exist, and who is told when a report cannot be written."""
        self.folder = folder
        self._on_warning = on_warning
        self._next = 0.0
        self._is_due = True
        self._complained = False

    def make_folder(self) -> None:
        """Make it.

        Raises:
            OutputError: it cannot be made.
        """
        try:
            (self.folder / FILMS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: the folder for reports cannot be made: {error.strerror}") from error

    def write_film(self, outcome: Outcome) -> None:
        """Write what became of one film; the report of all is then due."""
        self._is_due = True
        self._written(self.folder / film_report_name(outcome), _json(film_data(outcome)))

    def write(self, result: Callable[[], BatchResult], *, at_leisure: bool = False) -> None:
        """Write the report of all films.

        Args:
            result: gives what it says.
            at_leisure: only where something has changed, and not all the time.
        """
        began = time.monotonic()
        if at_leisure and not (self._is_due and began >= self._next):
            return
        now = result()
        self._written(self.folder / "report.json", _json(batch_data(now)))
        self._written(self.folder / "report.csv", _csv(now))
        self._written(self.folder / "report.html", html_report(now, self.folder))
        ended = time.monotonic()
        self._is_due, self._next = False, ended + max(_LEISURE, 20 * (ended - began))

    def _written(self, path: Path, text: str) -> None:
        """A report that cannot be written stops no film."""
        try:
            with whole_file(path, overwrite=True, sync=False) as file:
                file.write(text.encode("utf-8", "backslashreplace"))
        except OutputError as error:
            if not self._complained:
                self._complained = True
                self._on_warning(str(error))


def film_report_name(outcome: Outcome) -> Path:
    """Where a film's report lies in the folder; the same in every run."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", outcome.target.name).strip("._")[:60] or "film"
    return Path(FILMS) / f"{readable}-{hashlib.sha256(os.fsencode(outcome.target)).hexdigest()[:8]}.json"


def film_data(outcome: Outcome) -> dict[str, Any]:
    """A film for programs; names that are no text have backslashes."""
    figures, failure = outcome.figures, outcome.failure
    rate = figures.frames_per_second if figures is not None else None
    return {
        "job": outcome.job,
        "line": outcome.line,
        "source": str(outcome.source),
        "target": str(outcome.target),
        "status": outcome.status,
        "attempts": outcome.attempts,
        "frames": figures.frames if figures is not None else None,
        "faces": figures.faces if figures is not None else None,
        "tracks": figures.tracks if figures is not None else None,
        "shots": figures.shots if figures is not None else None,
        "seconds": round(figures.seconds, 3) if figures is not None and figures.seconds is not None else None,
        "frames_per_second": round(rate, 3) if rate is not None else None,
        "error": failure.kind if failure is not None else None,
        "message": failure.line if failure is not None else None,
        "warnings": list(outcome.warnings),
        "record": str(outcome.record) if outcome.record is not None else None,
        "started": outcome.started,
        "finished": outcome.finished,
    }


def batch_data(result: BatchResult) -> dict[str, Any]:
    """A batch for programs."""
    statuses = sorted({outcome.status for outcome in result.outcomes})
    return {
        "format": FORMAT,
        "batch": str(result.path),
        "started": result.started,
        "seconds": round(result.seconds, 3),
        "finished": result.finished,
        "succeeded": result.succeeded,
        "counts": {"films": len(result.outcomes), **{status: result.count(status) for status in statuses}},
        "films": [film_data(outcome) | {"report": film_report_name(outcome).as_posix()} for outcome in result.outcomes],
    }


def _json(value: dict[str, Any]) -> str:
    plain = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\\\u{ord(found[0]):04x}", plain) + "\n"


def _csv(result: BatchResult) -> str:
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS)
    rows.writeheader()
    for outcome in result.outcomes:
        row = film_data(outcome)
        row["warnings"] = " | ".join(row["warnings"])
        rows.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
