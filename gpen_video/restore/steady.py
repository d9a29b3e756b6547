"""Blending a restored face with its motion-compensated predecessor, so that what the network invents stops boiling.

A recursive mean along the motion of the face, as in temporal antialiasing (B. Karis, "High-quality temporal
supersampling", SIGGRAPH 2014; L. Yang et al., "A survey of temporal antialiasing techniques", CGF 39(2), 2020): each
pixel counts the frames behind it, and forgets them where the two pictures disagree in more than noise. How much that
is, the face itself says: the median of the difference. So a blink, a word, a turn or a hand before the face is seen in
the frame in which it happens. What is fetched is held within the range of the present detail around it.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import LUMA_BT709
from gpen_video.flow import fetch
from gpen_video.geometry import compose, full_from_resized, invert
from gpen_video.restore.latent import LONGEST_STEP, MEMORY
from gpen_video.restore.motion import blurred, motion_to_past, ramp, scaled
from gpen_video.restore.registration import REFERENCE_SIDE, inside_face, resized
from gpen_video.streams import closing_upstream
from gpen_video.types import FrameFaces, RestoredFace

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

FINEST_MOTION = 512
"""Largest side, in pixels, at which motion and agreement are looked for."""
SMALLEST = 16
"""Side below which a face is left as it is: there is nothing to find motion by."""

_LUMA = np.array([LUMA_BT709])
_QUIET = 0.8
_COARSE = 2.0
"""Blur, in pixels of a crop of 256, of what motion is looked for in, and of what has to agree."""
_AGREES = (2.0, 4.0)
"""Difference, in standard deviations of noise, up to which the past is believed, and from which it is not."""
_CERTAIN = 5.0
"""Such a difference must be in a connected region for it to be disbelieved there: noise reaches less, and scattered."""
_LIVELY, _LIVELY_MEMORY = 4.0, 4.0
"""Difference anywhere in the face from which it is taken to speak, blink or turn; frames that then count at most."""
_MARGIN = 5
"""Width of what around a disbelieved pixel is disbelieved too."""
_LEAST_NOISE = 0.6 / 255
_NOISE_GROWTH = 1.5
"""How much above its median over the last `MEMORY` frames the noise of a frame may be."""
_SAME_FACE = 0.6
"""Part of the picture that its predecessor has to explain, else it is not the same face, or something is before it."""
_CLIP_REACH, _CLIP = 3, 2.0
"""Pixels of a crop of 256 around a pixel, and standard deviations of the detail there, that bound what is fetched."""
_USABLE = (0.04, 0.96)
"""Brightness that is not clipped, and tells exposure."""


STEADY_DELAY = 6
"""Frames that `steady_faces` holds back."""


def steady_faces(stream: Iterable[FrameFaces[RestoredFace]], *, strength: float) -> Generator[FrameFaces[RestoredFace]]:
    """Blend every restored face with its predecessor along the track; delay `STEADY_DELAY` frames.

    A track's first face has no predecessor: it is blended with what comes, backwards, to be calm as well. A face
    depends on earlier frames of its shot by at most ``strength ** n`` after n frames. Damaged frames, and faces whose
    restoration is not wanted (`FaceCrop.strength` 0), are passed on and not remembered.

    Args:
        stream: frames with restored faces; track numbers are unique in a shot.
        strength: largest weight of the past, 0 to below 1; 0 gives every face as it came.

    Yields:
        The same frames with steadied faces.
    """
    steadier = FaceSteadier(strength)
    pending: deque[FrameFaces[RestoredFace]] = deque()

    def emit(keep: int) -> Iterator[FrameFaces[RestoredFace]]:
        while len(pending) > keep:
            item = pending.popleft()
            yield item.with_faces(steadier.steadied(item, pending)) if strength > 0 else item

    with closing_upstream(stream):
        for item in stream:
            if item.frame.starts_shot:
                yield from emit(0)
            pending.append(item)
            yield from emit(STEADY_DELAY)
        yield from emit(0)


def steady_frames(strength: float) -> int:
    """Frames after which the influence of one is below half a step of 8 bits, in `steady_faces` and `restore_faces`.

    First what is known of the noise is forgotten, then the picture fades.
    """
    return MEMORY + int(np.ceil(np.log(1 / 510) / np.log(strength))) if strength > 0 else 0


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """What is remembered of a face."""

    frame: int
    frame_from_crop: Float64
    rgb_hwc: Float32
    """Steadied."""
    source_hw: Float32
    """Brightness of the crop at the side where motion is looked for, averaged as the face is."""
    count_hw: Float32
    """Frames behind each pixel, 1 or more."""
    noise: deque[tuple[float, float]]
    """Medians of the differences, of source and result."""


class FaceSteadier:
    """Steadies face by face; remembers the last picture of each track of the shot.

    Args:
        strength: largest weight of the past, 0 to below 1.
    """

    def __init__(self, strength: float) -> None:
        self._longest = strength / (1 - strength)
        self._tracks: dict[int, _Past] = {}

    def steadied(
        self, item: FrameFaces[RestoredFace], coming: Iterable[FrameFaces[RestoredFace]] = ()
    ) -> tuple[RestoredFace, ...]:
        """The faces of the next frame, steadied.

        Args:
            item: The frame.
            coming: Frames of the same shot behind it, for faces that have no past.
        """
        frame = item.frame
        if frame.starts_shot:
            self._tracks = {}
        self._tracks = {key: past for key, past in self._tracks.items() if frame.index - past.frame <= LONGEST_STEP}
        return tuple(face if frame.damaged else self._steadied(frame.index, face, coming) for face in item.faces)

    def _steadied(self, frame: int, face: RestoredFace, coming: Iterable[FrameFaces[RestoredFace]]) -> RestoredFace:
        if not _is_steadied(face):
            return face
        track = face.crop.face.track_id
        now = self._after(self._tracks.get(track) or self._future(frame, track, coming), _first(frame, face))
        self._tracks[track] = now
        return replace(face, rgb_hwc=now.rgb_hwc)

    def _future(self, frame: int, track: int, coming: Iterable[FrameFaces[RestoredFace]]) -> _Past | None:
        """What a track will be, as if it were its past."""
        looks: list[_Past] = []
        for item in coming:
            face = next((face for face in item.faces if face.crop.face.track_id == track), None)
            if face is None or item.frame.damaged:
                continue
            last = looks[-1].frame if looks else frame
            if item.frame.index - last > LONGEST_STEP or not _is_steadied(face):
                break
            looks.append(_first(item.frame.index, face))
        future: _Past | None = None
        for look in reversed(looks):
            future = self._after(future, look)
        return future

    def _after(self, past: _Past | None, now: _Past) -> _Past:
        if past is None or past.rgb_hwc.shape != now.rgb_hwc.shape:
            return now
        return _blended(now, past, self._longest)


def _is_steadied(face: RestoredFace) -> bool:
    return face.crop.strength > 0 and len(face.rgb_hwc) >= SMALLEST


def _first(frame: int, face: RestoredFace) -> _Past:
    """The memory of a face that has no past."""
    side = min(len(face.rgb_hwc), FINEST_MOTION)
    source = resized(_luma(face.crop.rgb_hwc), side)
    return _Past(
        frame,
        face.crop.frame_from_crop_2x3,
        face.rgb_hwc,
        source,
        np.ones_like(source),
        deque(maxlen=MEMORY),
    )


def _blended(now: _Past, past: _Past, longest: float) -> _Past:
    """`now`, mixed with what can be believed of `past`."""
    full, side = len(now.rgb_hwc), len(now.source_hw)
    flow = motion_to_past(blurred(now.source_hw, _QUIET), blurred(past.source_hw, _QUIET), _between(now, past, side))
    source, count, rgb = past.source_hw, past.count_hw, past.rgb_hwc
    if flow is not None:
        source, count = fetch(source, flow), fetch(count, flow)
        rgb = fetch(rgb, scaled(flow, full))
    exposure = _exposure(now.source_hw, source)
    source, rgb = source * exposure, rgb * exposure

    result, fetched = (resized(_luma(image), side) for image in (now.rgb_hwc, rgb))
    source_differs, result_differs = _differs(now.source_hw, source), _differs(result, fetched)
    if not _explains(result, result_differs):
        return now
    inside = inside_face(side)
    noise = float(np.median(source_differs[inside])), float(np.median(result_differs[inside]))
    medians = [list(kind) for kind in zip(*past.noise, strict=True)] or [[], []]
    deviations = [
        differs / np.float32(_deviation(median, before))
        for differs, median, before in zip((source_differs, result_differs), noise, medians, strict=True)
    ]
    if max(float(deviation[inside].max()) for deviation in deviations) > _LIVELY:
        longest = min(longest, _LIVELY_MEMORY)
    believed = np.asarray(np.prod([_agrees(deviation) for deviation in deviations], axis=0), np.float32)
    believed = blurred(np.asarray(cv2.erode(believed, np.ones((_MARGIN, _MARGIN), np.uint8)), np.float32), 1.5)
    behind = np.asarray(np.minimum(count * believed, longest), np.float32)
    weight = behind / (behind + 1)
    noises = past.noise.copy()
    noises.append(noise)
    return replace(
        now,
        rgb_hwc=_mixed(now.rgb_hwc, _within_detail(rgb, now.rgb_hwc), resized(weight, full)[..., None]),
        source_hw=_mixed(now.source_hw, source, weight),
        count_hw=behind + 1,
        noise=noises,
    )


def _between(now: _Past, past: _Past, side: int) -> Float64:
    """The map between two crops, at `side` pixels, of what did not move in the frame."""
    full = len(now.rgb_hwc)
    full_from_side = full_from_resized((full, full), (side, side))
    past_from_now = compose(invert(past.frame_from_crop), now.frame_from_crop)
    return compose(invert(full_from_side), compose(past_from_now, full_from_side))


def _exposure(now_hw: Float32, past_hw: Float32) -> np.float32:
    """The factor that brings the past to the exposure of now: light that flickers is not ours to steady."""
    lowest, highest = _USABLE
    usable = inside_face(len(now_hw)) & (np.minimum(now_hw, past_hw) > lowest) & (np.maximum(now_hw, past_hw) < highest)
    now, past = now_hw[usable], past_hw[usable]
    return np.float32(now @ past / (past @ past)) if len(now) else np.float32(1)


def _differs(now_hw: Float32, past_hw: Float32) -> Float32:
    return np.abs(blurred(now_hw - past_hw, _COARSE))


def _explains(now_hw: Float32, differs_hw: Float32) -> bool:
    inside = inside_face(len(now_hw))
    return bool(np.square(differs_hw[inside]).mean() <= (1 - _SAME_FACE) * now_hw[inside].var())


def _deviation(median: float, medians: list[float]) -> float:
    """Standard deviation of a track's noise.

    Args:
        median: of the differences in this frame.
        medians: in the frames before; something large before the face does not pass for noise.
    """
    known = min(median, _NOISE_GROWTH * float(np.median(medians))) if medians else median
    return max(1.4826 * known, _LEAST_NOISE)  # a Gaussian's deviation by the median of its magnitude


def _agrees(deviations_hw: Float32) -> Float32:
    """1 where a difference is noise, 0 where it is more.

    By hysteresis, as J. Canny links edges (IEEE TPAMI 8(6), 1986).

    Args:
        deviations_hw: magnitude of the difference, in standard deviations of noise.
    """
    count, regions = cv2.connectedComponents((deviations_hw > _AGREES[0]).astype(np.uint8), connectivity=4)
    is_certain = np.zeros(count, bool)
    is_certain[regions[deviations_hw > _CERTAIN]] = True
    is_certain[0] = False  # what is in no region
    return np.asarray(1 - ramp(deviations_hw, *_AGREES) * is_certain[regions], np.float32)


def _within_detail(fetched_hwc: Float32, now_hwc: Float32) -> Float32:
    """`fetched` held within the mean of what is around each pixel now, and some deviations."""
    width = 2 * max(1, round(_CLIP_REACH * len(now_hwc) / REFERENCE_SIDE)) + 1
    mean = cv2.blur(now_hwc, (width, width))
    power = cv2.blur(np.square(now_hwc), (width, width))
    reach = np.float32(_CLIP) * (np.sqrt(np.maximum(power - np.square(mean), 0)) + np.float32(1 / 255))
    return np.asarray(cv2.min(cv2.max(fetched_hwc, mean - reach), mean + reach), np.float32)


def _mixed(now: Float32, past: Float32, weight: Float32) -> Float32:
    return np.asarray(now + weight * (past - now), np.float32)


def _luma(rgb_hwc: Float32) -> Float32:
    return np.asarray(cv2.transform(rgb_hwc, _LUMA), np.float32).reshape(rgb_hwc.shape[:2])
