"""How much better than a bicubic enlargement the restored faces are, on portraits that were never trained on.

    python benchmarks/faces.py PORTRAITS [--weights NAME|FILE] [--count N] [--sheet FILE.png]

Each held-out face is degraded with a fixed seed by the published ranges, by the usual ones and by the archival ones.
What it is compared with is the same degraded face, enlarged bicubically: the very crop that the network gets.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity

from gpen_video.restore import GpenRestorer, keep_freed_memory
from gpen_video.train.data import Crops, read_index
from gpen_video.train.degrade import PUBLISHED, USUAL, archival, grey, published
from gpen_video.weights import load_gpen

Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
DEGRADATIONS: dict[str, Degradation] = {
    "published": lambda face, rng: published(face, rng, PUBLISHED, cv2.INTER_CUBIC),
    "usual": lambda face, rng: published(face, rng, USUAL, cv2.INTER_CUBIC),
    "archival": archival,
    "archival, grey": lambda face, rng: archival(grey(face, rng), rng),
}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of images in 0..1."""
    return float(-10 * np.log10(np.square(a.astype(np.float64) - b).mean() + 1e-12))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity, mean over the channels."""
    return float(structural_similarity(a, b, channel_axis=2, data_range=1.0))


def main() -> None:
    """Print the table, and draw degraded, restored and true faces side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", type=Path)
    parser.add_argument("--weights", default="gpen-lite-256")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    loaded = load_gpen(options.weights)
    restorer = GpenRestorer(loaded.net, device=torch.device("cpu"))
    held_out = [portrait for portrait in read_index(options.portraits) if portrait.held_out]
    chosen = [held_out[i] for i in np.linspace(0, len(held_out) - 1, min(options.count, len(held_out))).astype(int)]
    crops = Crops(chosen, restorer.size, loaded.template)
    rows = []
    print(f"{len(chosen)} of {len(held_out)} held-out faces, {options.weights}")
    print(
        f"{'degradation':>15} {'PSNR bicubic':>13} {'restored':>9} {'gain':>6} {'better':>7} "
        f"{'SSIM bicubic':>13} {'restored':>9}"
    )
    for name, degrade in DEGRADATIONS.items():
        scores = []
        for index in range(len(chosen)):
            truth = crops.crop(index)
            if "grey" in name:
                truth = grey(truth, np.random.default_rng(index))
            low = degrade(truth, np.random.default_rng((7, index)))
            made = restorer.restore(low[None])[0]
            scores.append((psnr(low, truth), psnr(made, truth), ssim(low, truth), ssim(made, truth)))
            if index % max(1, len(chosen) // 6) == 0:
                rows.append(np.hstack([low, made, truth]))
        before, after, like, liker = np.mean(scores, axis=0)
        share = np.mean([one[1] > one[0] for one in scores])
        print(f"{name:>15} {before:13.2f} {after:9.2f} {after - before:+6.2f} {share:7.0%} {like:13.3f} {liker:9.3f}")
    if options.sheet:
        width = 4
        grid = np.vstack([np.hstack(rows[i : i + width]) for i in range(0, len(rows) - width + 1, width)])
        cv2.imwrite(str(options.sheet), np.rint(grid[:, :, ::-1] * 255))


if __name__ == "__main__":
    main()
