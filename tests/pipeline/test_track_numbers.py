import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.errors import UsageError
from gpen_video.pipeline.track_numbers import TrackNumbers, numbers_text

PARTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), min_size=1, max_size=6)


@given(PARTS, st.booleans())
def test_what_is_typed_is_what_is_meant(parts: list[tuple[int, int]], excluded: bool) -> None:
    typed = ",".join(str(first) if extra == 0 else f"{first}-{first + extra}" for first, extra in parts)
    meant = {number for first, extra in parts for number in range(first, first + extra + 1)}
    numbers = TrackNumbers.parse(("not:" if excluded else "") + typed)
    assert [track in numbers for track in range(60)] == [(track in meant) != excluded for track in range(60)]
    assert TrackNumbers.parse(str(numbers)) == numbers, "and is shown as it can be typed"


@given(PARTS, st.sets(st.integers(0, 50)))
def test_what_is_left(parts: list[tuple[int, int]], taken: set[int]) -> None:
    numbers = TrackNumbers.of(number for first, extra in parts for number in range(first, first + extra + 1))
    left = {track for part in numbers.without(taken) for track in part}
    assert left == {track for part in numbers.ranges for track in part} - taken


def test_a_range_of_millions_costs_nothing() -> None:
    numbers = TrackNumbers.parse("3-999999999")
    assert 4_000_000 in numbers
    assert numbers_text(numbers.without({3, 5})) == "4,6-999999999"


def test_spaces_and_order_do_not_matter() -> None:
    assert str(TrackNumbers.parse(" 7, 1 , 3 - 5,4,6")) == "1,3-7"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no track number"),
        ("1,,2", "no track number"),
        ("-2", "no track number"),
        ("!2", "no track number"),
        ("1.5", "no track number"),
        ("\N{ARABIC-INDIC DIGIT ONE}", "no track number"),
        ("not:", "no track number"),
        ("5-3", "write 3-5"),
        ("9" * 5000, "no track number"),
    ],
)
def test_what_is_not_understood_is_said_in_one_line(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        TrackNumbers.parse(text)
    assert "\n" not in str(caught.value)
