import time
from collections.abc import Iterable, Iterator

import pytest

from gpen_video.pipeline.prefetch import prefetch
from gpen_video.pipeline.stopwatch import Stopwatch

ITEMS = 5


def sleepy(upstream: Iterable[int], seconds: float) -> Iterator[int]:
    for item in upstream:
        time.sleep(seconds)
        yield item


def test_a_stage_is_not_charged_for_the_stage_it_pulls_on() -> None:
    watch = Stopwatch()
    first = watch.timed("first", sleepy(range(ITEMS), 0.04))
    second = watch.timed("second", sleepy(first, 0.01))
    assert list(second) == list(range(ITEMS))
    assert watch.seconds["first"] == pytest.approx(0.04 * ITEMS, abs=0.05)
    assert watch.seconds["second"] == pytest.approx(0.01 * ITEMS, abs=0.05)


def test_waiting_for_another_thread_is_counted_for_nobody() -> None:
    watch = Stopwatch()
    first = watch.timed("first", sleepy(range(ITEMS), 0.04))
    ahead = watch.timed("ahead", prefetch(first, 1), waits=True)
    second = watch.timed("second", sleepy(ahead, 0.0))
    assert list(second) == list(range(ITEMS))
    assert watch.seconds["second"] < 0.05
    assert list(watch.seconds) == ["first", "second"]
