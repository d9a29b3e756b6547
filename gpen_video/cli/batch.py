"""``gpen-video batch JOBS.toml``: a collection of films."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gpen_video.cli.batch_cluster import add_cluster, cluster
from gpen_video.cli.parser import Parser, add_loudness
from gpen_video.errors import JobFileError, UsageError

if TYPE_CHECKING:
    from gpen_video.cli.console import Console
    from gpen_video.config import Layer
    from gpen_video.jobs.job import Batch
    from gpen_video.jobs.outcome import BatchResult
    from gpen_video.jobs.watch import HotFolder

_EPILOG: Final = """\
A film whose result is there, made by this batch with the same settings from the same source, is skipped: a second run
does only what is missing. A result that is there otherwise is left alone, unless with --overwrite. What is finished is
noted in a hidden file beside JOBS.toml (.JOBS.toml.state).

Reports: report.html, report.json and report.csv, and films/ with one for each film, in a folder beside JOBS.toml
(JOBS-report) or in --report-dir; written as films end.

--engine ray has films, and parts of each film, restored by a cluster, or to try it by a cluster made of this machine.

Ctrl-C stops cleanly: the films at work keep what they have and go on from there in the next run. A second one kills.
Exit codes: 0 all films are done, 8 some are not (see the report), 130 stopped; others as of gpen-video.
docs/batch.md describes JOBS.toml, and when a hot folder's films are taken.
"""
_SECONDS_OF_QUIET: Final = 10.0
_PATIENCE: Final = 600.0


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(prog="gpen-video batch", description="Restore the films of a list.", epilog=_EPILOG)
    parser.add_argument("jobs", metavar="JOBS.toml", type=Path, help="which films, whereto, with which settings")
    parser.add_argument("--dry-run", action="store_true", help="check, list the films, estimate the time; stop")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there and are not these")
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="take over results that are there, where their treatment record proves them",
    )
    parser.add_argument("--report-dir", metavar="DIR", type=Path, help="folder of the reports")
    _add_engine(parser)
    add_cluster(parser)
    _add_watch(parser)
    add_loudness(parser)
    group = parser.add_argument_group("settings")
    group.add_argument("--set", dest="overrides", action="append", metavar="SECTION.KEY=VALUE", help="over every job's")
    group.add_argument("--offline", action="store_true", help="never fetch weights")
    return parser


def _add_engine(parser: Parser) -> None:
    group = parser.add_argument_group("how")
    group.add_argument(
        "--jobs", metavar="N", dest="workers", type=_count, help="films at a time; one for each device where not said"
    )
    group.add_argument("--device", metavar="NAMES", help="cuda:0,1 or cpu: the N films at a time share them out")
    group.add_argument("--retries", metavar="R", type=_count_or_none, help="instead of what the jobs say")


def _add_watch(parser: Parser) -> None:
    group = parser.add_argument_group("a hot folder")
    group.add_argument(
        "--watch", metavar="DIR", type=Path, help="go on with films that arrive in DIR and that a job's inputs name"
    )
    group.add_argument(
        "--settle",
        metavar="SECONDS",
        type=_seconds,
        default=_SECONDS_OF_QUIET,
        help=f"a film that has not changed for so long is whole; {_SECONDS_OF_QUIET:g} where not said",
    )
    group.add_argument(
        "--patience",
        metavar="SECONDS",
        type=_seconds,
        default=_PATIENCE,
        help=f"one that cannot be opened after that is reported as failed; {_PATIENCE:g} where not said",
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Restore all films, or say what would be done."""
    load = _loader(arguments)
    batch = _checked(load, console)
    for warning in batch.warnings:
        console.warning(warning)
    if arguments.dry_run:
        _estimate(batch, arguments, console)
        return
    from gpen_video.cli.batch_display import BatchDisplay
    from gpen_video.jobs.hurry import stopped_by_signals
    from gpen_video.jobs.pool import device_names
    from gpen_video.jobs.runner import BatchOptions, default_report_folder, run_batch

    devices = device_names(arguments.device) if arguments.device is not None else ()
    folder = arguments.report_dir or default_report_folder(batch.path)
    with cluster(arguments, console) as crew, stopped_by_signals() as hurry:
        options = BatchOptions(
            workers=crew.plan.films if crew is not None else arguments.workers or max(1, len(devices)),
            devices=devices,
            adopt=arguments.adopt,
            watch=_hot_folder(arguments, load),
            report_folder=folder,
            offline=arguments.offline,
            command_line=tuple(sys.argv),
            crew=crew,
        )
        with BatchDisplay(console, beside=None if crew is None else crew.line) as display:
            result = run_batch(batch, options, observer=display, hurry=hurry)
    _conclude(result, folder, console, stopped=hurry.is_asked)


def _checked(load: Callable[[], Batch], console: Console) -> Batch:
    """The batch; of several errors in its file, each has its line on the console."""
    try:
        return load()
    except JobFileError as error:
        *others, last = str(error).splitlines()
        for line in others:
            console.error(line)
        raise JobFileError(last) from None


