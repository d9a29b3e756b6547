"""The stage that gathers crops across frames and tracks into batches."""

from collections import deque
from collections.abc import Generator, Iterable

import numpy as np
from numpy.typing import NDArray

from gpen_video.restore.latent import LatentSteadier, Moment
from gpen_video.restore.restorer import LatentRestorer, Restorer
from gpen_video.streams import closing_upstream
from gpen_video.types import FaceCrop, FrameFaces, RestoredFace

Float32 = NDArray[np.float32]


def restore_delay(max_wait: int) -> int:
    """Frames that `restore_faces` may hold back."""
    return max_wait


def restore_faces(
    stream: Iterable[FrameFaces[FaceCrop]], restorer: Restorer, *, max_wait: int, steady_latent: float = 0.0
) -> Generator[FrameFaces[RestoredFace]]:
    """Restore all faces, in batches that fill across frames.

    Frames are held until the restorer's batch is full or `max_wait` frames wait, so memory is bounded also where no
    face appears; order is kept. A crop of strength 0 is its own restoration.

    Args:
        stream: frames with crops of the restorer's size.
        restorer: the network.
        max_wait: frames that may wait, from 0.
        steady_latent: largest weight of the past in a face's latent code, 0 to below 1, where the restorer has one.

    Yields:
        The same frames with restored faces.
    """
    batches = _Batches(restorer, steady_latent)
    waiting: deque[FrameFaces[FaceCrop]] = deque()
    crops = 0
    with closing_upstream(stream):
        for item in stream:
            waiting.append(item)
            crops += sum(crop.strength > 0 for crop in item.faces)
            if crops == 0 or crops >= restorer.batch or len(waiting) > max_wait:
                yield from batches.restored(waiting)
                crops = 0
        yield from batches.restored(waiting)


class _Batches:
    """Restores what waits; what it remembers of latents goes on from one batch to the next."""

    def __init__(self, restorer: Restorer, steady_latent: float) -> None:
        self._restorer = restorer
        self._steadier = LatentSteadier(steady_latent) if steady_latent > 0 else None
        self._shot = 0

    def restored(self, waiting: deque[FrameFaces[FaceCrop]]) -> Generator[FrameFaces[RestoredFace]]:
        """Empty `waiting`, frame by frame."""
        wanted: list[FaceCrop] = []
        moments: list[Moment] = []
        for item in waiting:
            self._shot += item.frame.starts_shot
            for crop in item.faces:
                if crop.strength > 0:
                    wanted.append(crop)
                    moments.append(Moment(crop.face.track_id, self._shot, item.frame.index, item.frame.damaged))
        made = iter(self._restore(wanted, moments) if wanted else ())
        while waiting:
            item = waiting.popleft()
            yield item.with_faces(
                tuple(RestoredFace(crop, next(made) if crop.strength > 0 else crop.rgb_hwc) for crop in item.faces)
            )

    def _restore(self, wanted: list[FaceCrop], moments: list[Moment]) -> Float32:
        rgb_nhwc = np.stack([crop.rgb_hwc for crop in wanted])
        if self._steadier is None or not isinstance(self._restorer, LatentRestorer):
            return self._restorer.restore(rgb_nhwc)
        return self._restorer.restore_steadied(rgb_nhwc, self._steadier.along(moments))
