"""How a film is divided."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpen_video.pipeline.segments import SegmentRule, Splitter, Tracked
from gpen_video.types import ColourSpec, Frame, FrameFaces, Picture, PixelFormat, Timestamp

GRAY = Picture((np.zeros((2, 2), np.uint8),), PixelFormat("gray", "gray", 8), ColourSpec())


def film(frames: int, cuts: Iterable[int], per_frame: int = 1, first: int = 0) -> list[Tracked]:
    """Pictures of frames `first` on; two a frame are fields."""
    made = []
    for index in range(first * per_frame, frames * per_frame):
        starts = index % per_frame == 0 and (index == 0 or index // per_frame in cuts)
        picture = GRAY if per_frame == 1 else replace(GRAY, field=("top", "bottom")[index % 2])
        made.append(FrameFaces(Frame(index, Timestamp(index, Fraction(1, 25)), picture, None, starts)))
    return made


def divided(pictures: list[Tracked], rule: SegmentRule, first: int = 0, number: int = 0) -> list[tuple[int, ...]]:
    """Number, first, end, first and last picture seen, whether it ends at a cut."""
    found = []
    for segment in Splitter(pictures, rule, first=first, number=number).segments():
        seen = [item.frame.index for item in segment]
        assert seen == list(range(seen[0], seen[-1] + 1))
        assert segment.end is not None
        found.append((segment.number, segment.first, segment.end, seen[0], seen[-1], int(segment.ends_at_cut)))
    return found


def test_at_shots_that_are_long_enough_else_at_the_longest() -> None:
    rule = SegmentRule(shortest=10, longest=20, lead=6, tail=3)
    pictures = film(75, {4, 12, 15, 50, 53})
    assert divided(pictures, rule) == [
        (0, 0, 12, 0, 11, 1),  # the cut at 4 comes too soon
        (1, 12, 32, 12, 34, 0),  # so does that at 15; then no other one within 20
        (2, 32, 50, 26, 49, 1),
        (3, 50, 70, 50, 72, 0),
        (4, 70, 75, 64, 74, 1),
    ]


def test_nothing_is_seen_of_another_shot() -> None:
    rule = SegmentRule(shortest=15, longest=20, lead=6, tail=3)
    assert divided(film(30, {14, 22}), rule) == [(0, 0, 20, 0, 21, 0), (1, 20, 30, 14, 29, 1)]


def test_fields_are_kept_together() -> None:
    rule = SegmentRule(shortest=4, longest=6, lead=2, tail=1)
    assert divided(film(15, {5}, per_frame=2), rule) == [
        (0, 0, 5, 0, 9, 1),
        (1, 5, 11, 10, 23, 0),
        (2, 11, 15, 18, 29, 1),
    ]


@given(
    frames=st.integers(1, 120),
    cuts=st.frozensets(st.integers(1, 119)),
    shortest=st.integers(1, 40),
    longest=st.integers(1, 40),
    lead=st.integers(0, 30),
    tail=st.integers(0, 9),
    per_frame=st.sampled_from([1, 2]),
)
@settings(max_examples=100, deadline=None)
def test_divided_from_any_segment_on_it_is_divided_the_same(
    frames: int, cuts: frozenset[int], shortest: int, longest: int, lead: int, tail: int, per_frame: int
) -> None:
    rule = SegmentRule(shortest, longest, lead, tail)
    whole = divided(film(frames, cuts, per_frame), rule)
    ends = [end for _, _, end, *_ in whole]
    assert [first for _, first, *_ in whole] == [0, *ends[:-1]]
    assert ends[-1] == frames
    for number, first, end, seen_first, seen_last, at_cut in whole:
        assert end - first <= longest
        assert at_cut == (end == frames or end in cuts)
        assert first - seen_first // per_frame <= lead
        assert seen_last // per_frame - (end - 1) <= tail
        shot = max((cut for cut in cuts if cut <= first), default=0)
        assert seen_first // per_frame == (first if first in {0, *cuts} else max(shot, first - lead))
        assert divided(film(frames, cuts, per_frame, first=shot), rule, first, number) == whole[number:]


def test_segments_are_used_up_one_by_one() -> None:
    segments = Splitter(film(30, ()), SegmentRule(5, 10, 2, 1)).segments()
    next(segments)
    with pytest.raises(RuntimeError, match="segment 0 was not used up"):
        next(segments)


def test_no_frames_no_segments() -> None:
    assert divided([], SegmentRule(5, 10, 2, 1)) == []
