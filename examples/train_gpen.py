"""Train the small restorer: python examples/train_gpen.py FACES OUT [--images N] [--threads N].

FACES holds index.csv and images/. A second call with the same folder goes on from the last checkpoint. At the end
OUT/gpen-lite-256.safetensors is written, and the held-out faces are measured.
"""

import argparse
from pathlib import Path

import cv2
import torch

from gpen_video.restore import keep_freed_memory
from gpen_video.train.content import ContentConfig, Stage, Trainer, evaluate
from gpen_video.train.data import read_index
from gpen_video.train.export import export_gpen

NAME = "gpen-lite-256"


def main() -> None:
    """Parse the command line, train, export and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=10_700, help="faces seen")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)

    stage = Stage(
        size=256, images=options.images, batch=options.batch, learning_rate=options.learning_rate, final_rate=0.03
    )
    portraits = read_index(options.faces)
    trainer = Trainer(ContentConfig(stages=(stage,), seed=options.seed), portraits, options.out)
    net = trainer.run(lambda line: print(line, flush=True))
    export_gpen(
        net,
        options.out / f"{NAME}.safetensors",
        name=NAME,
        terms="Apache-2.0; credits in docs/models/gpen-lite-256.md",
    )
    print(evaluate(net, portraits))


if __name__ == "__main__":
    main()
