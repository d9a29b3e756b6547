"""The stage that gathers crops across frames and tracks into batches."""

from collections import deque
from collections.abc import Generator, Iterable

import numpy as np

from gpen_video.restore.restorer import Restorer
from gpen_video.streams import closing_upstream
from gpen_video.types import FaceCrop, FrameFaces, RestoredFace


def restore_delay(max_wait: int) -> int:
    """Frames that `restore_faces` may hold back."""
    return max_wait


def restore_faces(
    stream: Iterable[FrameFaces[FaceCrop]], restorer: Restorer, *, max_wait: int
) -> Generator[FrameFaces[RestoredFace]]:
    """Restore all faces, in batches that fill across frames.

    Frames are held until the restorer's batch is full or `max_wait` frames wait, so memory is bounded also where no
    face appears; order is kept.

    Args:
        stream: frames with crops of the restorer's size.
        restorer: the network.
        max_wait: frames that may wait, from 0.

    Yields:
        The same frames with restored faces.
    """
    waiting: deque[FrameFaces[FaceCrop]] = deque()
    crops = 0
    with closing_upstream(stream):
        for item in stream:
            waiting.append(item)
            crops += len(item.faces)
            if crops == 0 or crops >= restorer.batch or len(waiting) > max_wait:
                yield from _restore(waiting, restorer)
                crops = 0
        yield from _restore(waiting, restorer)


def _restore(waiting: deque[FrameFaces[FaceCrop]], restorer: Restorer) -> Generator[FrameFaces[RestoredFace]]:
    crops = [crop for item in waiting for crop in item.faces]
    side = restorer.size
    rgb_nhwc = np.stack([crop.rgb_hwc for crop in crops]) if crops else np.empty((0, side, side, 3), np.float32)
    made = iter(restorer.restore(rgb_nhwc) if crops else rgb_nhwc)
    while waiting:
        item = waiting.popleft()
        yield item.with_faces(tuple(RestoredFace(crop, next(made)) for crop in item.faces))
