"""Weights: the registry, the cache, downloads and strict loading.

What reads weights into networks imports torch when it is first asked for; nothing else here does.
"""

from typing import TYPE_CHECKING

from gpen_video.weights.cache import cache_folder
from gpen_video.weights.locate import Located, fetch, locate, name_here
from gpen_video.weights.registry import REGISTRY, Weights

if TYPE_CHECKING:
    from gpen_video.weights.load import (
        LoadedDetector,
        LoadedEmbedder,
        LoadedGpen,
        LoadedParser,
        load_detector,
        load_embedder,
        load_gpen,
        load_parser,
        read_state,
    )

__all__ = [
    "REGISTRY",
    "LoadedDetector",
    "LoadedEmbedder",
    "LoadedGpen",
    "LoadedParser",
    "Located",
    "Weights",
    "cache_folder",
    "fetch",
    "load_detector",
    "load_embedder",
    "load_gpen",
    "load_parser",
    "locate",
    "name_here",
    "read_state",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        from gpen_video.weights import load

        return getattr(load, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
