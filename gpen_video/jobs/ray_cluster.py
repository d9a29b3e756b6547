"""A connection to a cluster of Ray, or to one made of this machine for a batch alone; and how it is shared out.

Ray is an extra (``pip install 'gpen-video[ray]'``); only this module imports it, and only when it is needed.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

from gpen_video.errors import ClusterError, UsageError

_OBJECT_STORE: Final = 256 * 2**20
"""Bytes, in the cluster of this machine: only paths and tracks go through it."""
_TO_CONNECT: Final = 5.0
"""Seconds."""
_TO_JOIN: Final = 30.0
_CLIENT: Final = "ray://"
_USUAL_CORES: Final = 4
_PARTS: Final = 10_000
"""Of a GPU: Ray counts in these."""
_TRIAL: Final = """
import ray, sys
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
ray.cluster_resources()
"""

FILMS: Final = "films"
"""The resource by which machines say that they see films and results: ``ray start --resources '{"films": 1}'``."""
SOME: Final = 0.0001
"""Of it, for each that follows a film: the least that Ray counts, since it stands for a place and not for work."""

Actor: TypeAlias = Any
"""Ray's handle of an actor: what it can do is known at run time."""
Reference: TypeAlias = Any
"""Ray's, of something that is or will be."""


def ray_here() -> ModuleType:
    """Ray.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray needs Ray: pip install 'gpen-video[ray]'") from error
    return ray


@dataclass(frozen=True, slots=True)
class Share:
    """What of a machine one worker gets."""

    cpus: int
    gpus: float = 0.0

    def fits(self, resources: Mapping[str, float]) -> int:
        """How many of these a machine holds, by what Ray says of it."""
        fits = int(resources.get("CPU", 0)) // max(1, self.cpus)
        if 0 < self.gpus < 1:
            fits = min(fits, int(resources.get("GPU", 0)) * int(1 / self.gpus))
        elif self.gpus:
            fits = min(fits, int(resources.get("GPU", 0) / self.gpus))
        return fits


@dataclass(frozen=True, slots=True)
class Plan:
    """How a cluster is shared out."""

    films: int
    """That are followed, joined and written at a time, each by a worker of its own."""
    workers: int
    """That restore segments, of whichever film."""
    share: Share
    """Of each."""
    film_share: Share
    machines: int
    films_are_marked: bool = False
    """Whether only some machines see films, and say so; only these follow them."""


def plan_of(
    machines: Sequence[Mapping[str, float]],
    *,
    cpus: int | None = None,
    gpus: float | None = None,
    films: int | None = None,
    workers: int | None = None,
) -> Plan:
    """Share a cluster out; a third of it follows films, since that is a third of the work (docs/scale.md).

    Args:
        machines: What Ray says of each: ``CPU``, ``GPU``.
        cpus: Cores for each worker; 4, or half of the smallest machine, where not said.
        gpus: Of a GPU, for each worker; where not said, so much that GPUs hold as many workers as cores do.
        films: At a time.
        workers: For segments.

    Raises:
        ClusterError: No machine is so large.
    """
    with_gpu = [machine for machine in machines if machine.get("GPU")]
    usable = with_gpu if with_gpu and gpus != 0 else machines
    smallest = min((int(machine.get("CPU", 0)) for machine in usable), default=0)
    share = Share(cpus or max(1, min(_USUAL_CORES, smallest // 2)))
    if with_gpu and gpus is None:
        gpus = min(_part(machine["GPU"], share.fits(machine)) for machine in with_gpu)
    share = Share(share.cpus, gpus or 0.0)
    places = sum(share.fits(machine) for machine in machines)
    if not places:
        raise ClusterError(
            f"no machine of the cluster has {share.cpus} cores and {share.gpus:g} GPUs for a worker; ask for less with "
            "--cpus-per-worker and --gpus-per-worker"
        )
    seeing = [machine for machine in machines if machine.get(FILMS)]
    films = films or max(1, min(places // 3, sum(share.fits(machine) for machine in seeing or machines)))
    workers = workers or max(1, places - films)
    # Where both do not fit, whoever follows a film takes no room from those without whom it does not get on; nor where
    # only some machines will do, which workers for segments may have filled.
    film_share = share if films + workers <= places and not seeing else Share(0)
    return Plan(films, workers, share, film_share, len(machines), bool(seeing))


def _part(gpus: float, workers: int) -> float:
    """Of a GPU for each of some workers on a machine."""
    on_each = max(1, -(-workers // max(1, int(gpus))))
    return int(_PARTS / on_each) / _PARTS


@contextmanager
def connected(address: str | None = None, *, cores: int | None = None, verbose: bool = False) -> Iterator[None]:
    """Be connected to a cluster while the block runs.

    Args:
        address: ``host:port``, ``ray://host:port`` or ``auto`` as Ray has them; `None` makes a cluster of this machine,
            which nothing outside it reaches, and ends it with the block.
        cores: Of that one; all where not said.
        verbose: Let through what Ray says.

    Raises:
        UsageError: Ray is not installed.
        ClusterError: The cluster cannot be reached, or made.
    """
    _prepare_environment(is_local=address is None, verbose=verbose)
    if address is not None:
        _check_listens(address)
    ray = ray_here()
    loud: dict[str, Any] = {"log_to_driver": verbose, "logging_level": "INFO" if verbose else "ERROR"}
    if address is not None:
        _try(address)
    with _own_signals():
        try:
            if address is None:
                ray.init(
                    "local",
                    num_cpus=cores,
                    object_store_memory=_OBJECT_STORE,
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    **loud,
                )
            else:
                ray.init(address, **loud)
        except Exception as error:  # Ray raises nearly anything here
            where = "of this machine" if address is None else f"at {address}"
            raise ClusterError(f"the cluster {where} cannot be used: {first_line(str(error))}") from error
    try:
        if address is None:
            _check_loopback(ray)
        yield
    finally:
        ray.shutdown()


def unseen(folder: Path) -> str:
    """What to say where a worker does not find a folder."""
    return (
        f"{folder} is not there on {socket.gethostname()}; films and results must lie where every machine of the "
        f"cluster sees them under the same name, or where those do that have the resource {FILMS!r}, with --storage"
    )


def machines_of(ray: ModuleType) -> list[Mapping[str, float]]:
    """What each machine of the cluster has that is there now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _prepare_environment(*, is_local: bool, verbose: bool) -> None:
    """What Ray reads when it is imported, or when a process of it starts."""
    environment = os.environ
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    environment.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # no GPU where none is asked for
    if not verbose:
        environment.update(_QUIET)
    if is_local:
        if sys.modules.get("ray") is not None and any(
            environment.get(name) != value for name, value in _CLOSED.items()
        ):
            raise UsageError("Ray was imported before a cluster of this machine is made; leave that to gpen-video")
        environment.update(_CLOSED)
        if not _has_token():
            environment["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # lives as long as this process, and on no disk
    elif _has_token():
        environment.setdefault("RAY_AUTH_MODE", "token")


_QUIET: Final = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what is said of lost workers on standard output, beside `log_to_driver`
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_SCHEDULER_EVENTS": "0",
}
_CLOSED: Final = {
    "RAY_AUTH_MODE": "token",
    # Else Ray replaces 127.0.0.1 by an address that others reach, and listens there.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


def _has_token() -> bool:
    """Whether Ray would find one: in its order of precedence."""
    stated = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(stated) or (Path.home() / ".ray" / "auth_token").is_file()


def _check_loopback(ray: ModuleType) -> None:
    listens = {node["NodeManagerAddress"] for node in ray.nodes()}
    if not listens <= {"127.0.0.1", "::1"}:
        raise ClusterError(
            f"Ray listens on {', '.join(sorted(listens))}, where other machines reach it, though this cluster is for "
            "this machine alone"
        )


def _try(address: str) -> None:
    """Find out whether there is a cluster: Ray itself would wait for minutes, and might end this process."""
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, address],
            capture_output=True,
            timeout=_TO_JOIN,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{address} does not answer as a cluster of Ray; {_ADVICE}") from None
    if trial.returncode:
        said = trial.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ClusterError(
            f"the cluster at {address} cannot be used ({first_line(said[-1] if said else '?')}); {_ADVICE}"
        )


_ADVICE: Final = "is its address right, `ray status` content, and the token (RAY_AUTH_TOKEN) its own?"


def _check_listens(address: str) -> None:
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not colon:
        return  # "auto", or a name: Ray looks it up
    if not port.isdecimal():
        raise UsageError(f"--address {address}: write HOST:PORT, ray://HOST:PORT or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClusterError(f"the cluster at {address} cannot be reached: {reason.lower()}") from error


def first_line(text: str) -> str:
    """The first line that says something, short."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
    return line if len(line) <= 200 else f"{line[:199]}…"


@contextmanager
def _own_signals() -> Iterator[None]:
    """Take back the handler of SIGTERM that Ray puts in place of ours; in the main thread, where they are set."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, before)
