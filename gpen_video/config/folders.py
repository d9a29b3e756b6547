"""Where a user's own files live, by the XDG Base Directory Specification 0.8 and each platform's habit."""

import os
import sys
from pathlib import Path

from gpen_video.errors import ConfigError

_NAME = "gpen-video"


def user_config_folder() -> Path | None:
    """Folder of the user's presets: ``XDG_CONFIG_HOME`` where set, else the platform's; it need not exist.

    `None` where the user has no home directory, as some containers run.
    """
    return _folder("XDG_CONFIG_HOME", windows="APPDATA", mac="Library/Application Support", other=".config")


def user_cache_folder() -> Path:
    """Folder of what can be fetched again: ``XDG_CACHE_HOME`` where set, else the platform's; it need not exist.

    Raises:
        ConfigError: the user has no home directory.
    """
    folder = _folder("XDG_CACHE_HOME", windows="LOCALAPPDATA", mac="Library/Caches", other=".cache")
    if folder is None:
        raise ConfigError("no home directory is known to keep weights in: set GPEN_VIDEO_CACHE to a folder")
    return folder


def _folder(variable: str, *, windows: str, mac: str, other: str) -> Path | None:
    for name in (variable, windows) if sys.platform == "win32" else (variable,):
        base = Path(os.environ.get(name, ""))
        if base.is_absolute():  # the specification has relative paths ignored
            return base / _NAME
    try:
        return Path.home() / (mac if sys.platform == "darwin" else other) / _NAME
    except RuntimeError:
        return None
