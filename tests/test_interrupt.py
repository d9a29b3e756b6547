"""Signals to this very process."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpen_video.interrupt import heard_once

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As a shell's foreground job has them, and back again."""
    before = [signal.signal(kind, signal.default_int_handler) for kind in BOTH]
    yield
    for kind, handler in zip(BOTH, before, strict=True):
        signal.signal(kind, handler)


@pytest.mark.parametrize("kind", BOTH)
def test_the_first_interrupts_and_none_behind_it(kind: signal.Signals) -> None:
    put_away = False
    with pytest.raises(KeyboardInterrupt), heard_once():
        try:
            signal.raise_signal(kind)
        finally:
            for again in BOTH:
                signal.raise_signal(again)
            put_away = True
    assert put_away
    signal.raise_signal(kind)  # nor while the process ends


def test_where_none_came_all_is_as_before() -> None:
    with heard_once():
        pass
    assert {signal.getsignal(kind) for kind in BOTH} == {signal.default_int_handler}


def test_what_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with heard_once():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_another_thread_leaves_signals_alone() -> None:
    with ThreadPoolExecutor(1) as pool, heard_once():
        ours = signal.getsignal(signal.SIGINT)

        def handler() -> object:
            with heard_once():
                return signal.getsignal(signal.SIGINT)

        assert pool.submit(handler).result() is ours
