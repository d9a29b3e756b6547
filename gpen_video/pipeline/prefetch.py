"""The only concurrency: run what is upstream in a thread, a bounded number of items ahead."""

import contextlib
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

from gpen_video.streams import closing_upstream

T = TypeVar("T")

_POLL_SECONDS = 0.05


class _End:
    """Last item of a stream: how it ended."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(upstream: Iterator[T], depth: int, name: str = "prefetch") -> Generator[T]:
    """Yield the items of `upstream`, which runs in a thread of its own, at most `depth` items ahead.

    The thread starts with the first item asked for. An exception upstream is raised here, unchanged. However the
    stream ends, on return the thread has been joined and upstream has been closed.

    Args:
        upstream: taken over; closed at the end.
        depth: items that may wait, from 1.
        name: of the thread, for debuggers.
    """
    queue: Queue[T | _End] = Queue(maxsize=depth)
    stop = Event()

    def put(item: T | _End) -> bool:
        while not stop.is_set():
            with contextlib.suppress(Full):
                queue.put(item, timeout=_POLL_SECONDS)
                return True
        return False

    def work() -> None:
        if stop.is_set():
            return
        try:
            for item in upstream:
                if not put(item):
                    return
            put(_End())
        except BaseException as error:
            put(_End(error))

    def get() -> T | _End:
        while True:  # a wait without end could not be interrupted on Windows
            with contextlib.suppress(Empty):
                return queue.get(timeout=1.0)

    thread = Thread(target=work, name=name)  # a daemon's end, in the midst of a library's code, would abort the process
    with closing_upstream(upstream):
        try:
            thread.start()
            while not isinstance(item := get(), _End):
                yield item
            if item.error is not None:
                raise item.error
        finally:
            stop.set()
            with contextlib.suppress(Empty):
                while True:
                    queue.get_nowait()
            with contextlib.suppress(RuntimeError):  # interrupted before it ran: then it finds that it is to stop
                thread.join()
