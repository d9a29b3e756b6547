"""Lifetimes of streams: a stage closes the stage above it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def closing_upstream(stream: Iterable[T]) -> Iterator[Iterable[T]]:
    """`contextlib.closing` for any iterable: what has no ``close`` (a list) needs none."""
    try:
        yield stream
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()
