"""``gpen-video IN OUT``: the main job."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpen_video.cli.options import add_result_options, add_settings_options, resolve_options
from gpen_video.cli.parser import Parser, PrintVersion, add_loudness

if TYPE_CHECKING:
    from gpen_video.cli.console import Console
    from gpen_video.config import ResolvedSettings
    from gpen_video.pipeline import RunPlan

_EPILOG = """\
other commands, each with its own --help:
  gpen-video batch JOBS.toml                   many films, by a list; goes on where it was stopped
  gpen-video presets list|show NAME            settings for one kind of footage each
  gpen-video weights list|fetch|verify|path    the networks' weights
  gpen-video inspect IN                        streams, shots and faces of a film, without restoring it
  gpen-video verify IN OUT REPORT              what was changed in OUT and what was not
  gpen-video measure IN OUT                    how steady, true and seamless OUT is: figures, plot, conditions
  gpen-video resume-info OUT                   what runs that were stopped have left
  gpen-video train ...                         train networks of your own

A file that is called like a command is written ./presets; a name that starts with a dash comes after --.
"""


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(prog="gpen-video", description="Restore the faces in a film.", epilog=_EPILOG)
    parser.add_argument("source", metavar="IN", type=Path, help="the film")
    parser.add_argument("target", metavar="OUT", type=Path, help="the result; its name decides the container")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--resume",
        choices=("auto", "never", "require"),
        default="auto",
        help="go on where a run that was stopped got to: if it can be (auto), never, or not start anew (require)",
    )
    _add_choice(parser)
    _add_extras(parser)
    parser.add_argument("--dry-run", action="store_true", help="print streams, settings and what would be lost; stop")
    parser.add_argument("--version", action=PrintVersion, nargs=0, help="print the version and exit")
    add_loudness(parser)
    add_settings_options(parser)
    add_result_options(parser)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Restore, or say what would be done."""
    resolved = resolve_options(arguments)  # before torch is imported: a typing error is answered at once
    from gpen_video.cli.progress import RunDisplay, clock, shares
    from gpen_video.cli.verify import print_findings
    from gpen_video.pipeline import Extras, plan_run, restore_video
    from gpen_video.pipeline.track_numbers import TrackNumbers

    source, target = arguments.source, arguments.target
    extras = Extras(
        report=arguments.report,
        matte=arguments.matte,
        layer=arguments.layer,
        framemd5=arguments.framemd5,
        verify=arguments.verify,
        faces=None if arguments.faces is None else TrackNumbers.parse(arguments.faces),
        cues=arguments.cues,
    )
    if arguments.dry_run:
        plan = plan_run(
            source,
            target,
            resolved.settings,
            offline=arguments.offline,
            overwrite=arguments.overwrite,
            extras=extras,
        )
        _print_plan(plan, resolved, console)
        return
    with RunDisplay(console) as display:
        summary = restore_video(
            source,
            target,
            resolved,
            overwrite=arguments.overwrite,
            offline=arguments.offline,
            observer=display,
            extras=extras,
            command_line=sys.argv,
            resume=arguments.resume,
        )
    if summary.verification is not None:
        print_findings(summary.verification, console)
    before = f" ({summary.frames_before} by an earlier run)" if summary.frames_before else ""
    console.note(
        f"{summary.target}: {summary.frames} frames{before}, {summary.faces} faces in {summary.tracks} tracks and "
        f"{summary.shots} shots, {clock(summary.seconds)} ({shares(summary.stage_seconds)})"
    )


def _add_choice(parser: Parser) -> None:
    group = parser.add_argument_group("which faces", "By the numbers that gpen-video inspect IN --tracks DIR shows.")
    group.add_argument("--faces", metavar="1,3-5", help="restore these tracks only; not:2 restores all but these")
    group.add_argument(
        "--cues", metavar="FILE.csv|.toml", type=Path, help="a cue sheet: strength of each track, and its keyframes"
    )


def _add_extras(parser: Parser) -> None:
    group = parser.add_argument_group("beside the result")
    group.add_argument(
        "--report", metavar="FILE.json", type=Path, help="treatment record: what was done, to the sample"
    )
    group.add_argument(
        "--verify", action="store_true", help="compare result and source before the result appears; print what is found"
    )
    group.add_argument("--matte", metavar="FILE.mkv", type=Path, help="the blended masks, as a film (FFV1)")
    group.add_argument(
        "--layer", metavar="FILE.mkv|.mov", type=Path, help="the restored faces with alpha (FFV1, or ProRes 4444)"
    )
    group.add_argument("--framemd5", action="store_true", help="checksums of every frame of source and result")


def _print_plan(plan: RunPlan, resolved: ResolvedSettings, console: Console) -> None:
    from gpen_video.cli.describe import film_line, stream_rows

    console.line(film_line(plan.info))
    console.table(("stream", "kind", "codec", "language", "detail", "title"), stream_rows(plan.info))
    console.line()
    options = " ".join(f"{key}={value}" for key, value in plan.encoder_options.items())
    console.line(f"result:   {plan.target}")
    console.line(f"encoder:  {' '.join(filter(None, (plan.codec, plan.pix_fmt, options)))}")
    console.line(f"networks: {plan.restorer} and {plan.detector} on {plan.device}, {plan.precision}")
    console.line(f"carried:  {'; '.join(plan.carried) or 'nothing else is there'}")
    console.line(f"lost:     {'; '.join(plan.lost) or 'nothing'}")
    console.line()
    console.table(
        ("setting", "value", "from"), [(key, _value(value), source) for key, value, source in resolved.items()]
    )
    for warning in plan.warnings:
        console.warning(warning)


def _value(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
