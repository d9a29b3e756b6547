"""What steadying brings, part by part, against the same network run frame by frame on raw detections.

    python -m benchmarks.steadiness [--quick] [--only NAME ...] [--keep DIR] [--write]

Makes clips whose truth is known (needs ``../shared``), damages them with seeds, restores them with each variant through
`restore_video` and measures against the truth. Prints the tables as Markdown; ``--write`` puts them into
``docs/steadiness.md``. ``--keep`` leaves all films in a folder, to be looked at.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.steadiness.scenes import scenes
from benchmarks.steadiness.tables import Outcome, page_with, tables
from benchmarks.steadiness.trial import Clip
from benchmarks.steadiness.variants import EVERYTHING, PLAIN, variants
from gpen_video.config import Settings
from gpen_video.pipeline import load_models

PAGE = Path(__file__).parents[2] / "docs" / "steadiness.md"


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few, short clips; minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(variants()), help="variants to run")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the films there")
    parser.add_argument("--write", action="store_true", help="into docs/steadiness.md")
    parser.add_argument("--threads", type=int, default=1, help="of the network; more only on a machine that is idle")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        names = arguments.only or list(variants())
        started = time.perf_counter()
        outcomes = run(folder, names, quick=arguments.quick)
    minutes = (time.perf_counter() - started) / 60
    text = "\n".join([*tables(outcomes, PLAIN, EVERYTHING), "", f"Made in {minutes:.0f} minutes."])
    print(text)
    if arguments.write:
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


def run(folder: Path, names: Sequence[str], *, quick: bool) -> list[Outcome]:
    """All clips through the named variants."""
    outcomes = []
    settings = {name: chosen for name, chosen in variants().items() if name in names}
    models = load_models(Settings.model_validate({"restore": {"device": "cpu"}}), offline=True)
    for number, scene in enumerate(scenes(quick=quick)):
        name_on_disk = f"{number}_{scene.name.replace(' ', '_').replace(',', '')}"
        clip = Clip(scene, folder / name_on_disk, models)
        clip.prepare()
        for name, chosen in settings.items():
            started = time.perf_counter()
            figures = clip.figures(clip.restored(name, chosen))
            lag = clip.lag(chosen) if scene.kind == "fast" else None
            switches = clip.switches(chosen) if scene.kind == "crossing" else None
            outcomes.append(Outcome(scene.name, scene.kind, name, figures, lag, switches))
            print(f"{scene.name}: {name}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return outcomes


if __name__ == "__main__":
    main()
