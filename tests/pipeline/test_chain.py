"""Streams that are wired one behind the other: all closed, each timed once."""

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from gpen_video.pipeline.chain import Chain
from gpen_video.pipeline.stopwatch import Stopwatch


def test_all_are_closed_the_last_one_first_wherever_it_stops() -> None:
    closed: list[str] = []

    def source() -> Generator[int]:
        try:
            yield from range(100)
        finally:
            closed.append("source")

    def doubled(numbers: Generator[int]) -> Generator[int]:
        try:
            for number in numbers:
                yield 2 * number
        finally:
            closed.append("doubled")

    threads = threading.active_count()
    with pytest.raises(KeyError), ExitStack() as owned:
        chain = Chain(owned, Stopwatch(), ahead=2)
        stream = chain.thread("ahead", doubled(chain.stage("source", source())))
        assert [next(stream), next(stream)] == [0, 2]
        raise KeyError
    assert closed == ["doubled", "source"]
    assert threading.active_count() == threads


def test_stages_are_timed_in_the_order_of_wiring_and_threads_are_not() -> None:
    def slow() -> Generator[int]:
        time.sleep(0.05)
        yield 1

    watch = Stopwatch()
    with ExitStack() as owned:
        chain = Chain(owned, watch, ahead=1)
        first = chain.thread("ahead", chain.stage("first", slow()))
        last = chain.stage("last", (number for number in chain.own(number for number in first)))
        assert list(last) == [1]
    assert list(watch.seconds) == ["first", "last"]
    assert watch.seconds["first"] >= 0.05 > watch.seconds["last"]
