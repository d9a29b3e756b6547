"""Several hosts on this machine: network namespaces on one bridge, each with an address and a disk that others lack."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_BRIDGE: Final = "gpen-hosts"
_BIN: Final = Path(sys.executable).parent


def can_be_made() -> bool:
    """Whether this user may make network namespaces."""
    return (
        os.geteuid() == 0
        and all(map(shutil.which, ("ip", "unshare")))
        and _ip("netns", "add", "gpen-try") == 0 == _ip("netns", "del", "gpen-try")
    )


class Hosts:
    """Hosts by name, at 10.99.0.2 and on."""

    def __init__(self, names: str, environment: Mapping[str, str]) -> None:
        """See `hosts`."""
        self._names = names
        self._environment = {**os.environ, "PATH": f"{_BIN}:{os.environ['PATH']}", **environment}

    def address(self, host: str) -> str:
        """Where it is reached."""
        return f"10.99.0.{2 + self._names.index(host)}"

    def start(
        self, host: str, *command: str, without: Path | None = None, log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Run a command there, where a folder of the disk cannot be seen."""
        hide = f"mount --make-rprivate / && mount -t tmpfs none '{without}' && " if without else ""
        there = (
            "ip",
            "netns",
            "exec",
            _space(host),
            "unshare",
            "--mount",
            "sh",
            "-c",
            f'{hide}exec "$@"',
            "sh",
            *command,
        )
        with (log or Path(os.devnull)).open("wb") as told:
            return subprocess.Popen(there, env=self._environment, stdout=told, stderr=subprocess.STDOUT)

    def run(self, host: str, *command: str, without: Path | None = None) -> None:
        """See `start`; waits until it has succeeded."""
        assert self.start(host, *command, without=without).wait(timeout=120) == 0, command

    def processes(self, host: str) -> list[int]:
        """All that run there."""
        listed = subprocess.run(("ip", "netns", "pids", _space(host)), capture_output=True, text=True, check=False)
        return [int(process) for process in listed.stdout.split()]

    def where(self, name: str) -> str:
        """The host that runs a process of this name (its first 15 letters)."""
        (found,) = (host for host in self._names if name in map(_name_of, self.processes(host)))
        return found

    def cut_off(self, host: str) -> None:
        """Its packets go nowhere from now on, and nobody is told so."""
        assert _ip("link", "set", _link(host), "down") == 0


@contextmanager
def hosts(names: str, environment: Mapping[str, str]) -> Iterator[Hosts]:
    """Hosts that reach one another while the block runs.

    Args:
        names: A letter each.
        environment: Of what runs there.
    """
    made = Hosts(names, environment)
    try:
        assert _ip("link", "add", _BRIDGE, "type", "bridge") == 0 == _ip("link", "set", _BRIDGE, "up")
        for host in names:
            space, link = _space(host), _link(host)
            steps = (
                f"netns add {space}",
                f"link add {link} type veth peer name eth0 netns {space}",
                f"link set {link} master {_BRIDGE} up",
                f"-n {space} addr add {made.address(host)}/24 dev eth0",
                f"-n {space} link set eth0 up",
                f"-n {space} link set lo up",
            )
            for step in steps:
                assert _ip(*step.split()) == 0, step
        yield made
    finally:
        for host in names:
            subprocess.run(("kill", "-KILL", *map(str, made.processes(host))), check=False, capture_output=True)
            _ip("link", "del", _link(host))  # at once: a namespace goes when the last of its processes has gone
            _ip("netns", "del", _space(host))
        _ip("link", "del", _BRIDGE)


def _ip(*words: str) -> int:
    return subprocess.run(("ip", *words), check=False, capture_output=True).returncode


def _space(host: str) -> str:
    return f"gpen-{host}"


def _link(host: str) -> str:
    return f"gpen-link-{host}"


def _name_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
    except OSError:  # it has ended
        return ""