def _loader(arguments: argparse.Namespace) -> Callable[[], Batch]:
    """Reads the batch file, now and whenever a hot folder is looked at."""
    from gpen_video.config import Layer, parse_assignment

    layers = [Layer("command line", parse_assignment(text)) for text in arguments.overrides or ()]
    return partial(_load, arguments, layers)


def _load(arguments: argparse.Namespace, layers: list[Layer]) -> Batch:
    from dataclasses import replace

    from gpen_video.jobs.job_file import load_batch

    batch = load_batch(arguments.jobs, overrides=layers, overwrite=arguments.overwrite, hot=arguments.watch)
    if arguments.retries is None:
        return batch
    return replace(batch, jobs=tuple(replace(job, retries=arguments.retries) for job in batch.jobs))


def _hot_folder(arguments: argparse.Namespace, load: Callable[[], Batch]) -> HotFolder | None:
    if arguments.watch is None:
        return None
    from gpen_video.jobs.watch import HotFolder

    if not arguments.watch.is_dir():
        raise UsageError(f"{arguments.watch} is no folder; --watch names the one in which films arrive")
    return HotFolder(folder=arguments.watch, reload=load, settle=arguments.settle, patience=arguments.patience)


def _conclude(result: BatchResult, reports: Path, console: Console, *, stopped: bool) -> None:
    from gpen_video.errors import BatchError

    page = reports / "report.html"
    done, films = result.count("done", "skipped"), len(result.outcomes)
    if stopped:
        console.note(f"{page} says what is done")
        console.error(f"stopped: {done} of {films} films are done; the same command goes on")
        raise SystemExit(130)
    if not result.succeeded:
        raise BatchError(f"{films - done} of {films} films are not done; {page} says why")
    before = f", {result.count('skipped')} of them before" if result.count("skipped") else ""
    console.note(f"{done} films done{before}; {page}")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r}: should be a whole number from 1 to {_MOST}")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r}: should be a number of seconds, 0 or more")
    return seconds


_MOST: Final = 1000
_LONGEST: Final = 1e7


def _estimate(batch: Batch, arguments: argparse.Namespace, console: Console) -> None:
    """What every film needs, how long those that are to be restored will take, and how much disk."""
    from dataclasses import replace

    from gpen_video.cli.progress import CountDisplay, clock
    from gpen_video.jobs.estimate import estimate
    from gpen_video.jobs.pool import device_names, threads_each
    from gpen_video.jobs.runner import on_device
    from gpen_video.jobs.state import BatchState, state_path
    from gpen_video.jobs.triage import findings

    devices = device_names(arguments.device) if arguments.device is not None else ()
    workers, device = arguments.workers or max(1, len(devices)), devices[0] if devices else None
    found = findings(batch.jobs, BatchState(state_path(batch.path)))
    wanted = [on_device(job, device) for job, finding in found if finding.action == "restore"]
    with CountDisplay(console, "looking at films") as display:
        expected = estimate(
            replace(batch, jobs=tuple(wanted)),
            workers=workers,
            threads=threads_each(workers),
            offline=arguments.offline,
            on_progress=lambda _, number, count: display.advanced(number, count),
        )
    by_target = {film.job.target: film for film in expected.films}
    rows = []
    for job, finding in found:
        film = by_target.get(job.target)
        if film is None:
            rows.append((str(job.source), str(job.target), _ACTIONS[finding.action], "", "", finding.reason))
            continue
        time_needed = clock(film.seconds) if film.seconds is not None else "?"
        frames = str(film.frames) if film.frames is not None else "?"
        remark = "; ".join(filter(None, (film.trouble, _begun(job.target))))
        rows.append((str(job.source), str(job.target), _ACTIONS[finding.action], frames, time_needed, remark))
    console.table(("film", "result", "", "frames", "time", "remark"), rows)
    console.line()
    low, high = expected.seconds / expected.spread, expected.seconds * expected.spread
    console.line(
        f"{len(wanted)} of {len(found)} films to restore, {workers} at a time: about {clock(expected.seconds)} "
        f"({clock(low)} to {clock(high)}), {expected.bytes / 1e9:.3g} GB without sound"
    )
    if arguments.engine != "local":
        console.line("that is for this machine alone, not for a cluster")
    for failed in expected.failed_pieces:
        console.warning(failed)


def _begun(target: Path) -> str:
    """What an earlier run has finished of a film, in words."""
    from gpen_video.errors import GpenVideoError
    from gpen_video.pipeline import resume_info

    try:
        frames = sum(info.frames for info in resume_info(target) if Path(info.result) == target)
    except GpenVideoError:
        return ""  # nothing; or a journal that is told of when the film's turn comes
    return f"{frames} frames are finished, and not taken off" if frames else ""


_ACTIONS: Final = {"restore": "to restore", "skip": "done before", "leave": "left alone"}
