"""The simulated cluster of benchmarks/scale against closed forms."""

import math
from dataclasses import replace

import pytest

from benchmarks.scale.simulate import Cluster, Cutting, Film, Outcome, simulate
from benchmarks.scale.work import Collection, Machine, binding, machine_seconds, work

PLAIN = Cutting(100, lead=0, tail=0, start_seconds=0)
ONE = Cluster(workers=1, trackers=1)


def film(segments: int, *, track: float = 0.0, join: float = 0.0) -> Film:
    """Segments of 100 frames and 100 seconds."""
    return Film(100 * segments, track, 1.0, join)


@pytest.mark.parametrize("workers", [1, 3, 7, 50])
def test_equal_segments_fill_whole_rounds(workers: int) -> None:
    done = simulate([film(20)], PLAIN, replace(ONE, workers=workers))
    assert done.makespan == pytest.approx(math.ceil(20 / workers) * 100)
    assert (done.segments, done.losses, done.records) == (20, 0, 62)
    assert (done.useful, done.overhead, done.lost, done.doubled) == (pytest.approx(2000), 0, 0, 0)


def test_tracking_and_joining_are_not_divided() -> None:
    done = simulate([film(20, track=0.5, join=0.1)], PLAIN, replace(ONE, workers=1000))
    assert done.makespan == pytest.approx(2000 * 0.5 + 100 + 2000 * 0.1)


def test_trackers_take_one_film_after_the_other() -> None:
    many = replace(ONE, workers=1000)
    assert simulate([film(10, track=1)] * 4, PLAIN, many).makespan == pytest.approx(4 * 1000 + 100)
    assert simulate([film(10, track=1)] * 4, PLAIN, replace(many, trackers=2)).makespan == pytest.approx(2 * 1000 + 100)


def test_warming_up_costs_what_it_should() -> None:
    done = simulate([film(10)], Cutting(100, lead=72, tail=7, start_seconds=5), ONE)
    assert done.overhead == pytest.approx(10 * 5 + 9 * 72 + 9 * 7)
    assert done.useful == pytest.approx(1000)
    at_cuts = simulate([film(10)], Cutting(100, at_cuts=1, lead=72, tail=7, start_seconds=5), ONE)
    assert at_cuts.overhead == pytest.approx(10 * 5)


def test_a_spread_keeps_the_mean() -> None:
    done = simulate([film(20_000)], PLAIN, replace(ONE, spread=0.5))
    assert done.makespan == pytest.approx(20_000 * 100, rel=0.02)


@pytest.mark.parametrize("life", [50.0, 100.0, 400.0])
def test_lost_workers_cost_what_renewal_theory_says(life: float) -> None:
    """A task of t seconds restarted until it is not lost: (life + replacement) (exp(t / life) - 1), as in Daly 2006."""
    cluster = replace(ONE, mean_life=life, replacement_seconds=30, detection_seconds=0)
    done = simulate([film(4000)], PLAIN, cluster)
    assert done.makespan / 4000 == pytest.approx((life + 30) * math.expm1(100 / life), rel=0.06)
    assert done.useful == pytest.approx(4000 * 100)
    assert done.spent + 30 * done.losses == pytest.approx(done.makespan, rel=1e-3)


def test_a_loss_is_noticed_late() -> None:
    cluster = replace(ONE, workers=2, mean_life=1000.0, replacement_seconds=0, seed=4)
    soon, late = (simulate([film(1)], PLAIN, replace(cluster, mean_life=60, detection_seconds=s)) for s in (0, 500))
    assert soon.losses > 0
    assert late.makespan >= soon.makespan + 500 - 100


def slow(**more: object) -> Outcome:
    return simulate([film(40)], PLAIN, replace(ONE, workers=40, slow_share=0.2, slow_factor=10.0, **more))  # type: ignore[arg-type]


def test_late_segments_are_done_again_by_those_who_are_free() -> None:
    alone, again = slow(), slow(speculate=True)
    assert alone.makespan == pytest.approx(1000)
    assert again.makespan == pytest.approx(150 + 100)
    assert again.doubled > 0
    assert again.useful == pytest.approx(40 * 100)


def test_a_worker_that_was_overtaken_starts_anew() -> None:
    """Segments come one by one; what a slow worker would have finished later says nothing of its next one."""
    cluster = replace(ONE, workers=16, slow_share=0.5, slow_factor=10.0, speculate=True)
    done = [simulate([film(60, track=0.2)], PLAIN, replace(cluster, seed=seed)) for seed in range(10)]
    assert sum(outcome.doubled for outcome in done) > 0
    for outcome in done:
        assert outcome.useful >= 60 * 100 - 1e-6
        assert (outcome.useful - 60 * 100) % 900 == pytest.approx(0, abs=1e-6)  # only whole segments, slow or not


def test_nobody_works_twice_where_nothing_is_late() -> None:
    done = simulate([film(40)], PLAIN, replace(ONE, workers=7, speculate=True))
    assert (done.doubled, done.makespan) == (0, pytest.approx(600))


def test_the_same_seed_gives_the_same_outcome() -> None:
    rough = Cluster(
        workers=8, trackers=3, spread=0.4, slow_share=0.2, slow_factor=3, mean_life=900, speculate=True, seed=3
    )
    one, other = (simulate([film(30, track=0.2, join=0.01)] * 5, Cutting(100, 0.5), rough) for _ in range(2))
    assert one == other
    assert one != simulate([film(30, track=0.2, join=0.01)] * 5, Cutting(100, 0.5), replace(rough, seed=4))
    assert len(one.film_seconds) == 5


def test_somebody_must_work() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        simulate([film(1)], PLAIN, replace(ONE, workers=0))


def test_an_hour_of_film_is_arithmetic() -> None:
    costs = {
        "decode": 0.5,
        "shots and tracking": 0.25,
        "per face": 0.125,
        "encode X": 2.0,
        "bytes FFV1": 8,
        "bytes X": 4,
    }
    costs |= {"detector on a core": 0.5, "restorer on a core": 0.25}
    tape = Collection("tape", "SD", 10, 2, 0.5, "X", "net")
    hour = work(tape, costs, {"detector": 3.0, "net": 100.0})
    frames = 36_000
    assert hour.core == frames * (0.5 + 2 * 0.25 + 0.5 + 2 * 0.5 * 0.125 + 2.0)
    assert hour.flops == frames * 2 * (3 + 0.5 * 100)
    assert hour.moved_bytes == frames * (2 * 8 + 3 * 4)
    machine = Machine("m", 4, 0.5, 1000.0, 0.1, 28.0, 1.0)
    assert machine_seconds(hour, machine) == {
        "CPU": pytest.approx(hour.core / 2),
        "GPU": pytest.approx(hour.flops / 100),
        "network": pytest.approx(frames),
    }
    bare = replace(machine, flops=0.0)
    assert machine_seconds(hour, bare)["CPU"] == pytest.approx((hour.core + frames * 2 * (0.5 + 0.5 * 0.25)) / 2)
    assert binding(hour, machine) == "CPU"
    assert binding(hour, replace(machine, cores=40)) == "GPU"
