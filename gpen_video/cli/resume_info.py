"""``gpen-video resume-info OUT``: what runs that were stopped have left."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gpen_video.cli.parser import Parser, add_loudness

if TYPE_CHECKING:
    from gpen_video.cli.console import Console
    from gpen_video.pipeline import ResumeInfo

_EPILOG = """\
A run that is stopped, by Ctrl-C, a full disk or a power cut, leaves what it has finished in a hidden folder beside its
result, and the same command goes on from there. If film, settings, weights or program have changed since, it starts
anew (gpen-video IN OUT --resume require refuses to; --resume never starts anew in any case).

--json prints a list of {folder, film, result, frames, total_frames, segments, bytes, restored, in_use, basis}; basis is
what has to be the same for a run to go on.
"""


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(prog="gpen-video resume-info", description="Tell what can be gone on with.", epilog=_EPILOG)
    parser.add_argument("path", metavar="OUT", type=Path, help="the result of a run, or a folder of results")
    parser.add_argument("--remove", action="store_true", help="throw it away")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    add_loudness(parser)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Print a line a result."""
    from gpen_video.pipeline import remove_work, resume_info

    found = resume_info(arguments.path)
    if arguments.json:
        console.json([info.as_dict() for info in found])
    else:
        console.table(("result", "film", "finished", "disk", ""), [_row(info) for info in found])
    for info in found if arguments.remove else ():
        remove_work(info)
        console.note(f"{info.folder} is removed")


def _row(info: ResumeInfo) -> tuple[str, ...]:
    frames = f"{info.frames} of {info.total_frames or 'an unknown number of'} frames, {info.segments} segments"
    state = "being worked on" if info.in_use else "restored, to be put together" if info.restored else ""
    return (info.result, info.film, frames, f"{info.bytes / 1e6:.1f} MB", state)
