"""Crops to restored faces: the restorer's protocol, GPEN behind it, and the stage that batches across frames."""

from gpen_video.restore.device import Precision, choose_device, choose_precision
from gpen_video.restore.memory import keep_freed_memory
from gpen_video.restore.restorer import GpenRestorer, Restorer
from gpen_video.restore.stage import restore_delay, restore_faces

__all__ = [
    "GpenRestorer",
    "Precision",
    "Restorer",
    "choose_device",
    "choose_precision",
    "keep_freed_memory",
    "restore_delay",
    "restore_faces",
]
