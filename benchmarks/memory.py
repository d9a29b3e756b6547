"""Peak memory of a long film against that of a short one made of the same clip.

    python -m benchmarks.memory [CLIP] [--short 20] [--long 600] [--few-faces]

The clip is looped without re-encoding; with --few-faces it is shown for some seconds in every half minute only, and
small, so that an hour of film can be tried. Each film is restored by the command in a process of its own, whose peak
resident memory is read when it has ended; and on Linux its resident memory every second, of which the medians of ten
equal parts of the run are printed: what grows with the film grows from part to part.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.long_films import SAMPLE, film_with_few_faces, looped

_SMALL_WH = (160, 120)


def memory_of(film: Path, target: Path) -> tuple[float, list[float]]:
    """Peak resident memory of one run of the command, and what it was every second, in MiB."""
    process = subprocess.Popen([sys.executable, "-m", "gpen_video", "-q", "--preset", "draft", str(film), str(target)])
    resident: list[float] = []
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        resident += _resident(process.pid)
        time.sleep(1)
    if status:
        raise SystemExit(f"the run on {film} failed")
    return usage.ru_maxrss / 1024, resident


def _resident(process: int) -> list[float]:
    place = Path(f"/proc/{process}/status")
    lines = place.read_text().splitlines() if place.exists() else []
    return [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]


def medians(values: list[float], parts: int = 10) -> list[float]:
    """Of equal parts."""
    return [float(np.median(part)) for part in np.array_split(values, parts) if len(part)]


def main() -> None:
    """Print both peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--short", type=float, default=20)
    parser.add_argument("--long", type=float, default=600)
    parser.add_argument("--few-faces", action="store_true", help="faces in some shots only")
    options = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in (("short", options.short), ("long", options.long)):
            film = Path(folder) / f"{name}.mp4"
            if options.few_faces:
                film_with_few_faces(film, seconds, size_wh=_SMALL_WH, clip=options.clip)
            else:
                looped(options.clip, seconds, film)
            peak, resident = memory_of(film, Path(folder) / f"{name}-restored.mp4")
            peaks.append(peak)
            parts = " ".join(f"{median:.0f}" for median in medians(resident))
            print(f"{name:>5} {seconds:6.0f} s  peak {peak:7.0f} MiB; by parts {parts}", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
