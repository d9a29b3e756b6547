"""What segments and their journal cost: a film restored in the usual segments, against one segment.

    python -m benchmarks.segments [--seconds 300] [--rounds 2] [--other-tree FOLDER]

The film has a face in some seconds of every half minute. The runs take turns, so that what else the machine does meets
all of them alike; each is a process of its own. With --other-tree the package in that folder (an older version, say)
takes its turn too, with its own defaults. Wall time and processor time are given as ratios to the run in one segment.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.long_films import film_with_few_faces

_ONE = ("--set=segments.shortest=100000", "--set=segments.longest=100000")


def seconds_of(film: Path, target: Path, options: tuple[str, ...], tree: Path | None) -> tuple[float, float]:
    """Wall and processor time of a run."""
    environment = os.environ if tree is None else os.environ | {"PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", "gpen_video", str(film), str(target), "-q", "--overwrite", *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=target.parent)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print a row a run, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--other-tree", type=Path)
    arguments = parser.parse_args()
    runs: dict[str, tuple[tuple[str, ...], Path | None]] = {"one segment": (_ONE, None), "segments": ((), None)}
    if arguments.other_tree is not None:
        runs["other tree"] = ((), arguments.other_tree)
    best: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        film_with_few_faces(film, arguments.seconds)
        for _ in range(arguments.rounds):
            for name, (options, tree) in runs.items():
                wall, processor = seconds_of(film, Path(folder) / "out.mp4", options, tree)
                print(f"{name:>12} {wall:8.1f} s wall {processor:8.1f} s of processors", flush=True)
                best[name] = [
                    min(pair) for pair in zip(best.get(name, [wall, processor]), [wall, processor], strict=True)
                ]
    one_wall, one_processor = best["one segment"]
    for name, (wall, processor) in best.items():
        print(f"{name:>12}: wall x {wall / one_wall:.3f}, processors x {processor / one_processor:.3f}")


if __name__ == "__main__":
    main()
