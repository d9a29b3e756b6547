"""How urgently a batch is asked to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Hurry:
    """How urgently a batch is asked to stop: by one signal cleanly, by a second at once."""

    def __init__(self) -> None:
        self._signals = 0

    def stop(self, *_: object) -> None:
        """Ask; serves as a signal's handler."""
        self._signals += 1

    @property
    def is_asked(self) -> bool:
        """Start nothing more, put away what runs."""
        return self._signals > 0

    @property
    def is_great(self) -> bool:
        """Wait for nothing."""
        return self._signals > 1


@contextmanager
def stopped_by_signals() -> Iterator[Hurry]:
    """Let Ctrl-C and SIGTERM ask, while the block runs; for the main thread of a command."""
    hurry = Hurry()
    before = {kind: signal.signal(kind, hurry.stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield hurry
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
