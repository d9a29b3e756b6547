"""What a stage is fed with in tests."""

from collections.abc import Iterator
from typing import Any


class Upstream:
    """Counts what is taken of it, and notices being closed."""

    def __init__(self, items: list[Any], error_at: int | None = None) -> None:
        self.taken = 0
        self.closed = False
        self.error = OSError("the disk went away")
        self._items, self._error_at = items, error_at

    def stream(self) -> Iterator[Any]:
        try:
            for index, item in enumerate(self._items):
                if index == self._error_at:
                    raise self.error
                self.taken += 1
                yield item
        finally:
            self.closed = True
