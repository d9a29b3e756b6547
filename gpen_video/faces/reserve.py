"""How much of a restoration is held back, and why: strengths that move slowly along each track."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpen_video.types import Frame

Float64 = NDArray[np.float64]

OnDecision = Callable[[int, int, str, float], None]
"""Is told of every frame in which a face is held back: the frame's index, the track, why in few words, what was
measured."""

VALUE_MEMORY = 0.7
"""Weight of the past in what was measured."""
STRENGTH_MEMORY = 0.8
"""Weight of the past in a strength, which therefore changes by at most 0.2 from one frame to the next."""
_TOLD, _NO_LONGER = 0.9, 0.98
"""Factor below which a lowering is told, and from which on it is not told any more."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """A factor that falls from 1 to 0 as a value goes from one end to the other, in either direction."""

    reason: str
    """In few words, for the record."""
    full: float
    """Value up to which the factor is 1."""
    none: float
    """Value from which on it is 0."""

    def factor(self, value: float) -> float:
        """0 to 1."""
        if self.full == self.none:
            return 1.0
        return float(np.clip((self.none - value) / (self.none - self.full), 0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What is remembered of a track."""

    values: Float64
    """(ramps,) running means of what was measured."""
    strength: float
    """0 to 1."""
    told: frozenset[int] = frozenset()
    """Indices of the ramps that are being told of."""


class Reserve:
    """Follows measurements along tracks and turns them into strengths: the product of one ramp for each value.

    Values are running means, and so is the strength, both with a weight that falls exponentially: after 40 frames, what
    an older frame measured counts for less than half a step of 8 bits, with any ramp a ninth of the value's range wide.
    Frames that are damaged, and faces that are predicted and not seen, leave no trace.
    """

    def __init__(self, ramps: Sequence[Ramp], on_decision: OnDecision | None = None) -> None:
        """See `Ramp` and `OnDecision`."""
        self._ramps = tuple(ramps)
        self._on_decision = on_decision
        self._tracks: dict[int, Held] = {}

    def follow(self, frame: Frame, faces: Mapping[int, tuple[bool, Callable[[], Float64]]]) -> dict[int, Held]:
        """The strengths of the next frame's faces.

        Args:
            frame: The frame.
            faces: By track: whether the face is seen, and what measures it: (ramps,) values. It is not called where the
                track's memory is what counts.
        """
        if frame.starts_shot:
            self._tracks = {}
        now = {track: self._next(self._tracks.get(track), frame, *face) for track, face in faces.items()}
        if not frame.damaged:
            self._tracks = now
        for track, held in now.items():
            self._tell(frame, track, held)
        return now

    def _next(self, last: Held | None, frame: Frame, seen: bool, measure: Callable[[], Float64]) -> Held:
        if last is None:
            values = measure()
            return self._held(values, self._target(values), frozenset())
        if frame.damaged or not seen:
            return last
        values = VALUE_MEMORY * last.values + (1 - VALUE_MEMORY) * measure()
        strength = STRENGTH_MEMORY * last.strength + (1 - STRENGTH_MEMORY) * self._target(values)
        return self._held(values, strength, last.told)

    def _held(self, values: Float64, strength: float, told: frozenset[int]) -> Held:
        factors = self._factors(values)
        still = frozenset(k for k, factor in enumerate(factors) if factor < (_NO_LONGER if k in told else _TOLD))
        return Held(values, strength, still)

    def _target(self, values: Float64) -> float:
        return float(np.prod(self._factors(values)))

    def _factors(self, values: Float64) -> list[float]:
        return [ramp.factor(float(value)) for ramp, value in zip(self._ramps, values, strict=True)]

    def _tell(self, frame: Frame, track: int, held: Held) -> None:
        if self._on_decision is not None:
            for k in sorted(held.told):
                self._on_decision(frame.index, track, self._ramps[k].reason, float(held.values[k]))
