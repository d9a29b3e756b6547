"""The one place where layers of settings merge: defaults < preset < settings file < command line.

A layer is a nested dictionary with a name. Layers are laid over one another key by key, each value remembers the layer
it came from, and the result is checked once, so that an error names the setting and where it was written.

Two rules are our own:

* TOML has no null, so ``"none"`` unsets a setting that may be unset: ``crf = "none"``.
* ``crf``, ``preset`` and ``options`` belong to an encoder. Where a later layer names another codec, those that were
  written *together with* the replaced codec go with it: ``--preset master-ffv1 --codec libx264`` must not hand FFV1's
  options to x264.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gpen_video.config.schema import Settings
from gpen_video.errors import ConfigError

DEFAULT: Final = "default"
"""The source of a value that no layer states."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Some settings, and where they were written."""

    name: str
    """As it is shown to the user: ``preset tape``, ``my.toml``, ``command line``."""
    values: Mapping[str, Any]
    """Sections of settings, for example ``{"restore": {"strength": 0.5}}``."""


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """Settings that passed every check, and where each value came from."""

    settings: Settings
    sources: Mapping[str, str]
    """Dotted key -> layer name, ``default`` where no layer states it; every setting is listed, in schema order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.settings, dict(self.sources))  # a read-only mapping cannot be pickled

    @classmethod
    def stated(cls, settings: Settings, source: str = "library call") -> "ResolvedSettings":
        """Settings that a program has made: what differs from the default is `source`'s."""
        values, defaults = (dict(_flatten(given.model_dump())) for given in (settings, Settings()))
        names = {key: "default" if defaults.get(key) == value else source for key, value in values.items()}
        return cls(settings, names)

    def items(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting as dotted key, value and source."""
        values = dict(_flatten(self.settings.model_dump()))
        return ((key, values[key], source) for key, source in self.sources.items())


def resolve(*layers: Layer) -> ResolvedSettings:
    """Lay the layers over the defaults, the later over the earlier, and check the result.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
    """
    merged: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        stated = {key: _normalised(key, value) for key, value in _checked(layer)}
        _drop_replaced_codec(merged, stated)
        merged.update({key: (value, layer.name) for key, value in stated.items()})
    try:
        settings = Settings.model_validate(_nested({key: value for key, (value, _) in merged.items()}), strict=True)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(detail, merged) for detail in error.errors())) from None
    every = (key for key, _ in _flatten(settings.model_dump()))
    sources = {key: merged[key][1] if key in merged else DEFAULT for key in every}
    return ResolvedSettings(settings, sources)


def parse_assignment(text: str) -> dict[str, Any]:
    """``section.key=value`` as a nested dictionary; the value is TOML, else a plain string.

    Raises:
        ConfigError: the text is no assignment.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value or not all(key.split(".")):
        raise ConfigError(f"{text!r} sets nothing: write section.key=value, for example restore.strength=0.5")
    return _nested({key: _parse_value(value)})


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a settings file or preset; `description` at the top may be among them.

    Raises:
        ConfigError: the file cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, an integer of thousands of digits
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not a settings file: lists or tables lie too deep within one another") from None


def read_settings_file(path: str | os.PathLike[str]) -> Layer:
    """A TOML file of settings as a layer named after the file; a copied preset's `description` is passed over.

    Raises:
        ConfigError: the file cannot be read, or is not TOML.
    """
    values = read_toml(Path(path))
    return Layer(Path(path).name, {key: value for key, value in values.items() if key != "description"})


def _sections() -> dict[str, dict[str, FieldInfo]]:
    sections: dict[str, dict[str, FieldInfo]] = {}
    for name, field in Settings.model_fields.items():
        assert field.annotation is not None
        sections[name] = field.annotation.model_fields
    return sections


_SECTIONS: Final = _sections()
_KEYS: Final = tuple(f"{section}.{name}" for section, fields in _SECTIONS.items() for name in fields)
_OPTIONS: Final = "encode.options"
_OF_ONE_CODEC: Final = ("encode.crf", "encode.preset", _OPTIONS)


def _flatten(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a whole, valid tree; each encoder option is a key of its own."""
    for section, fields in values.items():
        for name, value in fields.items():
            key = f"{section}.{name}"
            if key == _OPTIONS and isinstance(value, Mapping):
                yield from ((f"{key}.{option}", text) for option, text in value.items())
            else:
                yield key, value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def _checked(layer: Layer) -> Iterator[tuple[str, Any]]:
    """The layer's dotted keys and values, each key known."""
    for section, values in layer.values.items():
        if section not in _SECTIONS:
            inner = next(iter(values), "") if isinstance(values, Mapping) else ""
            raise ConfigError(_unknown(f"{section}.{inner}".rstrip("."), layer.name))
        if not isinstance(values, Mapping):
            raise ConfigError(f"{section} (from {layer.name}): is a section, not a setting; {_inside(section)}")
        for name in values:
            if name not in _SECTIONS[section]:
                raise ConfigError(_unknown(f"{section}.{name}", layer.name))
    options = layer.values.get("encode", {}).get("options", {})
    if not isinstance(options, Mapping) or any("." in option for option in options):
        raise ConfigError(f"{_OPTIONS} = {options!r} (from {layer.name}): should be a table of names without dots")
    return _flatten(layer.values)


def _normalised(key: str, value: object) -> object:
    """The value as the schema wants it: "none" as `None` where it may be unset, a number as text where text goes."""
    section, name, *option = key.split(".")
    annotation = str if option else _SECTIONS[section][name].annotation
    allowed = (annotation, *get_args(annotation))
    if value == "none" and type(None) in allowed:
        return None
    if isinstance(value, bool | int | float) and str in allowed:
        return str(int(value) if isinstance(value, bool) else value)
    return value


def _drop_replaced_codec(merged: dict[str, tuple[Any, str]], stated: Mapping[str, Any]) -> None:
    """Where another codec is stated, take out what the layer that named the old one said about it."""
    old = merged.get("encode.codec")
    if old is None or stated.get("encode.codec", old[0]) == old[0]:
        return
    for key in [key for key, (_, source) in merged.items() if key.startswith(_OF_ONE_CODEC) and source == old[1]]:
        del merged[key]


def _parse_value(text: str) -> object:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _unknown(key: str, source: str) -> str:
    same_name = [known for known in _KEYS if known.rpartition(".")[2] == key.rpartition(".")[2]]
    close = difflib.get_close_matches(key, same_name, n=1, cutoff=0) or difflib.get_close_matches(key, _KEYS, n=1)
    section = key.partition(".")[0]
    if close:
        advice = f"did you mean {close[0]}?"
    elif section in _SECTIONS:
        advice = _inside(section)
    else:
        advice = f"the sections are {', '.join(_SECTIONS)}"
    return f"{key} (from {source}): unknown setting; {advice}"


def _inside(section: str) -> str:
    return f"{section} has {', '.join(_SECTIONS[section])}"


def _explain(detail: ErrorDetails, merged: Mapping[str, tuple[Any, str]]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    source = next((source for known, (_, source) in merged.items() if key == known or key.startswith(f"{known}.")), "")
    rule = detail["msg"].removeprefix("Input ")
    return f"{key} = {detail['input']!r} (from {source or DEFAULT}): {rule}"
