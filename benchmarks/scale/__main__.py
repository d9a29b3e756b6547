"""A hundred machines on paper: what an hour of film takes, which resource binds, and how a cluster gets through.

    python -m benchmarks.scale                    the tables of docs/scale.md, from the costs in measured.json
    python -m benchmarks.scale --measure CLIP     measure those costs anew: minutes; CLIP has a face from 3.4 s on

No GPU was measured: their speed is a peak that the maker states times an assumed efficiency. Chance is seeded.
"""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

from benchmarks.scale.flops import network_flops
from benchmarks.scale.measure import CODECS, FOOTAGE, fsyncs, measured
from benchmarks.scale.simulate import Cluster, Cutting, Film, Outcome, simulate
from benchmarks.scale.work import Collection, Costs, Machine, Work, binding, machine_seconds, work

MEASURED = Path(__file__).with_name("measured.json")

TAPE = Collection("SD tape, 25i", "SD", 25, 2, 1.0, "FFV1", "gpen-lite-256")
FILM = Collection("HD film, 2K", "2K", 24, 1, 0.7, "FFV1", "gpen-bfr-512")
LARGE = Collection("4K film", "4K", 24, 1, 0.7, "ProRes HQ", "gpen-bfr-1024")
COLLECTIONS = (TAPE, FILM, LARGE)

# Peaks: NVIDIA's data sheets, bf16 on tensor cores without sparsity. Prices: assumed, near list prices of g6 machines.
SMALL = Machine("1 L4, 8 cores", 8, 0.8, 121e12, 0.1, 0.6e9, 1.0)
BIG = Machine("1 L4, 32 cores", 32, 0.8, 121e12, 0.1, 1.5e9, 2.0)
BARE = Machine("no GPU, 32 cores", 32, 0.8, 0.0, 0.0, 1.5e9, 1.4)
STORAGE_BYTES = 2.5e9
"""A second, of one file server on 25 Gbit/s, four fifths of the line."""
TRACK_BYTES = 300
"""A face of a frame, handed to a segment; assumed."""
JOIN_BYTES = 0.3e9
"""A second, read and written by one copying process; assumed."""
HOUR = 3600.0
SPOT_LIFE = 12 * HOUR
"""Assumed, and pessimistic."""
OWN_LIFE = 50_000 * HOUR
"""Of a machine with one GPU: 419 losses in 54 days on 16,384 GPUs (Llama Team, The Llama 3 Herd of Models, 2024)."""
SEEDS = range(5)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, metavar="CLIP")
    if clip := parser.parse_args().measure:
        costs = {size: measured(clip, footage) for size, footage in FOOTAGE.items()}
        found = {"fsyncs a second": fsyncs(Path.cwd()), "costs": costs}
        MEASURED.write_text(json.dumps(found, indent=1) + "\n")
    found = json.loads(MEASURED.read_text())
    costs = found["costs"]
    flops = network_flops()
    print_costs(costs)
    print_flops(flops)
    works = [(collection, work(collection, costs[collection.size], flops)) for collection in COLLECTIONS]
    print_works([(c, work(c, costs[c.size], flops)) for c in (TAPE, FILM, replace(FILM, network=TAPE.network), LARGE)])
    print_binding(costs, flops)
    print_growth(works, found["fsyncs a second"])
    hour = work(FILM, costs["2K"], flops)
    print_scaling(hour)
    print_one_film(hour)
    print_lengths(hour)
    print_stragglers(hour)


def print_costs(costs: Mapping[str, Costs]) -> None:
    """Table 1."""
    rows = [(name, *(f"{costs[size][name] * 1000:,.0f} ms" for size in costs)) for name in _timed(costs)]
    rows += [
        (f"bytes a frame, {name}", *(f"{costs[size][f'bytes {name}'] / 1e6:.2f} MB" for size in costs))
        for name in CODECS
    ]
    sizes = [f"{size}, {FOOTAGE[size].width}x{FOOTAGE[size].height}" for size in costs]
    table("1. Measured: seconds of one core, 10 bits 4:2:2", ["", *sizes], rows)


def _timed(costs: Mapping[str, Costs]) -> list[str]:
    first = next(iter(costs.values()))
    return [name for name in first if not name.startswith("bytes") and name != "faces a frame"]


def print_flops(flops: Mapping[str, float]) -> None:
    """Table 2."""
    table(
        "2. Operations of one call",
        ["network", "GFLOP"],
        [(name, f"{count / 1e9:.1f}") for name, count in flops.items()],
    )


