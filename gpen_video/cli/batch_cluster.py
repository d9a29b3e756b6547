"""The options of ``gpen-video batch`` for many machines, and the cluster that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gpen_video.errors import UsageError

if TYPE_CHECKING:
    from gpen_video.cli.console import Console
    from gpen_video.cli.parser import Parser
    from gpen_video.jobs.ray_crew import RayCrew
    from gpen_video.jobs.storage import Storage

_OPTIONS: Final = ("address", "segment_workers", "cpus_per_worker", "gpus_per_worker", "storage")


def add_cluster(parser: Parser) -> None:
    """Add the options."""
    group = parser.add_argument_group("many machines (docs/batch.md)")
    group.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: on a cluster of Ray")
    group.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of the cluster, or ray://HOST:PORT, or auto; without it, one that is made of this machine",
    )
    group.add_argument(
        "--workers",
        metavar="N",
        dest="segment_workers",
        type=_count,
        help="that restore segments; as many as fit",
    )
    group.add_argument("--cpus-per-worker", metavar="N", type=_count, help="cores for each; 4 where not said")
    group.add_argument("--gpus-per-worker", metavar="X", type=_share, help="GPUs for each, as 0.25 or 1; 0 for none")
    group.add_argument(
        "--storage",
        metavar="URL",
        help="through which films and segments go to workers that do not see them: s3://bucket/place, any of fsspec's",
    )


@contextmanager
def cluster(arguments: argparse.Namespace, console: Console) -> Iterator[RayCrew | None]:
    """The workers of a cluster while the block runs; `None` where it is not asked for one.

    Raises:
        UsageError: Options do not go together, or Ray is not installed.
        ClusterError: It cannot be reached, or has no room.
    """
    if arguments.engine == "local":
        if stated := [name for name in _OPTIONS if getattr(arguments, name) is not None]:
            option = stated[0].replace("segment_", "").replace("_", "-")
            raise UsageError(f"--{option} is for a cluster; add --engine ray")
        yield None
        return
    if arguments.device is not None:
        raise UsageError("--device is for --engine local; on a cluster, --gpus-per-worker says what a worker has")
    from gpen_video.jobs.ray_cluster import connected, machines_of, plan_of, ray_here
    from gpen_video.jobs.ray_crew import RayCrew

    storage = _storage(arguments.storage) if arguments.storage is not None else None
    with connected(arguments.address, verbose=console.verbose):
        plan = plan_of(
            machines_of(ray_here()),
            cpus=arguments.cpus_per_worker,
            gpus=arguments.gpus_per_worker,
            films=arguments.workers,
            workers=arguments.segment_workers,
        )
        gpus = f" and {plan.share.gpus:g} GPUs" if plan.share.gpus else ""
        console.note(
            f"cluster: {plan.machines} machines; films at a time: {plan.films}; workers for segments: {plan.workers}, "
            f"each with {plan.share.cpus} cores{gpus}"
        )
        yield RayCrew(plan, grows=arguments.segment_workers is None, storage=storage)


def _storage(text: str) -> Storage:
    """Checked; a folder's name is made absolute, since it means the same to every machine then."""
    from gpen_video.jobs.storage import Storage

    storage = Storage(text if "://" in text else str(Path(text).absolute()))
    storage.check()
    return storage


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: should be a whole number, 1 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not (0 <= share <= 1 or (share > 1 and share.is_integer())):
        raise argparse.ArgumentTypeError(f"{text!r}: should be 0, a part of 1, or a whole number")
    return share
