import threading
import time
from collections.abc import Iterator

import pytest

from gpen_video.pipeline.prefetch import prefetch


class Counting:
    """An upstream that says how far it was pulled and whether it was closed."""

    def __init__(self, stop_at: int = 10**9, error: BaseException | None = None) -> None:
        self.made = 0
        self.closed = False
        self._stop_at, self._error = stop_at, error

    def items(self) -> Iterator[int]:
        try:
            while self.made < self._stop_at:
                self.made += 1
                yield self.made
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_order_and_number_are_kept() -> None:
    assert list(prefetch(Counting(100).items(), 3)) == list(range(1, 101))


@pytest.mark.parametrize("depth", [1, 4])
def test_it_runs_ahead_by_its_depth_and_no_further(depth: int) -> None:
    upstream = Counting()
    ahead = prefetch(upstream.items(), depth)
    assert next(ahead) == 1
    deadline = time.monotonic() + 5
    while upstream.made < depth + 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert upstream.made == depth + 2  # one taken, `depth` waiting, one in the thread's hand
    ahead.close()
    assert upstream.closed


@pytest.mark.parametrize("runs", [True, False], ids=["runs", "never runs"])
def test_interrupted_while_the_thread_starts_it_leaves_none(monkeypatch: pytest.MonkeyPatch, runs: bool) -> None:
    """Ctrl-C in the wait of `Thread.start`: a thread that was left would run what is closed, or abort the process."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if runs:
            begin(thread)
            time.sleep(0.1)
        raise KeyboardInterrupt

    upstream = Counting()
    ahead = prefetch(upstream.items(), 2)
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        next(ahead)
    assert upstream.closed == runs  # what was never begun has nothing to close
    assert list(ahead) == []


def test_an_error_upstream_arrives_unchanged_after_the_items_before_it() -> None:
    error = KeyError("frame 3")
    ahead = prefetch(Counting(3, error).items(), 2)
    assert [next(ahead), next(ahead), next(ahead)] == [1, 2, 3]
    with pytest.raises(KeyError) as caught:
        next(ahead)
    assert caught.value is error


def test_an_error_of_the_consumer_stops_the_thread_and_closes_upstream() -> None:
    upstream = Counting()
    ahead = prefetch(upstream.items(), 2)

    def consume() -> None:
        try:
            for item in ahead:
                if item == 5:
                    raise RuntimeError("consumer")
        finally:
            ahead.close()

    with pytest.raises(RuntimeError, match="consumer"):
        consume()
    assert upstream.closed


def test_closed_before_the_first_item_starts_nothing() -> None:
    upstream = Counting()
    prefetch(upstream.items(), 2).close()
    assert upstream.made == 0


def test_chained_threads_end_from_the_last_one() -> None:
    upstream = Counting()
    first = prefetch(upstream.items(), 1)
    second = prefetch((item * 2 for item in first), 1)
    assert next(second) == 2
    second.close()
    first.close()
    assert upstream.closed