def print_works(works: Iterable[tuple[Collection, Work]]) -> None:
    """Table 3."""
    rows = [
        (
            f"{c.name} to {c.codec}, {c.network}",
            f"{w.track_core / HOUR:.1f}",
            f"{w.restore_core / HOUR:.1f}",
            f"{w.encode_core / HOUR:.1f}",
            f"{w.networks_core / HOUR:.1f}" if c.network == TAPE.network else "",
            f"{w.flops / 1e15:.2f}",
            f"{w.source_bytes / 1e9:.0f}",
            f"{w.result_bytes / 1e9:.0f}",
            f"{w.moved_bytes / 1e9:.0f}",
        )
        for c, w in works
    ]
    head = [
        "an hour of",
        "tracking, core h",
        "restoring, core h",
        "encoding, core h",
        "networks on cores, core h",
        "PFLOP",
    ]
    table("3. Work in an hour of film", [*head, "source GB", "result GB", "moved GB"], rows)


def print_binding(costs: Mapping[str, Costs], flops: Mapping[str, float]) -> None:
    """Table 4."""
    others = [
        replace(TAPE, codec="libx264 slow"),
        replace(FILM, network="gpen-lite-256"),
        replace(FILM, codec="libx264 slow"),
        replace(FILM, codec="ProRes HQ"),
    ]
    rows = []
    for collection in (*COLLECTIONS, *others):
        hour = work(collection, costs[collection.size], flops)
        for machine in (SMALL, BIG, *([BARE] if collection.network == TAPE.network else [])):
            busy = machine_seconds(hour, machine)
            share = busy["GPU"] * machine.efficiency / max(busy["CPU"], busy["network"])
            rows.append(
                (
                    f"{collection.name} to {collection.codec}, {collection.network}",
                    machine.name,
                    *(f"{busy[name] / HOUR:.2f}" for name in busy),
                    binding(hour, machine),
                    f"{share:.1%}" if share else "",
                    f"{max(busy.values()) / HOUR * machine.price:.2f}",
                )
            )
    head = ["an hour of", "machine", "CPU h", "GPU h", "network h", "binds", "GPU would bind below", "price"]
    table("4. Machine hours for an hour of film", head, rows)


def print_growth(works: Iterable[tuple[Collection, Work]], fsyncs: float) -> None:
    """Table 5."""
    rows = []
    for collection, hour in works:
        for machines in (1, 10, 100):
            films = machines * HOUR / max(machine_seconds(hour, SMALL).values())  # film hours an hour
            segments = films * collection.frames / 1500 / HOUR
            faces = films * collection.frames * collection.fields * collection.faces / HOUR
            moved = films * hour.moved_bytes / HOUR
            joining = films * 2 * hour.result_bytes / HOUR
            rows.append(
                (
                    collection.name,
                    machines,
                    f"{films:.1f}",
                    f"{moved / 1e9:.2f} ({moved / STORAGE_BYTES:.0%})",
                    f"{joining / JOIN_BYTES:.1f}",
                    f"{3 * segments:.3f} ({3 * segments / fsyncs:.2%})",
                    f"{faces * TRACK_BYTES / 1e6:.3f}",
                )
            )
    head = ["", "machines", "film h an hour", "storage GB/s (of one server)", "joins at a time"]
    table("5. From 1 to 100 machines", [*head, "fsyncs/s (of one disk)", "tracks MB/s"], rows)


def film_of(hour: Work, hours: float, machine: Machine, track_cores: float, restore_cores: float) -> Film:
    """A film on machines whose cores are divided between tracking and restoring."""
    frames = FILM.frames
    cores = restore_cores * machine.kept_busy
    gpu = hour.restore_flops / (machine.flops * machine.efficiency)
    return Film(
        frames=round(frames * hours),
        track_seconds=hour.track_core / frames / (track_cores * machine.kept_busy),
        restore_seconds=max((hour.restore_core + hour.encode_core) / cores, gpu) / frames,
        join_seconds=2 * hour.result_bytes / frames / JOIN_BYTES,
    )


def shared(hour: Work, hours: float) -> Film:
    """A film on machines that give tracking as many of their cores as it needs to keep up."""
    part = SMALL.cores * hour.track_core / hour.core
    return film_of(hour, hours, SMALL, part, SMALL.cores - part)


def runs(films: list[Film], cutting: Cutting, cluster: Cluster) -> list[Outcome]:
    """With several seeds."""
    return [simulate(films, cutting, replace(cluster, seed=seed)) for seed in SEEDS]


