"""What comes of comparing a result with its source."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["pass", "fail", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at: ``frame times``, ``chapters`` …"""
    outcome: Outcome
    """``note`` where something differs and may."""
    text: str
    """One line."""


@dataclass(frozen=True, slots=True)
class Samples:
    """How the pictures differ, over the whole film."""

    compared_frames: int
    is_lossless: bool
    """Whether the result's encoding gives back every sample, so that none may differ outside the masks."""
    changed_outside: int
    """Samples, of all planes."""
    largest_change_outside: int
    """In code values."""
    psnr_outside: float | None
    """In decibels, over all planes; `None` where nothing differs."""
    largest_change_inside: int


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a result is what it should be."""

    source: Path
    result: Path
    frames: int
    """Of the result."""
    samples: Samples
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What failed."""
        return tuple(finding for finding in self.findings if finding.outcome == "fail")

    @property
    def failure(self) -> str | None:
        """What failed, in one line that names the first; `None` if nothing did."""
        if not self.failures:
            return None
        count = "1 check" if len(self.failures) == 1 else f"{len(self.failures)} checks"
        return f"{count} failed, the first is {self.failures[0].check}: {self.failures[0].text}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "source": str(self.source),
            "result": str(self.result),
            "passed": self.passed,
            "frames": self.frames,
            "samples": asdict(self.samples),
            "findings": [asdict(finding) for finding in self.findings],
        }


def judged(check: str, faults: Iterable[str], well: str) -> list[Finding]:
    """A failure for each fault, else that all is well."""
    found = [Finding(check, "fail", fault) for fault in faults]
    return found or [Finding(check, "pass", well)]
