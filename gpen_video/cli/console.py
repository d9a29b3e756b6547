"""The only place that prints: results on standard output, everything about the run on standard error.

Progress is drawn where standard error is a terminal; elsewhere a long run says a line now and then. With ``-q`` only
warnings and errors come out.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import rich.console
from rich.table import Table

_PROGRAM = "gpen-video"
_WIDE = 1000  # for tables in a pipe: a line is one row, however long


class Console:
    """What a command prints with."""

    def __init__(self) -> None:
        self.quiet = False
        """Print warnings, errors and results only."""
        self.verbose = False
        """Print the plan, the summary and tracebacks, on a terminal or not."""
        self._out = _Stream(width=None if _is_terminal(sys.stdout) else _WIDE, highlight=False)
        self.err = _Stream(stderr=True, highlight=False)
        """Where progress is drawn."""

    @property
    def interactive(self) -> bool:
        """Someone is watching: draw progress."""
        return self.err.is_terminal and not self.quiet

    def line(self, text: str = "") -> None:
        """A line of result."""
        _print(self._out, one_line(text))

    def text(self, text: str) -> None:
        """Lines of result, as they are."""
        _print(self._out, text.rstrip("\n"))

    def json(self, value: Any) -> None:  # noqa: ANN401 - whatever json takes
        """A result for programs."""
        _print(self._out, json.dumps(value, indent=2, allow_nan=False))

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
        """Rows of result under headers."""
        table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*map(one_line, row))
        _print(self._out, table)

    def note(self, text: str) -> None:
        """A line about the run, for someone who watches or asked for more."""
        if self.interactive or self.verbose:
            _print(self.err, one_line(text))

    def progress(self, text: str) -> None:
        """A line that says how far a long run has got, also where nobody watches; not with ``-q``."""
        if not self.quiet:
            _print(self.err, one_line(text))

    def trace(self, text: str) -> None:
        """Where an error came from, for someone who asked for more."""
        if self.verbose:
            _print(self.err, text.rstrip())

    def warning(self, text: str) -> None:
        """A line that must be read."""
        _print(self.err, one_line(f"{_PROGRAM}: warning: {text}"))

    def error(self, text: str) -> None:
        """The line that ends a failed run."""
        _print(self.err, one_line(f"{_PROGRAM}: error: {text}"))

    def internal_error(self, error: Exception) -> None:
        """The line for a fault of the program's own; the traceback only if it was asked for."""
        self.trace("".join(traceback.format_exception(error)))
        what = ": ".join(filter(None, (type(error).__name__, str(error))))
        _print(self.err, one_line(f"{_PROGRAM}: internal error: {what}; please report it, with -v for the traceback"))

    def stopped(self) -> None:
        """The line after Ctrl-C."""
        _print(self.err, f"{_PROGRAM}: stopped; nothing was written")


def one_line(text: str) -> str:
    """The text with everything that is not printable escaped: file names may hold line breaks and broken bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


class _Stream(rich.console.Console):
    def on_broken_pipe(self) -> None:
        """The reader has had enough (``gpen-video weights list | head -1``): end as a C program would by SIGPIPE."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())  # or the interpreter complains at its end
        raise SystemExit(141)


def _print(stream: _Stream, what: str | Table) -> None:
    try:
        stream.print(what, markup=False, emoji=False, soft_wrap=isinstance(what, str))
    except BrokenPipeError:  # rich of before 2024 does not call on_broken_pipe itself
        stream.on_broken_pipe()


def _is_terminal(stream: Any) -> bool:  # noqa: ANN401 - may be replaced by anything, or be None under pythonw
    return bool(stream is not None and stream.isatty())
