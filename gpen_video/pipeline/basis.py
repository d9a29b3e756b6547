"""What work on a film holds for, as named values; and how two of these differ, in words."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from gpen_video.config import Settings

Value = bool | int | float | str


def setting_values(settings: Settings, sections: Iterable[str], beside: Collection[str] = ()) -> dict[str, Value]:
    """All settings of some sections by dotted key, so that a new one cannot be forgotten; ``"none"`` for unset ones.

    Args:
        settings: Of a run.
        sections: Their names.
        beside: Keys to leave out.
    """
    values: dict[str, Value] = {}
    for section in sections:
        for name, value in getattr(settings, section).model_dump().items():
            if (key := f"{section}.{name}") not in beside:
                values[key] = _plain(value)
    return values


def changed_values(before: Mapping[str, Value], now: Mapping[str, Value]) -> list[str]:
    """What differs, as ``detect.score = 0.6 (now 0.5)``."""
    return [
        f"{key} = {before.get(key, 'none')} (now {now.get(key, 'none')})"
        for key in dict.fromkeys((*before, *now))
        if before.get(key, "none") != now.get(key, "none")
    ]


def shown_name(path: Path) -> str:
    """The name, with broken bytes written out."""
    return path.name.encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> Value:
    if isinstance(value, dict):
        return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none"
    return value if isinstance(value, bool | int | float | str) else "none"
