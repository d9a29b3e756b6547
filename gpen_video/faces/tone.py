"""Whether a face is in colour, or black and white or toned in one colour as much old film is."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import LUMA_BT601
from gpen_video.types import FrameFaces, MaskedFace

Float32 = NDArray[np.float32]
Chroma = Literal["auto", "keep", "restore"]

# Measured with `chroma_spread`, median (range) over the faces of a clip. Black and white: chaplin.mp4 0; with chroma
# noise of 12 code values added 0.008 (0.006-0.009). Toned sepia and coded in MPEG-2 or H.264: chaplin 0.008
# (0.005-0.012), asl_thanks 0.004, carphone 0.005, foreman 0.008. In colour: asl_* 0.012-0.020 (0.011-0.025), bikes
# 0.016, portrait_ac3 0.018, carphone 0.019, foreman 0.021, grid_* 0.028-0.088.
COLOUR_ABOVE = 0.011
MONOCHROME_BELOW = 0.009
"""Between the two limits a track stays what it was."""

_GRID = 8
_DEGREE = 3
_STEADINESS = 0.9
"""Weight of the past in the running mean of a track's spread."""
_RAMP = 1 / 8
"""Most that the weight of chroma changes in one frame, should a track change its mind."""
_PB_PR = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)  # ITU-R BT.601-7
_LUMA = np.array(LUMA_BT601, np.float32)


def chroma_spread(face: MaskedFace) -> float:
    """How much hue and saturation vary over the source face, as a standard deviation; 1 is the range of chroma.

    Means over a coarse grid take out grain and coding noise. Of what is left, a tone is the part that follows from
    brightness (a tint may be absent from black and clipped in white): a cubic fit takes it out, its mean included.
    """
    grid_wh = (_GRID, _GRID)
    rgb = cv2.resize(face.restored.crop.rgb_hwc, grid_wh, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    weight = np.sqrt(cv2.resize(face.alpha_hw, grid_wh, interpolation=cv2.INTER_AREA).reshape(-1, 1))
    if not weight.any():
        weight = np.ones_like(weight)
    tone = np.vander(rgb @ _LUMA, _DEGREE + 1) * weight
    chroma = rgb @ _PB_PR.T * weight
    coefficients = np.linalg.lstsq(tone, chroma, rcond=None)[0]
    return float(np.sqrt(np.square(chroma - tone @ coefficients).sum() / np.square(weight).sum()))


@dataclass(frozen=True, slots=True)
class _Memory:
    spread: float
    in_colour: bool
    gain: float


class ChromaGate:
    """How much of a face's change of chroma is written, along its track; remembers the tracks of the last frame."""

    def __init__(self, chroma: Chroma) -> None:
        """``restore`` always writes chroma, ``keep`` never, ``auto`` where the source face is in colour."""
        self._chroma = chroma
        self._tracks: dict[int, _Memory] = {}

    def gains(self, item: FrameFaces[MaskedFace]) -> tuple[float, ...]:
        """Weight of chroma, 0 to 1, for each face of the next frame."""
        if self._chroma != "auto":
            return (float(self._chroma == "restore"),) * len(item.faces)
        if item.frame.starts_shot:
            self._tracks = {}
        ids = [face.restored.crop.face.track_id for face in item.faces]
        self._tracks = {
            track_id: _next(self._tracks.get(track_id), chroma_spread(face))
            for track_id, face in zip(ids, item.faces, strict=True)
        }
        return tuple(self._tracks[track_id].gain for track_id in ids)


def _next(last: _Memory | None, spread: float) -> _Memory:
    if last is None:
        in_colour = spread > (COLOUR_ABOVE + MONOCHROME_BELOW) / 2
        return _Memory(spread, in_colour, float(in_colour))
    spread = _STEADINESS * last.spread + (1 - _STEADINESS) * spread
    in_colour = spread > (MONOCHROME_BELOW if last.in_colour else COLOUR_ABOVE)
    gain = last.gain + float(np.clip(float(in_colour) - last.gain, -_RAMP, _RAMP))
    return _Memory(spread, in_colour, gain)
