"""SMPTE ST 12-1 timecode: counting frames on, and the binary coded decimals of file headers."""

import re
from fractions import Fraction

_FORM = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2})")
_DAY = 24 * 60 * 60


def timecode_after(start: str, frames: int, rate: Fraction) -> str | None:
    """The timecode of a later frame; `None` where `start` is none or the rate has no timecode.

    Args:
        start: ``01:00:00:00``; a semicolon before the frames says that numbers are dropped, as with 30000/1001.
        frames: How many later.
        rate: Frames a second.
    """
    form, base = _FORM.fullmatch(start), round(rate)
    if form is None or not 1 <= base <= 99 or int(form[5]) >= base:
        return None
    dropped = 2 * (base // 30) if form[4] != ":" and base % 30 == 0 else 0  # at each minute but each tenth
    hours, minutes, seconds, place = (int(form[group]) for group in (1, 2, 3, 5))
    count = ((hours * 60 + minutes) * 60 + seconds) * base + place
    minutes += 60 * hours
    count += frames - dropped * (minutes - minutes // 10)
    a_day = _DAY * base - dropped * 24 * 54
    tens, rest = divmod(count % a_day, base * 600 - dropped * 9)
    count = tens * base * 600 + rest
    if dropped and rest >= base * 60:
        count += dropped * (1 + (rest - base * 60) // (base * 60 - dropped))
    seconds, place = divmod(count, base)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{form[4]}{place:02}"


def as_decimals(timecode: str) -> int:
    """As DPX headers hold it: two decimals a byte, hours first; whether numbers are dropped is not said there."""
    return int(re.sub(r"\D", "", timecode), 16)
