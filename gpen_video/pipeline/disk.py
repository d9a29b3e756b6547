"""Whether the disk will hold the result: guessed before the first frame, measured from then on."""

import shutil
from collections.abc import Callable
from typing import Final

from gpen_video.errors import OutputError
from gpen_video.media import EncoderPlan
from gpen_video.pipeline.ledger import Ledger
from gpen_video.types import VideoInfo

_COPIES: Final = 2
"""Of the restored pictures that lie on the disk at one time: when they are put together, and when the rest is added."""
_RESERVE: Final = 2**24  # bytes that are left to others
_SHARE: Final = {"ffv1": 0.4, "prores": 0.15, "dnxhd": 0.15}
"""Of the pictures' bytes, roughly, that a codec's files have; by the beginning of its name."""
_SMALL_SHARE: Final = 0.02


class DiskWatch:
    """Compares what is needed with what is free; warns once, and stops a run before the disk is full."""

    def __init__(self, ledger: Ledger, info: VideoInfo, encoder: EncoderPlan, warn: Callable[[str], None]) -> None:
        """Guesses at once: see `guessed_bytes`."""
        self._ledger, self._warn = ledger, warn
        self._frames = info.expected_frames
        self._warned = False
        if self._frames is not None:
            self._compare(_COPIES * guessed_bytes(info, encoder, self._frames), "roughly ")

    def look(self) -> None:
        """After a segment: by what the segments have come to.

        Raises:
            OutputError: The next segment would fill the disk.
        """
        sizes = [one.bytes for one in self._ledger.progress.finished.values()]
        done, largest = sum(sizes), max(sizes, default=0)
        free = self._free()
        if free < largest + _RESERVE:
            raise OutputError(
                f"{self._ledger.folder}: the disk is nearly full ({_size(free)} left, a segment takes "
                f"{_size(largest)}); what is finished is kept: free some space and run the same command again"
            )
        if self._frames is not None and sizes:
            whole = done * max(1.0, self._frames / self._ledger.progress.frames)
            self._compare(_COPIES * whole - done, "about ")

    def _compare(self, needed: float, precisely: str) -> None:
        free = self._free()
        if needed > free and not self._warned:
            self._warned = True
            self._warn(
                f"the disk may not hold the result: {precisely}{_size(needed)} more are needed on the way, "
                f"{_size(free)} are free in {self._ledger.folder.parent}"
            )

    def _free(self) -> int:
        return shutil.disk_usage(self._ledger.folder).free


def guessed_bytes(info: VideoInfo, encoder: EncoderPlan, frames: int) -> float:
    """Of the restored pictures, before one is encoded: by codec and size alone, right to a factor of three or so."""
    share = next((share for name, share in _SHARE.items() if encoder.codec.startswith(name)), _SMALL_SHARE)
    form = info.format
    chroma = {"gray": 0.0, "rgb": 2.0, "yuv": 2 / 2 ** (form.log2_chroma_w + form.log2_chroma_h)}[form.family]
    return float(share * frames * info.width * info.height * (1 + chroma) * form.bits / 8)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
