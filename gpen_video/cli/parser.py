"""An argument parser whose complaints are `UsageError` like all others, and whose help goes through the console."""

import argparse
from importlib.metadata import version
from typing import Any, NoReturn

from gpen_video.cli.console import Console
from gpen_video.errors import UsageError


class Parser(argparse.ArgumentParser):
    """`argparse`, with whole option names only, so that a new option never changes what an old command means."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line in one line."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def print_help(self, file: object = None) -> None:
        """Print the help on standard output."""
        Console().text(self.format_help())


class PrintVersion(argparse.Action):
    """``--version``."""

    def __call__(self, *_: object) -> None:
        """Print the version and leave."""
        Console().line(f"gpen-video {version('gpen-video')}")
        raise SystemExit(0)


def add_loudness(parser: argparse.ArgumentParser) -> None:
    """``-v`` and ``-q``."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-v", "--verbose", action="store_true", help="say more; show tracebacks of internal errors")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress; warnings and errors only")
