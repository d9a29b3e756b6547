"""The command: which subcommand, and what becomes of errors.

Exit codes: 0 done, 1 internal error, 2 usage or settings, 3 source, 4 weights, 5 result, 6 training,
7 a result that does not stand the comparison with its source, 8 some films of a batch failed, 9 the cluster,
130 stopped by Ctrl-C or SIGTERM.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, cast

from gpen_video.cli.console import Console
from gpen_video.cli.parser import Parser
from gpen_video.errors import GpenVideoError
from gpen_video.interrupt import heard_once

COMMANDS: Final = ("batch", "inspect", "measure", "presets", "resume-info", "train", "verify", "weights")
"""Modules beside this one, dashes as underscores; each has `build_parser` and `run`, as has `restore`, which needs no
name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; no user's error ends in a traceback."""
    # Stages share the cores: threads of OpenMP that wait must sleep, not spin. Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    console = Console()
    try:
        with heard_once():
            _run(sys.argv[1:] if argv is None else list(argv), console)
    except GpenVideoError as error:
        console.error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        console.stopped()
        return 130
    except Exception as error:
        console.internal_error(error)
        return 1
    return 0


def _run(argv: list[str], console: Console) -> None:
    name, rest = (argv[0], argv[1:]) if argv and argv[0] in COMMANDS else ("restore", argv)
    command = import_module(f"gpen_video.cli.{name.replace('-', '_')}")
    arguments = cast(Callable[[], Parser], command.build_parser)().parse_args(rest)
    console.verbose, console.quiet = arguments.verbose, arguments.quiet
    if not (console.verbose or sys.warnoptions):
        warnings.simplefilter("ignore")  # what libraries say to programmers
    cast(Callable[[argparse.Namespace, Console], None], command.run)(arguments, console)
