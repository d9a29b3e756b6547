"""``gpen-video measure SOURCE RESULT``: how steady, how true and how seamless a result is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpen_video.cli.options import add_settings_options, resolve_options
from gpen_video.cli.parser import Parser, add_loudness
from gpen_video.errors import OutputError, UsageError, VerificationError

if TYPE_CHECKING:
    from gpen_video.cli.console import Console
    from gpen_video.measure import Condition, Figures, Measurement

_STANDARD_OUTPUT = Path("-")
_SHOWN = ("jitter", "jitter_source", "flicker", "flicker_result", "warping_error", "identity_source", "seam")
_SHOWN_WITH_REFERENCE = ("psnr", "psnr_source", "ssim", "ssim_source")

_EPILOG = """\
Faces are tracked on SOURCE and found anew in RESULT. The two must have the same size and number of frames. The figures,
for each track and over all, are means over its frames; docs/steadiness.md defines them:
  jitter, jitter_source, jitter_ratio     trembling of the landmarks, in face sizes a frame squared, without the motion
  jitter_pixels, jitter_source_pixels     of the camera; the same in pixels
  flicker                                 flicker_result minus flicker_source
  flicker_result, flicker_source          change of luma between neighbouring frames inside the face, without its motion
  warping_error, warping_error_source, warping_ratio   the same, squared
  identity_source                         distance of the result's face from the source's, 0 to 2
  identity_neighbours, identity_neighbours_source      distance of the face from its own in the frame before
  seam                                    steepness across the mask's edge, more than the source's
  covered                                 part of the face whose motion could be followed
  psnr, psnr_source, ssim, ssim_source    inside the face, against --reference

--fail-if NAME>NUMBER (or <, >=, <=) ends with exit code 7 where the figure over all faces is so; any.NAME>NUMBER where
that of any track is. A figure that could not be measured fails nothing. Example: --fail-if 'flicker>0.02' --fail-if
'any.identity_source>0.3'

--json writes one object:
  source, result, reference   text; reference may be null
  frames                      of each film
  identity_by                 what told faces apart
  overall                     {figure: number, or null where it could not be measured}
  tracks                      list of {track_id, first_frame, last_frame, faces, figures (as overall)}
  failures                    list of text, one for each --fail-if that was met
"""


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(prog="gpen-video measure", description="Measure a result against its source.", epilog=_EPILOG)
    parser.add_argument("source", metavar="SOURCE", type=Path, help="the film that was restored")
    parser.add_argument("result", metavar="RESULT", type=Path, help="what came of it")
    parser.add_argument("--reference", metavar="FILM", type=Path, help="the truth, where it is known")
    parser.add_argument("--json", metavar="FILE|-", type=Path, help="write the figures; - for standard output")
    parser.add_argument("--plot", metavar="FILE.png|.svg", type=Path, help="draw the figures over the film")
    parser.add_argument(
        "--fail-if", metavar="NAME>NUMBER", action="append", default=[], help="end with exit code 7; may be repeated"
    )
    add_loudness(parser)
    add_settings_options(parser)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure, write and print.

    Raises:
        UsageError: a condition or a file's name is not what it should be.
        VerificationError: a condition is met.
    """
    resolved = resolve_options(arguments)
    from gpen_video.measure import check_plot_path, failures, parse_condition, write_plot

    conditions = [parse_condition(text) for text in arguments.fail_if]
    _check_reference(conditions, arguments.reference)
    if arguments.plot is not None:
        check_plot_path(arguments.plot)
    from gpen_video.cli.progress import RunDisplay
    from gpen_video.pipeline.measure import measure_video

    with RunDisplay(console) as display:
        measurement = measure_video(
            arguments.source,
            arguments.result,
            arguments.reference,
            resolved.settings,
            offline=arguments.offline,
            observer=display,
        )
    failed = failures(conditions, measurement)
    if not measurement.tracks:
        console.warning(f"{arguments.source}: no face was followed, so that nothing was measured")
    if arguments.plot is not None:
        write_plot(measurement, arguments.plot, f"{arguments.result.name} against {arguments.source.name}")
    if arguments.json is not None:
        _write_json(_json(arguments, measurement, failed), arguments.json, console)
    if arguments.json != _STANDARD_OUTPUT:
        _print(measurement, console, with_reference=arguments.reference is not None)
    for failure in failed[1:]:
        console.warning(f"{arguments.result}: {failure}")
    if failed:
        raise VerificationError(f"{arguments.result}: {failed[0]}")


def _check_reference(conditions: list[Condition], reference: Path | None) -> None:
    for condition in conditions:
        if condition.needs_reference and reference is None:
            raise UsageError(f"condition {condition.text!r}: {condition.name} needs --reference")


def _json(arguments: argparse.Namespace, measurement: Measurement, failed: list[str]) -> dict[str, Any]:
    reference = arguments.reference
    films = {
        "source": str(arguments.source),
        "result": str(arguments.result),
        "reference": None if reference is None else str(reference),
    }
    return films | measurement.as_dict() | {"failures": failed}


def _write_json(report: dict[str, Any], path: Path, console: Console) -> None:
    if path == _STANDARD_OUTPUT:
        console.json(report)
        return
    try:
        path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _print(measurement: Measurement, console: Console, *, with_reference: bool) -> None:
    shown = _SHOWN + (_SHOWN_WITH_REFERENCE if with_reference else ())
    rows = [
        (str(track.track_id), f"{track.first_frame} to {track.last_frame}", *_cells(track.figures, shown))
        for track in measurement.tracks
    ]
    rows.append(("all", f"{measurement.frames} frames", *_cells(measurement.overall, shown)))
    console.table(("track", "frames", *shown), rows)


def _cells(figures: Figures, names: tuple[str, ...]) -> list[str]:
    return ["" if (value := figures[name]) is None else f"{value:.4g}" for name in names]
