from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpen_video.faces.reserve import Ramp, Reserve
from gpen_video.types import Frame
from tests.faces.scenes import gray_frame

FALLING = Ramp("low", 0.9, 0.8)
RISING = Ramp("high", 4.0, 8.0)


def frame(index: int, *, starts_shot: bool = False, damaged: bool = False) -> Frame:
    made = gray_frame(index, starts_shot)
    return Frame(made.index, made.time, made.picture, starts_shot=starts_shot, damaged=damaged)


def gives(value: float) -> Callable[[], Any]:
    return lambda: np.array([value])


def run(values: Sequence[float | None], ramp: Ramp = FALLING, **at: int) -> list[float]:
    """Strengths of one track; `None` is a face that is predicted."""
    reserve = Reserve([ramp])
    return [
        reserve.follow(
            frame(t, starts_shot=t == 0 or t == at.get("cut"), damaged=t == at.get("damaged")),
            {7: (value is not None, gives(0.0 if value is None else value))},
        )[7].strength
        for t, value in enumerate(values)
    ]


def test_a_ramp_falls_either_way() -> None:
    assert [FALLING.factor(v) for v in (1.0, 0.9, 0.85, 0.8, 0.0)] == pytest.approx([1, 1, 0.5, 0, 0])
    assert [RISING.factor(v) for v in (0.0, 4.0, 6.0, 8.0, 9.0)] == pytest.approx([1, 1, 0.5, 0, 0])
    assert Ramp("off", 0.0, 0.0).factor(0.0) == 1


def test_a_track_starts_with_what_it_is() -> None:
    assert run([0.5] * 3) == [0.0] * 3
    assert run([1.0] * 3) == [1.0] * 3
    assert run([0.85] * 3) == pytest.approx([0.5] * 3)


def test_a_single_measurement_does_not_show() -> None:
    strengths = run([1.0] * 5 + [0.7] + [1.0] * 30)
    assert min(strengths) > 0.75
    assert strengths[-1] > 0.99


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_strength_never_jumps(values: list[float]) -> None:
    strengths = run(values)
    assert all(0 <= s <= 1 for s in strengths)
    assert np.abs(np.diff(strengths)).max() <= 0.2 + 1e-9


def test_predicted_faces_inherit() -> None:
    assert run([0.85] + [None] * 5) == pytest.approx([0.5] * 6)
    seen = run([1.0, 0.5, 0.5])
    assert run([1.0, 0.5, None, None, 0.5])[4] == pytest.approx(seen[2])


def test_damaged_frames_leave_no_trace() -> None:
    with_damage = run([1.0, 0.9, 0.0, 0.8, 0.7], damaged=2)
    assert with_damage[2] == with_damage[1]
    assert with_damage[:2] + with_damage[3:] == run([1.0, 0.9, 0.8, 0.7])


def test_a_track_that_a_damaged_frame_does_not_have_is_remembered() -> None:
    reserve = Reserve([FALLING])
    first = reserve.follow(frame(0, starts_shot=True), {7: (True, gives(0.5))})
    assert reserve.follow(frame(1, damaged=True), {}) == {}
    assert reserve.follow(frame(2), {7: (False, gives(1.0))})[7] is first[7]


def test_a_cut_forgets() -> None:
    assert run([0.5] * 3 + [1.0], cut=3)[3] == 1.0
    assert run([0.5] * 3 + [1.0])[3] < 0.3


def test_the_past_fades_within_forty_frames() -> None:
    """As promised to whoever warms a segment up: below half a step of 8 bits, whatever came before."""
    for later in (0.0, 0.84, 0.86, 1.0):
        ends = [run([start] * 3 + [later] * 40)[-1] for start in (0.0, 0.5, 1.0)]
        assert max(ends) - min(ends) < 0.5 / 255


def test_lowerings_are_told_in_one_stretch() -> None:
    told: list[Any] = []
    reserve = Reserve([FALLING, RISING], lambda *decision: told.append(decision))
    rng = np.random.default_rng(0)
    for t in range(60):
        # at the limit of being told, with noise: the stretch must not break
        value = 0.84 + rng.normal(0, 0.01) if 10 <= t < 40 else 1.0
        reserve.follow(frame(t, starts_shot=t == 0), {3: (True, lambda value=value: np.array([value, 1.0]))})
    assert {reason for _, _, reason, _ in told} == {"low"}
    assert {track for _, track, _, _ in told} == {3}
    frames = [index for index, *_ in told]
    assert frames == list(range(frames[0], frames[-1] + 1))
    assert 10 <= frames[0] <= 13 and 38 <= frames[-1] <= 46
    assert all(0.8 < value < 1 for *_, value in told)


def test_nothing_is_told_of_a_face_that_is_well() -> None:
    told: list[Any] = []
    reserve = Reserve([FALLING], lambda *decision: told.append(decision))
    for t in range(5):
        reserve.follow(frame(t, starts_shot=t == 0), {3: (True, gives(1.0))})
    assert not told
