"""Faces per second of GPEN's fast form against its plain, grouped-convolution form, in one run.

    python benchmarks/forms.py                  # the shipped and the published 256-pixel width, batch 1 and 4

The plain form runs as published code does: NCHW memory and the allocator as it is. So each form runs in a process of
its own (kept memory cannot be unkept), the processes take turns, and the ratio is taken of the medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

WIDTHS = {"lite": (1, 0.25, 256, 4), "256": (1, 0.5, 512, 8), "512": (2, 1.0, 512, 8)}


def measure(form: str, width: str, batch: int, repeats: int, threads: int) -> float:
    """Median seconds a face."""
    import torch

    from gpen_video.nets.gpen import Gpen, GpenConfig
    from gpen_video.restore import keep_freed_memory

    torch.set_num_threads(threads)
    fast = form == "fast"
    if fast:
        keep_freed_memory()
    torch.manual_seed(0)
    net = Gpen(GpenConfig(512 if width == "512" else 256, *WIDTHS[width])).use_form("fast" if fast else "plain").eval()
    crops = torch.randn(batch, 3, net.config.size, net.config.size)
    if fast:
        crops = crops.contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        net(crops)
        for _ in range(repeats):
            started = time.perf_counter()
            net(crops)
            times.append((time.perf_counter() - started) / batch)
    return statistics.median(times)


def in_own_process(form: str, width: str, batch: int, repeats: int, threads: int) -> float:
    """`measure` in a fresh interpreter."""
    arguments = [form, width, str(batch), str(repeats), str(threads)]
    done = subprocess.run([sys.executable, __file__, "--one", *arguments], check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", nargs="+", choices=WIDTHS, default=["lite", "256"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        form, width, *numbers = options.one
        print(json.dumps(measure(form, width, *(int(number) for number in numbers))))
        return
    print(f"{'width':>6} {'batch':>5} {'plain faces/s':>14} {'fast faces/s':>13} {'ratio':>6}")
    for width in options.widths:
        for batch in (1, 4):
            seconds: dict[str, list[float]] = {"plain": [], "fast": []}
            for _ in range(options.rounds):
                for form, taken in seconds.items():
                    taken.append(in_own_process(form, width, batch, options.repeats, options.threads))
            plain, fast = (statistics.median(taken) for taken in seconds.values())
            print(f"{width:>6} {batch:>5} {1 / plain:>14.2f} {1 / fast:>13.2f} {plain / fast:>6.2f}")


if __name__ == "__main__":
    main()
