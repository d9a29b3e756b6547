"""Restores faces in film and video with GPEN (GAN Prior Embedded Network).

>>> import gpen_video
>>> gpen_video.restore_video("in.mp4", "out.mp4")                                        # doctest: +SKIP

What is named here is imported when it is first used: networks and media libraries take seconds to load, and most of
the command line needs neither.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from gpen_video.errors import (
    ConfigError,
    DecodeError,
    DeviceError,
    EncodeError,
    GpenVideoError,
    InputError,
    OutputError,
    ProbeError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from gpen_video.config import Layer, Settings, load_preset, resolve
    from gpen_video.media import probe
    from gpen_video.pipeline import (
        Inspection,
        NoObserver,
        Observer,
        Progress,
        RunPlan,
        RunSummary,
        inspect_video,
        plan_run,
        restore_video,
    )

try:
    __version__ = version("gpen-video")
except PackageNotFoundError:  # a checkout that is not installed, as on a machine lent for training
    __version__ = "0+checkout"

_HOMES = {
    "Layer": "config",
    "Settings": "config",
    "load_preset": "config",
    "resolve": "config",
    "probe": "media",
    "Inspection": "pipeline",
    "NoObserver": "pipeline",
    "Observer": "pipeline",
    "Progress": "pipeline",
    "RunPlan": "pipeline",
    "RunSummary": "pipeline",
    "inspect_video": "pipeline",
    "plan_run": "pipeline",
    "restore_video": "pipeline",
}

__all__ = [
    "ConfigError",
    "DecodeError",
    "DeviceError",
    "EncodeError",
    "GpenVideoError",
    "InputError",
    "Inspection",
    "Layer",
    "NoObserver",
    "Observer",
    "OutputError",
    "ProbeError",
    "Progress",
    "RunPlan",
    "RunSummary",
    "Settings",
    "UsageError",
    "WeightsError",
    "__version__",
    "inspect_video",
    "load_preset",
    "plan_run",
    "probe",
    "resolve",
    "restore_video",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gpen_video' has no attribute {name!r}")
    found: object = getattr(import_module(f"gpen_video.{_HOMES[name]}"), name)
    return found
