"""Steadying the latent code of a face along its track: calm while it only boils, quick where the face changes.

The latent is followed by a random walk seen through noise, whose gain is that of a Kalman filter with the two variances
taken from the track itself (R. K. Mehra, "On the identification of variances and adaptive Kalman filtering", IEEE TAC
15(2), 1970). Noise shows in second differences over time, which a steady change of pose or light leaves out; what the
innovation has beyond it is true change. Only ratios enter: it makes no difference which network the latent is of.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gpen_video.restore.restorer import LatentFilter

Float32 = NDArray[np.float32]

MEMORY = 12
"""Frames over which a track's noise is measured; the median of them, so that single changes do not count."""

_EXPECTED = 1.4
"""Innovation, in noise variances, that is taken for noise: 1 of this frame, the rest of the estimate before."""
_SECOND_DIFFERENCE = 6.0
"""Variance of a - 2 b + c in variances of each."""
LONGEST_STEP = 4
"""Frames from one look at a face to the next for the two to belong together; damaged frames may lie between."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Whose latent it is, and when."""

    track_id: int
    shot: int
    """Changes at every cut."""
    frame: int
    """Index, growing along a track."""
    damaged: bool = False
    """Nothing is learnt from it."""


@dataclass(slots=True, eq=False)
class _Track:
    frame: int
    steadied: Float32
    last: deque[Float32]
    """The two latents before, as they came."""
    noise: deque[float] = field(default_factory=lambda: deque(maxlen=MEMORY))
    """Mean variance of a component, one measurement a frame."""


class LatentSteadier:
    """The latents of all tracks of a shot.

    Args:
        strength: largest weight of the past, 0 to below 1; a frame counts for at most ``strength ** n`` n frames later.
    """

    def __init__(self, strength: float) -> None:
        self._calmest = 1 - strength
        self._shot: int | None = None
        self._tracks: dict[int, _Track] = {}

    def along(self, moments: Iterable[Moment]) -> LatentFilter:
        """The filter for the latents of these moments, in their order."""
        coming = iter(moments)

        def steady(latents_nd: Float32) -> Float32:
            return np.stack([self.steady(next(coming), latent) for latent in latents_nd])

        return steady

    def steady(self, moment: Moment, latent: Float32) -> Float32:
        """The (D,) latent that takes this one's place, of any scale; itself where nothing is known of the track."""
        if moment.damaged:
            return latent
        self._forget(moment)
        track = self._tracks.get(moment.track_id)
        if track is None:
            self._tracks[moment.track_id] = _Track(moment.frame, latent, deque([latent], maxlen=2))
            return latent
        if len(track.last) == 2:
            before, last = track.last
            track.noise.append(_power(latent - 2 * last + before) / _SECOND_DIFFERENCE)
        track.last.append(latent)
        track.frame = moment.frame
        innovation = latent - track.steadied
        track.steadied = track.steadied + np.float32(self._gain(track, innovation)) * innovation
        return track.steadied

    def _forget(self, moment: Moment) -> None:
        """Drop the last shot, and faces that have been missing for too long."""
        if moment.shot != self._shot:
            self._shot = moment.shot
            self._tracks = {}
        self._tracks = {key: track for key, track in self._tracks.items() if moment.frame - track.frame <= LONGEST_STEP}

    def _gain(self, track: _Track, innovation: Float32) -> float:
        seen = _power(innovation)
        if not track.noise or seen == 0:
            return 1.0
        return max(self._calmest, 1 - _EXPECTED * float(np.median(track.noise)) / seen)


def _power(vector: Float32) -> float:
    return float(np.square(vector, dtype=np.float64).mean())