ORDINARY = Cluster(workers=100, trackers=100, spread=0.35, slow_share=0.02, slow_factor=3.0, mean_life=OWN_LIFE)


def print_scaling(hour: Work) -> None:
    """Table 6."""
    films = [shared(hour, 2.0)] * 200
    rows, alone = [], 0.0
    for machines in (1, 10, 100):
        cluster = replace(ORDINARY, workers=machines, trackers=machines, slow_share=0.0 if machines == 1 else 0.02)
        done = runs(films, Cutting(1500, 0.8), cluster)
        makespan = mean(outcome.makespan for outcome in done)
        alone = alone or makespan
        rows.append(
            (machines, f"{makespan / HOUR:,.0f}", f"{alone / makespan:.1f}", f"{alone / makespan / machines:.0%}")
        )
    table("6. 200 HD films of 2 h", ["machines", "hours", "faster", "efficiency"], rows)


def print_one_film(hour: Work) -> None:
    """Table 7."""
    rows = []
    for machines in (1, 2, 4, 10, 100):
        # One machine tracks with all its cores, or shares them; the others restore.
        if machines == 1:
            film, workers = shared(hour, 2.0), 1
        else:
            film, workers = film_of(hour, 2.0, SMALL, SMALL.cores, SMALL.cores), machines - 1
        made = mean(
            o.makespan for o in runs([film], Cutting(1500, 0.8), replace(ORDINARY, workers=workers, slow_share=0))
        )
        tracking, joining = film.frames * film.track_seconds, film.frames * film.join_seconds
        rows.append((machines, f"{made / HOUR:.2f}", f"{tracking / HOUR:.2f}", f"{joining / HOUR:.2f}"))
    table("7. One HD film of 2 h", ["machines", "hours", "tracking alone", "joining alone"], rows)


LENGTHS = (250, 500, 1000, 1500, 3000, 6000)


def print_lengths(hour: Work) -> None:
    """Table 8."""
    lives = {"no losses": math.inf, "own machines": OWN_LIFE, "spot, 12 h": SPOT_LIFE, "spot, 2 h": 2 * HOUR}
    films = [shared(hour, 2.0)] * 20
    for cuts, title in ((0.8, "80 % of borders are cuts"), (0.0, "no cuts")):
        rows = []
        for name, life in lives.items():
            cluster = replace(ORDINARY, workers=20, trackers=20, mean_life=life)
            made = [runs(films, Cutting(length, cuts), cluster) for length in LENGTHS]
            waste = [mean(1 - o.useful / o.spent for o in outcomes) for outcomes in made]
            hours = [mean(o.makespan for o in outcomes) / HOUR for outcomes in made]
            best = LENGTHS[min(range(len(LENGTHS)), key=lambda i: waste[i])]
            cells = [f"{w:.1%}; {h:.2f} h" for w, h in zip(waste, hours, strict=True)]
            rows.append((name, *cells, best))
        head = ["", *(f"{length} frames" for length in LENGTHS), "least waste"]
        table(f"8. Waste of worker time, and makespan: 20 HD films of 2 h, 20 machines, {title}", head, rows)


def print_stragglers(hour: Work) -> None:
    """Table 9."""
    slow = replace(ORDINARY, slow_share=0.1)
    kinds = {
        "even": replace(ORDINARY, spread=0.0, slow_share=0.0),
        "spread 0.35": replace(ORDINARY, slow_share=0.0),
        "2 % of machines 3 times slower": ORDINARY,
        "10 % of machines 3 times slower": slow,
        "that, and spot, 12 h": replace(slow, mean_life=SPOT_LIFE),
    }
    rows = []
    for name, kind in kinds.items():
        cells = []
        for length in (1500, 6000):
            for again in (False, True):
                cluster = replace(kind, speculate=again)
                done = runs([shared(hour, 0.5)] * 100, Cutting(length, 0.8), cluster)
                doubled = mean(o.doubled / o.spent for o in done)
                cells.append(
                    f"{mean(o.makespan for o in done) / HOUR:.2f} h" + (f", {doubled:.1%} twice" if again else "")
                )
        rows.append((name, *cells))
    head = ["", "1500 frames", "1500, late ones twice", "6000 frames", "6000, late ones twice"]
    table("9. 100 HD films of half an hour, 100 machines", head, rows)


def table(title: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    """Print Markdown."""
    print(f"\n**{title}**\n")
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
