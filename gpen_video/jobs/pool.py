"""The worker processes of a batch: started, asked, heard, ended, and started again where one dies."""

import multiprocessing
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from gpen_video.errors import UsageError
from gpen_video.jobs.hurry import Hurry
from gpen_video.jobs.outcome import Failure
from gpen_video.jobs.worker import Asked, Failed, Told, WorkerSetup, serve

_PATIENCE: Final = 60.0
"""Seconds that a worker has for putting its work away."""

_CONTEXT: Final = multiprocessing.get_context("spawn")  # a fork of a process with threads, or with CUDA, is none


def device_names(text: str) -> tuple[str, ...]:
    """``cuda:0,1`` -> ``cuda:0``, ``cuda:1``: a number alone is of the kind before it.

    Raises:
        UsageError: something is missing between the commas, or a number has no kind before it.
    """
    names: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        kind = names[-1].partition(":")[0] if names else ""
        if not part or (part.isdecimal() and not kind):
            raise UsageError(f"--device {text}: write names with commas between them, such as cuda:0,1 or cpu")
        names.append(f"{kind}:{part}" if part.isdecimal() else part)
    return tuple(names)


def threads_each(workers: int) -> int:
    """Threads for each of some processes that share this one's cores; what ``OMP_NUM_THREADS`` says is not exceeded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, cores // workers)
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


@dataclass(eq=False)
class Worker:
    """One process and the line to it."""

    number: int
    """From 0."""
    device: str | None
    """That it computes on; `None` leaves it to each film's settings."""
    setup: WorkerSetup
    _process: SpawnProcess = field(init=False)
    _channel: "Connection[Asked, Told]" = field(init=False)

    def __post_init__(self) -> None:
        self._start()

    @property
    def channel(self) -> "Connection[Asked, Told]":
        """The parent's end."""
        return self._channel

    def ask(self, what: Asked) -> None:
        """Send a task; where the process has died, that is heard as its answer."""
        with suppress(OSError):  # `hear` tells
            self._channel.send(what)

    def hear(self) -> Told:
        """What it has to say; a dead process says that it failed, and why."""
        try:
            return self._channel.recv()
        except (EOFError, OSError):
            self._process.join(_PATIENCE)
            self._process.kill()  # one that is deaf and does not end
            self._process.join()
            return Failed(_death(self._process.exitcode))

    @property
    def is_dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.exitcode is not None

    def restart(self) -> None:
        """Start a fresh process in its place."""
        self.end_at_once()
        self.close()
        self._start()

    def rest(self) -> Iterator[Told]:
        """What it said before it ended, and nobody has heard."""
        with suppress(EOFError, OSError):
            while self._channel.poll():
                yield self._channel.recv()

    def stop(self) -> None:
        """Tell it to put its work away and end; returns at once."""
        self._process.terminate()

    def end_at_once(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """Let go of what is left of one that has ended."""
        self._channel.close()
        self._process.close()

    def _start(self) -> None:
        self._channel, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=serve, args=(theirs, self.setup), name=f"gpen-video worker {self.number}", daemon=True
        )
        self._process.start()
        theirs.close()  # so that its end is heard


class LocalCrew:
    """Processes of this machine (a `Crew`)."""

    def __init__(self, devices: Sequence[str] = ()) -> None:
        """The i-th process gets the i-th device, and over again where there are fewer devices."""
        self._devices = devices

    def start(self, count: int, *, offline: bool, command_line: tuple[str, ...]) -> list[Worker]:
        """Start processes, which share this machine's cores."""
        setup, devices = WorkerSetup(threads_each(count), offline, command_line), self._devices
        return [Worker(number, devices[number % len(devices)] if devices else None, setup) for number in range(count)]

    def heard_from(self, workers: Iterable[Worker], seconds: float) -> list[Worker]:
        """The workers that have something to say, or died; after some seconds, none."""
        by_channel = {worker.channel: worker for worker in workers}
        if not by_channel:
            time.sleep(seconds)
            return []
        return [by_channel[channel] for channel in wait(list(by_channel), seconds) if isinstance(channel, Connection)]

    def end(self, workers: Iterable[Worker], at_work: Collection[Worker], hurry: Hurry) -> None:
        """End those at work cleanly, or at once where somebody is in a hurry or one does not end; then the others."""
        workers = list(workers)
        for worker in at_work:
            worker.stop()
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and not hurry.is_great and any(not worker.is_dead for worker in at_work):
            time.sleep(0.05)
        for worker in workers:
            if not worker.is_dead:
                worker.end_at_once()


def _death(exit_code: int | None) -> Failure:
    if exit_code is None:
        how = "has gone"
    elif -exit_code == getattr(signal, "SIGKILL", None):
        how = "was killed (SIGKILL), as the system does when memory runs out"
    elif exit_code < 0:
        how = f"crashed ({signal.Signals(-exit_code).name})"
    else:
        how = f"ended by itself with exit code {exit_code}"
    return Failure(kind="WorkerDied", line=f"the process that restored it {how}", worth_retrying=True)
