"""``gpen-video inspect IN``: what a restoration would find, without restoring."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpen_video.cli.options import add_settings_options, resolve_options
from gpen_video.cli.parser import Parser, add_loudness

if TYPE_CHECKING:
    from gpen_video.cli.console import Console
    from gpen_video.pipeline import Inspection

_EPILOG = """\
--json prints one object:
  file, container   text
  video             stream (index), codec, width, height, pixel_format, bits,
                    colour {matrix, full_range, primaries, transfer, chroma_location},
                    time_base, average_frame_rate, sample_aspect_ratio (text: "30000/1001", "25"),
                    rotation (degrees clockwise), frame_count_from_header, duration_from_header (seconds)
  streams           list of {index, kind, codec, language, title, detail}
  chapters, frames  counts; frames as decoded
  shots             list of {first_frame, frame_count, first_seconds}
  tracks            list of {track_id, shot, first_frame, last_frame, faces, mean_face_size (pixels)}
  files             with --tracks: cue sheet and contact sheets, each with its path
Frames, shots and tracks count from 0. What is not known is null.

--tracks writes into DIR, which must be new or empty:
  cues.csv               a row for each track: what of it is restored, and when; for --cues of a run
  contact-sheet.png      all tracks with number, shot and frames, on pages to print
  track_0003.png ...     the best picture of each track
"""


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(prog="gpen-video inspect", description="Streams, shots and faces of a film.", epilog=_EPILOG)
    parser.add_argument("source", metavar="IN", type=Path, help="the film")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--tracks", metavar="DIR", type=Path, help="write a cue sheet and a contact sheet into DIR")
    parser.add_argument(
        "--cues-format", choices=("csv", "toml"), default="csv", help="of the cue sheet: for a spreadsheet or an editor"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier inspection wrote into DIR")
    add_loudness(parser)
    add_settings_options(parser)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Inspect and print."""
    resolved = resolve_options(arguments)
    from gpen_video.cli.progress import RunDisplay
    from gpen_video.pipeline import inspect_video

    with RunDisplay(console) as display:
        inspection = inspect_video(
            arguments.source,
            resolved.settings,
            tracks=arguments.tracks,
            cues_format=arguments.cues_format,
            overwrite=arguments.overwrite,
            offline=arguments.offline,
            observer=display,
        )
    if arguments.json:
        console.json(_json(inspection))
    else:
        _print(inspection, console)


def _print(inspection: Inspection, console: Console) -> None:
    from gpen_video.cli.describe import film_line, stream_rows
    from gpen_video.cli.progress import clock

    console.line(film_line(inspection.info))
    console.table(("stream", "kind", "codec", "language", "detail", "title"), stream_rows(inspection.info))
    console.line()
    console.line(f"{inspection.frames} frames, {len(inspection.shots)} shots, {len(inspection.tracks)} faces followed")
    console.line()
    shots = [
        (str(number), str(shot.first_frame), str(shot.frame_count), clock(float(shot.first_seconds)))
        for number, shot in enumerate(inspection.shots)
    ]
    console.table(("shot", "from frame", "frames", "at"), shots)
    if inspection.tracks:
        console.line()
        tracks = [
            (
                str(track.track_id),
                str(track.shot),
                f"{track.first_frame} to {track.last_frame}",
                str(track.faces),
                f"{track.mean_face_size:.0f} px",
            )
            for track in inspection.tracks
        ]
        console.table(("track", "shot", "frames", "faces", "mean size"), tracks)
    if inspection.files:
        console.line()
        console.line(f"written: {', '.join(map(str, inspection.files))}")


def _json(inspection: Inspection) -> dict[str, Any]:
    from gpen_video.cli.describe import film_json

    return film_json(inspection.info) | {
        "frames": inspection.frames,
        "shots": [
            {
                "first_frame": shot.first_frame,
                "frame_count": shot.frame_count,
                "first_seconds": float(shot.first_seconds),
            }
            for shot in inspection.shots
        ],
        "tracks": [
            {
                "track_id": track.track_id,
                "shot": track.shot,
                "first_frame": track.first_frame,
                "last_frame": track.last_frame,
                "faces": track.faces,
                "mean_face_size": float(track.mean_face_size),
            }
            for track in inspection.tracks
        ],
        **({"files": [str(path) for path in inspection.files]} if inspection.files else {}),
    }
