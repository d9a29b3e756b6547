"""Restore a film from Python, with a preset and one setting of one's own.

python examples/restore_film.py SOURCE TARGET
"""

import sys
from pathlib import Path

import gpen_video
from gpen_video import Layer, Progress


class Dots(gpen_video.NoObserver):
    """An observer is told how a run goes; this one prints a dot for every tenth frame."""

    def progressed(self, progress: Progress) -> None:
        """A frame was finished."""
        if progress.frames % 10 == 0:
            print(".", end="", flush=True)


def main(source: Path, target: Path) -> None:
    """Restore, and say what was done."""
    preset = gpen_video.load_preset("draft")
    resolved = gpen_video.resolve(preset.layer, Layer("this example", {"restore": {"strength": 0.8}}))
    summary = gpen_video.restore_video(source, target, resolved.settings, overwrite=True, observer=Dots())
    print(f"\n{summary.faces} faces of {summary.tracks} people in {summary.frames} frames, {summary.seconds:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
