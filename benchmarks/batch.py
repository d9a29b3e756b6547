"""A collection of 30 films, 5 of them broken, restored by one command; and the same command again.

    python -m benchmarks.batch [--media ../shared/media] [--folder DIR] [--jobs 2]

The films are real ones in many formats, cut to about a second by copying their packets. Of the broken ones each is of
another kind. What must come out: 25 films done, 5 failed, each with the error that a run of that film alone would
give, exit code 8; and of the second run the same, with nothing restored and no result touched.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from gpen_video.media import ffmpeg_binary

_MEDIA: Final = Path(__file__).parents[2] / "shared" / "media"
_SECONDS: Final = 1.0

CUT: Final = {
    "chaplin.mov": "faces/chaplin.mp4",
    "sister.mkv": "faces/asl_sister.mkv",
    "walk.mp4": "faces/asl_walk.mkv",
    "yes.ts": "faces/asl_yes.mkv",
    "thanks.flv": "faces/asl_thanks.mkv",
    "grid one.mpg": "faces/grid_bbaf2n.mpg",
    "grid two.mkv": "faces/grid_lbax4n.mpg",
    "grid three.ts": "faces/grid_sbia1a.mpg",
    "foreman.avi": "faces/foreman_h264.mp4",
    "carphone.nut": "faces/carphone_pristine.mp4",
    "tape.avi": "odd/sample.avi",
    "moon.mp4": "odd/nasa_13013.mp4",
}
"""Films that are cut, and what they are cut from."""

WHOLE: Final = (
    "faces/portrait_ac3.mkv",
    "odd/h264_10bits.mp4",
    "odd/bear-vp9-odd-dimensions.webm",
    "odd/sample.flv",
    "odd/sample_with_srt.mkv",
    "odd/sample_fragmented.mp4",
    "odd/vfr_rotated.mp4",
    "odd/video_90.mov",
    "odd/transparent.webm",
    "odd/sample_android_slow_motion.mp4",
    "odd/-video-with-dash-.mp4",
    "odd/unordered.mov",
)
"""Films that are short as they are."""

BROKEN: Final = {
    "odd/chunk_out_of_range.mp4": "ProbeError",  # its index leads out of the file
    "odd/full_blocks.mkv": "ProbeError",  # subtitles alone
    "odd/sample_ac4.mp4": "ProbeError",  # sound alone
    "odd/invalid-bitstream.webm": "ProbeError",  # pictures that no decoder takes
    "odd/short-cenc.mp4": "ProbeError",  # encrypted
}
"""And the error that each must give."""

_JOBS: Final = """
[defaults]
preset = "draft"
retries = 0
report = "{output}.json"

[settings]
restore.device = "cpu"

[[job]]
name = "films"
inputs = "in/*"
output = "out/{name}.mkv"

[[job]]
name = "scans"
inputs = "in/*/frame_%04d.png"
output = "out/{parent}.mov"
settings.media.frame_rate = "24"
"""

_Run = tuple[int, float, dict[str, dict[str, Any]]]


def make_collection(folder: Path, media: Path) -> None:
    """The films and the batch file."""
    films = folder / "in"
    (films / "scan").mkdir(parents=True)
    for name, source in CUT.items():
        _ffmpeg("-i", media / source, "-map", "0:V", "-map", "0:a?", "-c", "copy", "-t", _SECONDS, films / name)
    for source in (*WHOLE, *BROKEN):
        (films / Path(source).name).write_bytes((media / source).read_bytes())
    images = films / "scan" / "frame_%04d.png"
    _ffmpeg("-i", media / "faces/bikes.mp4", "-frames:v", 12, "-start_number", 1, images)
    (folder / "jobs.toml").write_text(_JOBS, encoding="utf-8")


def run(folder: Path, workers: int) -> _Run:
    """Exit code, seconds, and the films of the report by name."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "gpen_video", "batch", str(folder / "jobs.toml"), "--jobs", str(workers)]
    code = subprocess.run(command, check=False).returncode
    took = time.perf_counter() - began
    report = json.loads((folder / "jobs-report" / "report.json").read_text(encoding="utf-8"))
    return code, took, {Path(film["source"]).name: film for film in report["films"]}


def complaints(first: _Run, second: _Run, touched: list[str]) -> list[str]:
    """What did not come out as it must."""
    found = [f"exit code {code}, not 8" for code, _, _ in (first, second) if code != 8]
    broken = {Path(source).name: kind for source, kind in BROKEN.items()}
    good = len(CUT) + len(WHOLE) + 1
    for (_, _, films), status in ((first, "done"), (second, "skipped")):
        if len(films) != good + len(broken):
            found.append(f"{len(films)} films, not {good + len(broken)}")
        for name, film in films.items():
            wanted = ("failed", broken[name]) if name in broken else (status, None)
            if (film["status"], film["error"]) != wanted:
                found.append(f"{name}: {film['status']}, {film['message']}")
            if name in broken and name not in film["message"]:
                found.append(f"{name}: {film['message']!r} does not name it")
    return found + [f"{name}: touched by the second run" for name in touched]


def _ffmpeg(*arguments: object) -> None:
    command = [ffmpeg_binary(), "-nostdin", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True)


def _table(films: dict[str, dict[str, Any]]) -> None:
    for name, film in sorted(films.items()):
        what = film["message"] or f"{film['frames']} frames, {film['faces']} faces"
        print(f"{name:32} {film['status']:8} {what}")


def _times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}


def main() -> None:
    """Run it twice and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, default=_MEDIA)
    parser.add_argument("--folder", type=Path, help="where the collection is made, and stays; a temporary one without")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        make_collection(folder, options.media)
        first = run(folder, options.jobs)
        before = _times(folder)
        second = run(folder, options.jobs)
        touched = [name for name, time_ns in _times(folder).items() if before.get(name) != time_ns]
    print()
    _table(first[2])
    for which, (code, took, films) in (("first", first), ("second", second)):
        counts = Counter(film["status"] for film in films.values())
        said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        print(f"{which} run: exit code {code}, {took:.0f} s, {said}")
    if found := complaints(first, second, touched):
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
