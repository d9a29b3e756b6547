"""The report of a batch for people: one HTML file that needs nothing else, to read on a screen or print."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined, Template

from gpen_video.jobs.outcome import UNFINISHED, BatchResult, Outcome, Status
from gpen_video.jobs.problems import printable

_WORDS: Final[dict[Status, str]] = {
    "done": "done",
    "skipped": "done before",
    "failed": "failed",
    "exists": "left alone",
    "busy": "in use",
    "stopped": "stopped",
    "running": "running",
    "waiting": "waiting",
}
"""In the order in which they are counted."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A film as it is shown."""

    number: int
    status: Status
    word: str
    source: str
    folder: str
    target: str
    job: str
    line: int
    attempts: int
    frames: str
    faces: str
    tracks: str
    time: str
    rate: str
    message: str
    warnings: tuple[str, ...]
    record: str | None
    """A link, relative to the report's folder."""


def html_report(result: BatchResult, folder: Path) -> str:
    """The page.

    Args:
        result: what it says.
        folder: where it will lie; links are relative to it.
    """
    rows = [_row(number, outcome, folder) for number, outcome in enumerate(result.outcomes, start=1)]
    figures = [outcome.figures for outcome in result.outcomes if outcome.figures is not None]
    frames = sum(film.frames for film in figures)
    return _template().render(
        batch=printable(result.path.name),
        path=printable(str(result.path)),
        started=result.started,
        duration=_clock(result.seconds),
        finished=result.finished,
        headline=_headline(result),
        verdict=_verdict(result),
        counts=[(status, word, result.count(status)) for status, word in _WORDS.items() if result.count(status)],
        films=len(rows),
        succeeded=sum(outcome.succeeded for outcome in result.outcomes),
        frames=f"{frames:,}",
        faces=f"{sum(film.faces for film in figures):,}",
        work=_clock(sum(film.seconds or 0 for film in figures)),
        rows=rows,
        problems=[row for row in rows if row.status in ("failed", "exists", "busy", "stopped")],
    )


@cache
def _template() -> Template:
    text = files("gpen_video.jobs").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)


def _row(number: int, outcome: Outcome, folder: Path) -> _Row:
    figures = outcome.figures
    rate = figures.frames_per_second if figures is not None else None

    def said(line: str) -> str:
        return printable(line.replace(str(outcome.source), outcome.source.name))  # its folder stands beside it

    return _Row(
        number=number,
        status=outcome.status,
        word=_WORDS[outcome.status],
        source=printable(outcome.source.name),
        folder=printable(str(outcome.source.parent)),
        target=printable(str(outcome.target)),
        job=printable(outcome.job),
        line=outcome.line,
        attempts=outcome.attempts,
        frames=f"{figures.frames:,}" if figures is not None else "",
        faces=f"{figures.faces:,}" if figures is not None else "",
        tracks=f"{figures.tracks:,}" if figures is not None else "",
        time=_clock(figures.seconds) if figures is not None and figures.seconds is not None else "",
        rate=f"{rate:.3g}" if rate is not None else "",
        message=said(outcome.failure.line) if outcome.failure is not None else "",
        warnings=tuple(map(said, outcome.warnings)),
        record=_link(outcome.record, folder) if outcome.record is not None else None,
    )


def _link(path: Path, folder: Path) -> str:
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive of Windows
        return path.absolute().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")


def _headline(result: BatchResult) -> str:
    done = sum(outcome.succeeded for outcome in result.outcomes)
    parts = [f"{done} of {len(result.outcomes)} films done"]
    parts += [f"{count} {_WORDS[status]}" for status, count in _problems(result)]
    return ", ".join(parts)


def _problems(result: BatchResult) -> Iterator[tuple[Status, int]]:
    for status in _WORDS:
        if status not in ("done", "skipped") and (count := result.count(status)):
            yield status, count


def _verdict(result: BatchResult) -> str:
    """How the page is coloured: ``good``, ``bad``, or ``open`` while films are left."""
    if any(outcome.status not in UNFINISHED and not outcome.succeeded for outcome in result.outcomes):
        return "bad"
    return "good" if result.finished else "open"


def _clock(seconds: float) -> str:
    """``1:02:03``, or ``2:03`` below an hour."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
