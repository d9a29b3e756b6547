"""Crops to restored faces: the restorer's protocol, GPEN behind it, and the stages that batch and steady."""

from gpen_video.restore.device import Precision, choose_devices, choose_precision, computing_threads
from gpen_video.restore.memory import keep_freed_memory
from gpen_video.restore.pool import LatentRestorerPool, RestorerPool
from gpen_video.restore.restorer import GpenRestorer, LatentFilter, LatentRestorer, Restorer
from gpen_video.restore.stage import restore_delay, restore_faces
from gpen_video.restore.steady import STEADY_DELAY, steady_faces, steady_frames

__all__ = [
    "STEADY_DELAY",
    "GpenRestorer",
    "LatentFilter",
    "LatentRestorer",
    "LatentRestorerPool",
    "Precision",
    "Restorer",
    "RestorerPool",
    "choose_devices",
    "choose_precision",
    "computing_threads",
    "keep_freed_memory",
    "restore_delay",
    "restore_faces",
    "steady_faces",
    "steady_frames",
]
