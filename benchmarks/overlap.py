"""Wall time of a whole run against the sum and the maximum of its stages' times, taken in that same run.

    python benchmarks/overlap.py [CLIP]

A stage's time is what it worked itself, waiting not counted. Perfect overlap gives wall / slowest = 1; no overlap gives
wall / sum = 1. Start-up is what passes before the first frame is finished.
"""

import argparse
import tempfile
import time
from pathlib import Path

from gpen_video import NoObserver, Progress, Settings, restore_video

SAMPLE = Path(__file__).parents[1] / "examples" / "sample.mp4"


class Clock(NoObserver):
    """Notes when the first frame was finished, and the last."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.stages: dict[str, float] = {}

    def progressed(self, progress: Progress) -> None:
        """A frame was finished."""
        if self.first is None:
            self.first = progress.seconds
            self.stages = progress.stage_seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=SAMPLE)
    clip = parser.parse_args().clip
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        summary = restore_video(clip, Path(folder) / "restored.mp4", Settings(), observer=clock)
        total = time.perf_counter() - started
    stages = summary.stage_seconds
    slowest = max(stages, key=lambda name: stages[name])
    for name, seconds in stages.items():
        print(f"{name:>10} {seconds:8.2f} s")
    start_up = clock.first or 0.0
    print(f"{'sum':>10} {sum(stages.values()):8.2f} s")
    print(
        f"{'wall':>10} {summary.seconds:8.2f} s, of which {start_up:.2f} s until the first frame; "
        f"{total:.2f} s with loading"
    )
    print(f"wall / sum                      {summary.seconds / sum(stages.values()):.2f}")
    print(f"wall / (slowest + start-up)     {summary.seconds / (stages[slowest] + start_up):.2f}   ({slowest})")
    print(f"{summary.frames / summary.seconds:.2f} frames/s, {summary.faces / summary.seconds:.2f} faces/s")


if __name__ == "__main__":
    main()
