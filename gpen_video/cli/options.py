"""The options that decide settings, and their way into the layers of `gpen_video.config`.

Every one of them is short for a ``--set``; they count in the order in which they are written, the last one wins.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpen_video.errors import ConfigError

if TYPE_CHECKING:
    from gpen_video.config import ResolvedSettings

_SOURCE = "command line"


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """What decides settings, in any command that takes some."""
    group = parser.add_argument_group("settings")
    group.add_argument("--preset", metavar="NAME", help="settings for one kind of footage; see gpen-video presets list")
    group.add_argument(
        "--config", metavar="FILE.toml", type=Path, help="a file of your own settings, over the preset's"
    )
    _add(group, "--set", "SECTION.KEY=VALUE", _assignment, "any setting by name; may be given more than once")
    _add(group, "--device", "NAME", _text("restore", "device"), "auto, cpu, cuda, cuda:1, mps")
    _flag(
        group,
        "--tolerant",
        {"media": {"tolerant": True}},
        "use a damaged film up to its last good frame, with a warning, instead of refusing it",
    )
    group.add_argument("--offline", action="store_true", help="never fetch weights")


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """What decides the look and the file of the result."""
    group = parser.add_argument_group("result")
    _add(group, "--weights", "NAME|FILE", _text("restore", "weights"), "the network; see gpen-video weights list")
    _add(group, "--strength", "0..1", _number("restore.strength"), "how much of the restored face is taken")
    _add(group, "--codec", "NAME", _text("encode", "codec"), "FFmpeg's encoder: libx264, ffv1, prores_ks …")
    _add(group, "--crf", "N", _number("encode.crf"), "constant rate factor, lower is better; none for the codec's own")
    _add(group, "--pix-fmt", "NAME", _text("encode", "pix_fmt"), "FFmpeg's pixel format, instead of the source's")
    _flag(group, "--strict", {"encode": {"strict": True}}, "refuse to start if the result cannot hold everything")
    _add(
        group, "--grain", "match|none", _text("blend", "grain"), "give restored faces the grain of the film around them"
    )
    _add(
        group,
        "--chroma",
        "auto|keep|restore",
        _text("blend", "chroma"),
        "whether colour is written, or brightness only",
    )
    _flag(group, "--deinterlace", {"media": {"deinterlace": True}}, "make interlaced film progressive (bwdif)")
    _add(group, "--frame-rate", "RATE", _text("media", "frame_rate"), "of an image sequence: 24, 24000/1001 …")
    _add(group, "--encoder-option", "KEY=VALUE", _encoder_option, "any option of the encoder; may be repeated")


def resolve_options(arguments: argparse.Namespace) -> "ResolvedSettings":
    """Preset, settings file and command line, laid over the defaults.

    Raises:
        ConfigError: there is no such preset or file, or a setting is wrong.
    """
    from gpen_video.config import Layer, load_preset, read_settings_file, resolve

    layers: list[Layer] = []
    if arguments.preset is not None:
        layers.append(load_preset(arguments.preset).layer)
    if arguments.config is not None:
        layers.append(read_settings_file(arguments.config))
    layers += [Layer(_SOURCE, override) for override in arguments.overrides or ()]
    return resolve(*layers)


_Override = dict[str, Any]


def _add(
    group: argparse._ArgumentGroup, flag: str, metavar: str, parse: Callable[[str], _Override], explanation: str
) -> None:
    group.add_argument(flag, dest="overrides", action="append", metavar=metavar, type=parse, help=explanation)


def _flag(group: argparse._ArgumentGroup, flag: str, override: _Override, explanation: str) -> None:
    group.add_argument(flag, dest="overrides", action="append_const", const=override, help=explanation)


def _assignment(text: str) -> _Override:
    from gpen_video.config import parse_assignment  # not at the top: pydantic would slow --help

    return parse_assignment(text)


def _number(key: str) -> Callable[[str], _Override]:
    return lambda text: _assignment(f"{key}={text}")


def _text(section: str, key: str) -> Callable[[str], _Override]:
    return lambda text: {section: {key: text}}


def _encoder_option(text: str) -> _Override:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"--encoder-option {text}: write KEY=VALUE, for example --encoder-option tune=grain")
    return {"encode": {"options": {key: value}}}
