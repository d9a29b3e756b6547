"""What the program ran on."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from gpen_video.report.record import Tool

_LIBRARIES: Final = (
    "av",
    "facexlib",
    "filterpy",
    "imageio-ffmpeg",
    "numpy",
    "opencv-python",
    "safetensors",
    "scenedetect",
    "scipy",
    "torch",
)


def tool_used(
    libraries: Mapping[str, str] | None = None, *, device: str | None = None, precision: str | None = None
) -> Tool:
    """This program, here.

    Args:
        libraries: Names and versions beyond those of the Python packages, for example FFmpeg's.
        device: What the networks ran on.
        precision: Of the networks.
    """
    found = {name: have for name in _LIBRARIES if (have := _version(name)) is not None}
    return Tool(
        "gpen-video",
        _version("gpen-video") or "unknown",
        platform.python_version(),
        platform.platform(),
        found | dict(libraries or {}),
        device,
        precision,
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
