"""Where a new shot starts, and with it every temporal state begins anew; and which frames no state is taken from."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpen_video.config.schema import ShotSettings
from gpen_video.media.change import differ
from gpen_video.media.damage import areas, is_torn
from gpen_video.media.dissolve import REACH, DissolveFinder, signature
from gpen_video.media.small_picture import small_picture
from gpen_video.streams import closing_upstream
from gpen_video.types import Float32, Frame

T = TypeVar("T")

SHOT_MEMORY: Final = 100
"""Frames, beyond the shortest shot, over which `mark_shots` forgets what was before: a dissolve and what stood around
it have passed."""


class Mark(NamedTuple):
    """What `mark_shots` says of a frame."""

    starts_shot: bool
    damaged: bool


def shot_delay(settings: ShotSettings) -> int:
    """Frames that `mark_shots` holds back: to see whether the picture comes back, and what it dissolves into."""
    return _jump_delay(settings) + (REACH if settings.dissolves else 0) if settings.enabled else 0


def shot_memory(settings: ShotSettings) -> int:
    """Frames before another one from which on `mark_shots` must see the film to judge that one as it would anyway."""
    return SHOT_MEMORY + settings.min_length


def mark_shots(
    frames: Iterable[Frame], settings: ShotSettings, known: Mapping[int, Mark] | None = None
) -> Generator[Frame, None, None]:
    """Set `starts_shot` on the first frame of each shot, and `damaged` on flashes and on damaged frames.

    A jump after which the picture is back within `settings.flash` frames is a flash or damage, and no cut; a band of
    garbage in such frames counts as damage too. A jump that is not taken back is a cut. Where the picture settles only
    some frames after it (a flash or a splice at the cut, or in the first frames of the film) the shot starts with the
    jump, and the frames until it settles are damaged. What comes in the film's last frames cannot be told from a cut,
    and is one.

    A dissolve or a fade starts a shot about in its middle, a picture that comes out of black with the first frame in
    which it is seen.

    Within `settings.min_length` frames of a shot's start no other one is made.

    Args:
        frames: In the order of presentation.
        settings: What counts as a cut, as a flash, and whether dissolves are looked for.
        known: How frames were marked before, by index, where the film is gone on with from its middle: at least
            `shot_memory` frames, or all before.

    Yields:
        The same frames, `shot_delay` frames late.

    Raises:
        InputError: The colour matrix is not supported.
    """
    known = known or {}
    if not settings.enabled:
        with closing_upstream(frames):
            for frame in frames:
                yield replace(frame, starts_shot=frame.index == 0)
        return
    finder = DissolveFinder() if settings.dissolves else None
    since_start: int | None = None
    with closing_upstream(_judged(frames, settings)) as judged:
        for item, ahead in _with_what_follows(judged, REACH if settings.dissolves else 0):
            changes = _starts_shot(item, ahead, finder)
            starts = since_start is None or (changes and since_start >= settings.min_length)
            mark = known.get(item.frame.index, Mark(starts, item.damaged))
            since_start = 1 if mark.starts_shot or since_start is None else since_start + 1
            yield replace(item.frame, starts_shot=mark.starts_shot, damaged=mark.damaged)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A frame and what is seen of it."""

    frame: Frame
    small_hwc: NDArray[np.uint8]
    areas: Float32
    jumps: bool
    """Whether it differs from the frame before as the sides of a cut do."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A frame of which is known whether the picture jumped for good."""

    frame: Frame
    signature: Float32
    """Of the last good frame, where this one is damaged."""
    cut: bool
    damaged: bool


def _starts_shot(item: _Judged, ahead: Sequence[_Judged], finder: DissolveFinder | None) -> bool:
    if finder is None:
        return item.cut
    if item.cut:
        finder.reset()
    same_shot = takewhile(lambda later: not later.cut, ahead)
    return finder.starts(item.signature, [later.signature for later in same_shot]) or item.cut


def _judged(frames: Iterable[Frame], settings: ShotSettings) -> Generator[_Judged, None, None]:
    judge = _Judge(settings)
    seen = np.empty(0, np.float32)
    with closing_upstream(_looked_at(frames, settings.threshold)) as looks:
        for look, ahead in _with_what_follows(looks, _jump_delay(settings)):
            cut, damaged = judge.judge(look, ahead)
            if not damaged or seen.size == 0:
                seen = signature(look.small_hwc)
            yield _Judged(look.frame, seen, cut, damaged)


def _looked_at(frames: Iterable[Frame], threshold: float) -> Generator[_Look, None, None]:
    last: NDArray[np.uint8] | None = None
    with closing_upstream(frames):
        for frame in frames:
            small = small_picture(frame.picture)
            yield _Look(frame, small, areas(small), last is not None and differ(last, small, threshold))
            last = small


class _Judge:
    """Tells cuts from damage; it remembers the last good frame."""

    def __init__(self, settings: ShotSettings) -> None:
        self._flash = settings.flash
        self._threshold = settings.threshold
        self._good: _Look | None = None
        self._damaged_left = 0

    def judge(self, look: _Look, ahead: Sequence[_Look]) -> tuple[bool, bool]:
        """Whether here is a cut, and whether this frame is damaged; `ahead` are up to `flash` + 1 frames."""
        if self._damaged_left:
            self._damaged_left -= 1
            return False, True
        good, cut = self._good, False
        if good is None:
            damaged = self._frames_to_settle(look, ahead)
        elif self._differ(good, look):
            damaged = self._frames_to_return(good, ahead)
            if cut := damaged == 0:
                damaged = self._frames_to_settle(look, ahead)
                self._good = None
        else:
            damaged = self._torn_frames(good, look, ahead)
        if damaged:
            self._damaged_left = damaged - 1
        else:
            self._good = look
        return cut, damaged > 0

    def _frames_to_return(self, good: _Look, ahead: Sequence[_Look]) -> int:
        """Length of a jump after which the picture is as it was; 0 where it is not."""
        lengths = range(1, min(self._flash, len(ahead)) + 1)
        return next((length for length in lengths if not self._differ(good, ahead[length - 1])), 0)

    def _frames_to_settle(self, look: _Look, ahead: Sequence[_Look]) -> int:
        """Frames, from this one, before the picture jumps once more to something else, where it stays; or 0."""
        for length in range(1, min(self._flash, len(ahead) - 1) + 1):
            settled, next_one = ahead[length - 1], ahead[length]
            if settled.jumps and not next_one.jumps and self._differ(look, settled):
                return length
        return 0

    def _torn_frames(self, good: _Look, look: _Look, ahead: Sequence[_Look]) -> int:
        run = [look.areas]
        for length in range(1, min(self._flash, len(ahead)) + 1):
            after = ahead[length - 1].areas
            if is_torn(good.areas, run, after):
                return length
            run.append(after)
        return 0

    def _differ(self, one: _Look, other: _Look) -> bool:
        if other.frame.index == one.frame.index + 1:
            return other.jumps
        return differ(one.small_hwc, other.small_hwc, self._threshold)


def _jump_delay(settings: ShotSettings) -> int:
    return settings.flash + 1 if settings.flash else 0


def _with_what_follows(items: Iterable[T], count: int) -> Iterator[tuple[T, Sequence[T]]]:
    """Each item with up to `count` that come after it."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft(), tuple(waiting)
    while waiting:
        yield waiting.popleft(), tuple(waiting)
