"""The figures: their names, what they mean, and how they come of sums over frames."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gpen_video.measure.fidelity import psnr

Figures = dict[str, float | None]
"""By name; `None` where nothing of the kind could be measured."""


@dataclass(slots=True)
class Totals:
    """Sums of what was measured frame by frame, by quantity."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, quantity: str, value: float | None) -> None:
        """Take in one more value, where there is one."""
        if value is not None:
            self.sums[quantity] = self.sums.get(quantity, 0.0) + value
            self.counts[quantity] = self.counts.get(quantity, 0) + 1

    def merge(self, other: "Totals") -> None:
        """Take in all of another's."""
        for quantity, value in other.sums.items():
            self.sums[quantity] = self.sums.get(quantity, 0.0) + value
            self.counts[quantity] = self.counts.get(quantity, 0) + other.counts[quantity]

    def mean(self, quantity: str) -> float | None:
        """Over the frames in which it could be measured."""
        return self.sums[quantity] / self.counts[quantity] if quantity in self.counts else None


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a report."""

    name: str
    text: str
    """What it is, in a line."""
    worse: Literal["more", "less"] = "more"
    needs_reference: bool = False
    of: Callable[[Totals], float | None] | None = None
    """How it comes of the totals; `None` for the mean of the quantity of the same name."""

    def from_totals(self, totals: Totals) -> float | None:
        """The figure, where it could be measured."""
        return self.of(totals) if self.of is not None else totals.mean(self.name)


def _difference(one: str, other: str) -> Callable[[Totals], float | None]:
    def of(totals: Totals) -> float | None:
        a, b = totals.mean(one), totals.mean(other)
        return None if a is None or b is None else a - b

    return of


def _ratio(one: str, other: str) -> Callable[[Totals], float | None]:
    def of(totals: Totals) -> float | None:
        a, b = totals.mean(one), totals.mean(other)
        return None if a is None or not b else a / b

    return of


def _decibels(quantity: str) -> Callable[[Totals], float | None]:
    def of(totals: Totals) -> float | None:
        error = totals.mean(quantity)
        return None if error is None else psnr(error)

    return of


FIGURES = (
    Figure("jitter", "trembling of the result's landmarks, in face sizes a frame squared"),
    Figure("jitter_source", "the same of the source"),
    Figure("jitter_ratio", "jitter over jitter_source", of=_ratio("jitter", "jitter_source")),
    Figure("jitter_pixels", "jitter in pixels of the frame"),
    Figure("jitter_source_pixels", "the same of the source"),
    Figure(
        "flicker",
        "flicker_result minus flicker_source: below 0 where the result is the calmer one",
        of=_difference("flicker_result", "flicker_source"),
    ),
    Figure("flicker_result", "mean change of luma from frame to frame in the face, its motion taken off, 0 to 1"),
    Figure("flicker_source", "the same of the source"),
    Figure("warping_error", "mean squared change of luma from frame to frame, its motion taken off"),
    Figure("warping_error_source", "the same of the source"),
    Figure(
        "warping_ratio", "warping_error over warping_error_source", of=_ratio("warping_error", "warping_error_source")
    ),
    Figure("identity_neighbours", "distance of the result's face from its own in the frame before, 0 to 2"),
    Figure("identity_neighbours_source", "the same of the source"),
    Figure("identity_source", "distance of the result's face from the source's, 0 to 2"),
    Figure("seam", "how much steeper the result is across the mask's edge than the source, range a pixel"),
    Figure("covered", "part of the face whose motion could be followed, 0 to 1", worse="less"),
    Figure(
        "psnr",
        "of the result's face to the reference, dB",
        worse="less",
        needs_reference=True,
        of=_decibels("squared_error"),
    ),
    Figure(
        "psnr_source",
        "the same of the source",
        worse="less",
        needs_reference=True,
        of=_decibels("squared_error_source"),
    ),
    Figure("ssim", "structural similarity of the result's face to the reference", worse="less", needs_reference=True),
    Figure("ssim_source", "the same of the source", worse="less", needs_reference=True),
)

BY_NAME: Mapping[str, Figure] = {figure.name: figure for figure in FIGURES}


def figures_of(totals: Totals) -> Figures:
    """All figures, in the order of `FIGURES`."""
    return {figure.name: figure.from_totals(totals) for figure in FIGURES}
