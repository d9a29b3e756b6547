"""Conditions on figures, as a batch job states them: ``flicker>0.02``."""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite

from gpen_video.errors import UsageError
from gpen_video.measure.figures import BY_NAME
from gpen_video.measure.measurement import MeasuredTrack, Measurement

_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_SHAPE = re.compile(r"\s*(any\.)?(\w+)\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """What a result must not be."""

    name: str
    """Of a figure."""
    relation: str
    """``>``, ``<``, ``>=`` or ``<=``."""
    bound: float
    any_track: bool = False
    """Whether one track is enough to fail; else the figure over all of them counts."""

    @property
    def text(self) -> str:
        """As it is written on a command line."""
        return f"{'any.' if self.any_track else ''}{self.name}{self.relation}{self.bound:g}"

    @property
    def needs_reference(self) -> bool:
        """Whether the figure is measured against a reference only."""
        return BY_NAME[self.name].needs_reference

    def failure(self, measurement: Measurement) -> str | None:
        """Why the result fails, in one line that names the worst track; `None` if it does not.

        A figure that could not be measured (no face was there) fails nothing.
        """
        overall = measurement.overall[self.name]
        worst = measurement.worst(self.name, more_is_worse=self.relation in (">", ">="))
        value = overall
        if self.any_track:
            value = worst.figures[self.name] if worst is not None else None
        if value is None or not _RELATIONS[self.relation](value, self.bound):
            return None
        whole = f"it is {overall:.4g} over all faces" if overall is not None else ""
        return f"{self.text}: {', '.join(filter(None, (whole, _named(self.name, worst))))}"


def parse_condition(text: str) -> Condition:
    """Read ``NAME>NUMBER``, with ``>``, ``<``, ``>=`` or ``<=``, and ``any.`` before the name for any single track.

    Raises:
        UsageError: It is not of that shape, or no figure has that name.
    """
    shape = _SHAPE.fullmatch(text)
    bound = _number(shape[4]) if shape else None
    if shape is None or bound is None:
        raise UsageError(f"condition {text!r}: write NAME>NUMBER (or <, >=, <=), for example 'flicker>0.02'")
    if shape[2] not in BY_NAME:
        raise UsageError(f"condition {text!r}: no figure is called {shape[2]!r}; there is {', '.join(BY_NAME)}")
    return Condition(shape[2], shape[3], bound, any_track=shape[1] is not None)


def failures(conditions: Iterable[Condition], measurement: Measurement) -> list[str]:
    """A line for each condition that the result fails."""
    return [failure for condition in conditions if (failure := condition.failure(measurement)) is not None]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _named(name: str, worst: MeasuredTrack | None) -> str:
    if worst is None:
        return ""
    return (
        f"worst in track {worst.track_id} (frames {worst.first_frame} to {worst.last_frame}): {worst.figures[name]:.4g}"
    )
