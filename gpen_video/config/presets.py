"""Presets: short TOML files of settings for one kind of footage, with a `description` line at the top.

They are looked for in the user's own folder (``XDG_CONFIG_HOME/gpen-video/presets``), then among those that come with
the program; the user's own wins. The path of a TOML file serves as a preset as well.
"""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from gpen_video.config.folders import user_config_folder
from gpen_video.config.load import Layer, read_toml
from gpen_video.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings under a name."""

    name: str
    path: Path
    description: str
    """One line: for what footage."""
    layer: Layer


def find_presets() -> dict[str, Path]:
    """The files behind the presets that are there, by name, in order of name; none is read."""
    found: dict[str, Path] = {}
    for folder in (shipped_folder(), user_folder()):
        if folder is not None:
            found.update({path.stem: path for path in folder.glob("*.toml")})
    return dict(sorted(found.items()))


def user_folder() -> Path | None:
    """The folder of the user's own presets; it need not exist. `None` where the user has no home directory."""
    folder = user_config_folder()
    return folder / "presets" if folder is not None else None


def shipped_folder() -> Path:
    """The folder of the presets that come with the program: inside a wheel, else beside the checkout's package."""
    packaged = _PACKAGE / "_presets"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "presets"


def load_preset(name: str | os.PathLike[str]) -> Preset:
    """Read a preset by its name, or from a path: what ends in ``.toml`` or is no bare name.

    Its settings are checked when they are resolved, not here.

    Raises:
        ConfigError: there is no such preset; or it cannot be read, or is not TOML.
    """
    text = os.fspath(name)
    if text.endswith(".toml") or Path(text).name != text:
        return _read(Path(text).stem, Path(text))
    known = find_presets()
    if text not in known:
        close = difflib.get_close_matches(text, known, n=1)
        advice = f"did you mean {close[0]}? " if close else ""
        raise ConfigError(f"{text}: unknown preset; {advice}The presets are {', '.join(known) or 'none'}")
    return _read(text, known[text])


def _read(name: str, path: Path) -> Preset:
    values = read_toml(path)
    description = values.pop("description", "")
    if not isinstance(description, str):
        raise ConfigError(f"{path}: description must be text, not {description!r}")
    return Preset(name, path, " ".join(description.split()), Layer(f"preset {name}", values))
