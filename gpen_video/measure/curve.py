"""How figures go over a film of any length, in memory of a fixed size."""

from collections.abc import Iterator

from gpen_video.measure.figures import Totals

_LONGEST = 1024


class Curve:
    """Means over stretches of frames; where there get too many of them, two become one."""

    def __init__(self, longest: int = _LONGEST) -> None:
        """Hold at most `longest` stretches, an even number."""
        self._longest = longest
        self._stretches: list[Totals] = []
        self.frames_each = 1
        """Length of a stretch."""

    def at(self, frame: int) -> Totals:
        """Where to add what was measured in a frame."""
        while frame // self.frames_each >= self._longest:
            self._halve()
        index = frame // self.frames_each
        self._stretches += (Totals() for _ in range(index + 1 - len(self._stretches)))
        return self._stretches[index]

    def points(self, quantity: str) -> Iterator[tuple[float, float]]:
        """Middle of each stretch that has the quantity, as a frame, and its mean there."""
        for index, stretch in enumerate(self._stretches):
            mean = stretch.mean(quantity)
            if mean is not None:
                yield (index + 0.5) * self.frames_each - 0.5, mean

    def _halve(self) -> None:
        for one, other in zip(self._stretches[::2], self._stretches[1::2], strict=False):
            one.merge(other)
        self._stretches = self._stretches[::2]
        self.frames_each *= 2
