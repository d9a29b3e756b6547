"""Train the face detector: python examples/train_detector.py FACES TEACHER OUT [--backbone FILE] [--steps N]."""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import torch

from gpen_video.train.detector import LARGE_FACES, DetectorTrainConfig, TrainProgress, train_detector

PARTS = ("total", "classes", "places", "features", "labels")


def main() -> None:
    """Parse the command line and train; a second call with the same folder goes on where the first one stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path, help="folder with index.csv and images/")
    parser.add_argument("teacher", type=Path, help="weights of a trained RetinaFace MobileNet-0.25")
    parser.add_argument("out", type=Path, help="folder for the checkpoint and the weights")
    parser.add_argument("--backbone", type=Path, help="ImageNet weights of MobileNet-0.25")
    parser.add_argument("--start", type=Path, help="weights of an earlier training to go on from")
    parser.add_argument("--large-faces", action="store_true", help="train only what finds faces above 150 pixels")
    parser.add_argument("--steps", type=int, default=DetectorTrainConfig().steps)
    parser.add_argument("--learning-rate", type=float, default=DetectorTrainConfig().learning_rate)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=50, help="report the means of so many steps")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    recent: list[TrainProgress] = []

    def report(progress: TrainProgress) -> None:
        recent.append(progress)
        if progress.step % args.every == 0:
            means = {part: sum(getattr(p, part) for p in recent) / len(recent) for part in PARTS}
            print(progress.step, *(f"{part} {mean:.4f}" for part, mean in means.items()), flush=True)
            recent.clear()

    config = DetectorTrainConfig(
        steps=args.steps, learning_rate=args.learning_rate, backbone=args.backbone, start=args.start
    )
    if args.large_faces:
        config = replace(config, trained=LARGE_FACES, close_up=0.9)
    print(train_detector(config, args.faces, args.teacher, args.out, args.seed, on_step=report))


if __name__ == "__main__":
    main()
