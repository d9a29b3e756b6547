"""Settings: their schema, the presets, and the one place where layers of them merge."""

from gpen_video.config.load import Layer, ResolvedSettings, parse_assignment, read_settings_file, resolve
from gpen_video.config.presets import Preset, find_presets, load_preset
from gpen_video.config.schema import (
    BlendSettings,
    DetectSettings,
    EncodeSettings,
    GateSettings,
    GuardSettings,
    MediaSettings,
    RestoreSettings,
    Settings,
    ShotSettings,
    TrackSettings,
)

__all__ = [
    "BlendSettings",
    "DetectSettings",
    "EncodeSettings",
    "GateSettings",
    "GuardSettings",
    "Layer",
    "MediaSettings",
    "Preset",
    "ResolvedSettings",
    "RestoreSettings",
    "Settings",
    "ShotSettings",
    "TrackSettings",
    "find_presets",
    "load_preset",
    "parse_assignment",
    "read_settings_file",
    "resolve",
]
