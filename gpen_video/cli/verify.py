"""``gpen-video verify SOURCE RESULT REPORT``: proof of what was changed and what was not."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gpen_video.cli.parser import Parser, add_loudness
from gpen_video.errors import VerificationError

if TYPE_CHECKING:
    from gpen_video.cli.console import Console
    from gpen_video.pipeline.verification import Verification

_EPILOG = """\
Both films are decoded and compared, frame by frame and packet by packet. Each line says what was looked at and what
came of it: pass; note, where something differs and may (a lossy codec, a loss that was announced); or fail.
Exit code 0: all is as it should be; 7: something is not.

--json prints one object:
  source, result    text
  passed            true or false
  frames            of the result
  samples           {compared_frames, is_lossless, changed_outside, largest_change_outside, psnr_outside,
                    largest_change_inside}; outside and inside the masks, changes in code values
  findings          list of {check, outcome ("pass", "note", "fail"), text}
"""


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(
        prog="gpen-video verify", description="Compare a result with its source and its report.", epilog=_EPILOG
    )
    parser.add_argument("source", metavar="SOURCE", type=Path, help="the film that was restored")
    parser.add_argument("result", metavar="RESULT", type=Path, help="what came of it")
    parser.add_argument("report", metavar="REPORT", type=Path, help="the treatment record that --report wrote")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_loudness(parser)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Compare and print.

    Raises:
        VerificationError: something is not as it should be.
    """
    from gpen_video.cli.progress import RunDisplay
    from gpen_video.pipeline.verify import verify
    from gpen_video.report import read_record

    record = read_record(arguments.report)
    with RunDisplay(console) as display:
        verification = verify(arguments.source, arguments.result, record, observer=display)
    if arguments.json:
        console.json(verification.as_dict())
    else:
        print_findings(verification, console)
    if verification.failure is not None:
        raise VerificationError(f"{verification.result}: {verification.failure}")


def print_findings(verification: Verification, console: Console) -> None:
    """A line a finding."""
    rows = [(finding.outcome, finding.check, finding.text) for finding in verification.findings]
    console.table(("", "looked at", "found"), rows)
