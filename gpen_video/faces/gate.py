"""Restoring a face only as far as it needs it: not where it is too small, sharp already, turned away or uncertain."""

from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpen_video.config.schema import GateSettings
from gpen_video.faces.reserve import OnDecision, Ramp, Reserve
from gpen_video.faces.sharpness import sharpness
from gpen_video.geometry import scale_of
from gpen_video.streams import closing_upstream
from gpen_video.types import FaceCrop, FrameFaces

Float64 = NDArray[np.float64]

_TURNED_BY = 15.0
"""Degrees over which a face that turns away is given up."""
_SHARPER = 1.5
_GRAINLESS, _GRAINY = 0.12, 0.25
"""Grain, as a part of coarse detail, up to which a sharp face is left alone, and from which on it never is."""
_EYES_PER_LENGTH = 0.87
"""Distance of the eyes over that from eyes to mouth, in a face seen from the front."""


def gate_faces(
    stream: Iterable[FrameFaces[FaceCrop]], settings: GateSettings, on_decision: OnDecision | None = None
) -> Generator[FrameFaces[FaceCrop]]:
    """Lower the strength of each face that restoring would not help; no delay.

    Strengths start at once with a track and then move slowly along it (see `Reserve`); a strength that a crop has
    already is kept as a factor.

    Args:
        stream: Crops frame by frame.
        settings: See `GateSettings`.
        on_decision: Is told of each frame in which a face is lowered clearly, with its reason and what was measured.
    """
    reserve = Reserve(_ramps(settings), on_decision)
    with closing_upstream(stream):
        for item in stream:
            if not settings.enabled:
                yield item
                continue
            crops = {crop.face.track_id: crop for crop in item.faces}
            held = reserve.follow(
                item.frame,
                {track: (crop.face.detection is not None, partial(_measured, crop)) for track, crop in crops.items()},
            )
            yield item.with_faces(
                tuple(replace(crop, strength=crop.strength * held[crop.face.track_id].strength) for crop in item.faces)
            )


def size_of(landmarks_5xy: Float64) -> float:
    """Distance of the eyes that the face would have, seen from the front, in the landmarks' pixels."""
    eyes, mouth = landmarks_5xy[:2].mean(axis=0), landmarks_5xy[3:].mean(axis=0)
    apart = float(np.linalg.norm(landmarks_5xy[1] - landmarks_5xy[0]))
    return max(apart, _EYES_PER_LENGTH * float(np.linalg.norm(mouth - eyes)))


def turn_of(landmarks_5xy: Float64) -> float:
    """Degrees, 0 to 90, by which a face is turned aside.

    The nose stands out of the face about as far as an eye stands aside of its middle, so that the tangent is the nose's
    distance from the line between the eyes' middle and the mouth's, over half the distance of the eyes.
    """
    eyes, mouth = landmarks_5xy[:2].mean(axis=0), landmarks_5xy[3:].mean(axis=0)
    down = (mouth - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1e-6)
    right = np.array([down[1], -down[0]])
    nose = abs(float((landmarks_5xy[2] - eyes) @ right))
    aside = max(0.0, float((landmarks_5xy[1] - landmarks_5xy[0]) @ right) / 2)
    return float(np.degrees(np.arctan2(nose, aside)))


def _ramps(settings: GateSettings) -> tuple[Ramp, ...]:
    """For the values of `_measured`, in their order."""
    return (
        Ramp("small", settings.small, settings.small / 2),
        Ramp("sharp already", settings.sharp, settings.sharp * _SHARPER),
        Ramp("turned away", settings.turned, settings.turned + _TURNED_BY),
        Ramp("detector unsure", settings.sure, settings.sure / 2),
        Ramp("larger than the network", settings.large, settings.large * 2),
    )


def _measured(crop: FaceCrop) -> Float64:
    """Size, sharpness, turn, confidence and scale."""
    landmarks, detection = crop.face.landmarks_5xy, crop.face.detection
    scale = scale_of(crop.frame_from_crop_2x3)
    seen = sharpness(crop.rgb_hwc, scale)
    grainless = Ramp("", _GRAINLESS, _GRAINY).factor(seen.grain)
    return np.array(
        [
            size_of(landmarks),
            seen.detail * grainless,
            turn_of(landmarks),
            1.0 if detection is None else detection.score,
            scale,
        ]
    )
