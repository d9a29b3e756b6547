"""The parts in which a film is restored.

Faces are followed through the whole film; what comes behind that is done anew for every part. A part that begins
within a shot is warmed up on the frames before it, and looks at a few behind it, so that what it becomes depends on the
film, the settings and the weights alone: not on whether the run was killed in between, nor on which machine did it.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from gpen_video.config import Settings
from gpen_video.faces import GRAIN_DELAY
from gpen_video.pipeline.choose import film_frame
from gpen_video.pipeline.reading import Reading
from gpen_video.restore import STEADY_DELAY, steady_frames
from gpen_video.types import FrameFaces, TrackedFace

_LEAST_LEAD = 48
"""Pictures over which strengths, masks and the choice of chroma forget what was before (see `faces.gate`, `faces.mask`,
`faces.tone`)."""

Tracked = FrameFaces[TrackedFace]


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """Where a film is divided, and what a part sees of its neighbours; in frames of the film."""

    shortest: int
    longest: int
    lead: int
    """Before a part that begins within a shot."""
    tail: int
    """Behind a part that ends within a shot."""

    @classmethod
    def of(cls, settings: Settings, reading: Reading) -> "SegmentRule":
        """For a film; its stages count pictures, of which an interlaced frame has two."""
        per_frame = 2 if reading.first_field else 1
        pictures = max(_LEAST_LEAD, steady_frames(reading.per_picture(settings).restore.steady_detail))
        return cls(
            settings.segments.shortest,
            settings.segments.longest,
            -(-pictures // per_frame),
            -(-(STEADY_DELAY + GRAIN_DELAY) // per_frame),
        )


class Segment:
    """Frames `first` to `end` (excluded) of a film; iterate over it for its frames and what it sees of others."""

    def __init__(self, number: int, first: int, stream: Iterator[Tracked]) -> None:
        """`Splitter` makes them."""
        self.number = number
        self.first = first
        self.end: int | None = None
        """`None` until it is known, which is before a frame behind it comes out."""
        self.ends_at_cut = True
        """Whether what follows is another shot, or nothing."""
        self._stream = stream

    def holds(self, frame: int) -> bool:
        """Whether a frame of the film belongs to it."""
        return frame >= self.first and (self.end is None or frame < self.end)

    def __iter__(self) -> Iterator[Tracked]:
        return self._stream


class Splitter:
    """Divides the frames of a film into segments, each to be used up before the next one is asked for."""

    def __init__(self, tracked: Iterable[Tracked], rule: SegmentRule, *, first: int = 0, number: int = 0) -> None:
        """Takes the tracked frames of a film.

        Args:
            tracked: Frames, or fields, in order.
            rule: Where to divide.
            first: Frame with which the first segment begins. Those before it are only looked at: at most `rule.lead`
                are needed.
            number: Of the first segment.
        """
        self._tracked = iter(tracked)
        self._rule = rule
        self._first, self._number = first, number
        self._behind: deque[Tracked] = deque()  # of the last frames before the next segment, within its shot
        self._ahead: deque[Tracked] = deque()

    def segments(self) -> Generator[Segment]:
        """The segments; none where there are no frames."""
        while (item := self._peek()) is not None and film_frame(item.frame) < self._first:
            self._remember(self._ahead.popleft())
        while self._peek() is not None:
            segment = Segment(self._number, self._first, iter(()))
            segment._stream = self._frames(segment)
            yield segment
            if segment.end is None:
                raise RuntimeError(f"segment {segment.number} was not used up")
            self._first, self._number = segment.end, self._number + 1

    def _frames(self, segment: Segment) -> Generator[Tracked]:
        yield from tuple(self._behind)
        last = segment.first - 1
        while (item := self._peek()) is not None and not self._ends(segment, item):
            self._remember(self._ahead.popleft(), within=segment)
            last = film_frame(item.frame)
            yield item
        segment.end = last + 1
        if item is None or item.frame.starts_shot:
            self._behind.clear()
            return
        segment.ends_at_cut = False
        for place in range(self._rule.tail * (1 if item.frame.picture.field is None else 2)):
            following = self._peek(place)
            if following is None or following.frame.starts_shot:
                return
            yield following

    def _ends(self, segment: Segment, item: Tracked) -> bool:
        """Whether a segment ends before this picture."""
        length = film_frame(item.frame) - segment.first
        return length >= self._rule.longest or (item.frame.starts_shot and length >= self._rule.shortest)

    def _remember(self, item: Tracked, within: Segment | None = None) -> None:
        """Keep what a next segment would be warmed up on, if one may begin within this shot so soon."""
        if item.frame.starts_shot:
            self._behind.clear()
        index = film_frame(item.frame)
        begins = within.first + self._rule.longest if within is not None else self._first
        while self._behind and film_frame(self._behind[0].frame) < begins - self._rule.lead:
            self._behind.popleft()
        if index >= begins - self._rule.lead:
            self._behind.append(item)

    def _peek(self, place: int = 0) -> Tracked | None:
        while len(self._ahead) <= place:
            item = next(self._tracked, None)
            if item is None:
                return None
            self._ahead.append(item)
        return self._ahead[place]
