"""Ctrl-C and SIGTERM: heard once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heard_once() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at the first SIGINT or SIGTERM, and hear none after it.

    What is being put away must not be interrupted by an impatient second Ctrl-C: threads would be left at work, and
    files half-written. So both stay ignored once one was heard, behind the block too: the process is to end. A signal
    that was ignored before, as a shell's background jobs ignore SIGINT, stays so. Does nothing outside the main thread,
    which alone hears signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    heeded = {kind: handler for kind, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    heard = False

    def hear(*_: object) -> None:
        nonlocal heard
        heard = True
        for kind in heeded:
            signal.signal(kind, signal.SIG_IGN)
        raise KeyboardInterrupt

    for kind in heeded:
        signal.signal(kind, hear)
    try:
        yield
    finally:
        if not heard:
            for kind, handler in heeded.items():
                signal.signal(kind, handler)
