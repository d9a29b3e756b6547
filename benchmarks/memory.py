"""Peak memory of a long film against that of a short one made of the same clip.

    python benchmarks/memory.py [CLIP] [--short 20] [--long 600] [--rate 25]

The clip is looped by FFmpeg without re-encoding where it can be, and each film is restored by the command in a process
of its own, whose peak resident memory is read when it has ended.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gpen_video.media.binary import ffmpeg_binary

SAMPLE = Path(__file__).parents[1] / "examples" / "sample.mp4"


def looped(clip: Path, seconds: float, rate: float | None, target: Path) -> None:
    """Repeat a clip until it is so long; with a rate, frames are dropped to it."""
    how = ["-c", "copy"] if rate is None else ["-r", str(rate), "-c:v", "libx264", "-preset", "veryfast", "-crf", "20"]
    command = [ffmpeg_binary(), "-v", "error", "-stream_loop", "-1", "-i", str(clip), "-t", str(seconds), *how]
    subprocess.run([*command, "-y", str(target)], check=True)


def peak_mebibytes(film: Path, target: Path) -> float:
    """Peak resident memory of one run of the command."""
    process = subprocess.Popen([sys.executable, "-m", "gpen_video", "-q", "--preset", "draft", str(film), str(target)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run on {film} failed")
    return usage.ru_maxrss / 1024


def main() -> None:
    """Print both peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--short", type=float, default=20)
    parser.add_argument("--long", type=float, default=600)
    parser.add_argument("--rate", type=float, help="frames a second, to make a long film with fewer frames")
    options = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in (("short", options.short), ("long", options.long)):
            film = Path(folder) / f"{name}.mp4"
            looped(options.clip, seconds, options.rate, film)
            peaks.append(peak_mebibytes(film, Path(folder) / f"{name}-restored.mp4"))
            print(f"{name:>5} {seconds:6.0f} s  peak {peaks[-1]:7.0f} MiB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
