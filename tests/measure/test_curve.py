import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.measure.curve import Curve


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(-10, 10)), min_size=1, max_size=200))
def test_no_sum_is_lost_however_long_the_film(values: list[tuple[int, float]]) -> None:
    curve = Curve(longest=8)
    for frame, value in sorted(values, key=lambda pair: pair[0]):
        curve.at(frame).add("x", value)
    points = list(curve.points("x"))
    assert 1 <= len(points) <= 8
    counts = {}
    for frame, _ in values:
        counts[frame // curve.frames_each] = counts.get(frame // curve.frames_each, 0) + 1
    total = sum(mean * counts[round((middle + 0.5) / curve.frames_each - 0.5)] for middle, mean in points)
    assert total == pytest.approx(sum(value for _, value in values), abs=1e-6)


def test_one_point_a_frame_while_they_fit() -> None:
    curve = Curve(longest=8)
    for frame in range(8):
        curve.at(frame).add("x", frame)
    assert list(curve.points("x")) == [(frame, frame) for frame in range(8)]
    curve.at(8).add("x", 8)
    assert list(curve.points("x"))[:2] == [(0.5, 0.5), (2.5, 2.5)]
    assert list(curve.points("y")) == []
