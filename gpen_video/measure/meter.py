"""Measures a result against its source, frame by frame, in memory that does not grow with the film's length."""

from dataclasses import dataclass, field

import numpy as np

from gpen_video.faces import Aligner
from gpen_video.faces.camera import Camera
from gpen_video.faces.resample import Roi
from gpen_video.geometry import apply, hull_box, scale_of
from gpen_video.measure.curve import Curve
from gpen_video.measure.fidelity import squared_error, ssim
from gpen_video.measure.figures import Totals, figures_of
from gpen_video.measure.flicker import Change, change_between
from gpen_video.measure.identity import CROP_SIDE, CoarseLooks, Identity, distance
from gpen_video.measure.jitter import acceleration
from gpen_video.measure.luma import luma
from gpen_video.measure.match import match
from gpen_video.measure.measurement import MeasuredTrack, Measurement
from gpen_video.measure.motion import LEAST_SIDE, FlowFinder, MotionFinder, View
from gpen_video.measure.region import Region, Regions
from gpen_video.measure.seam import seam
from gpen_video.types import Detection, Float64, Frame, FrameFaces, TrackedFace

SOURCE, RESULT, REFERENCE = "_source", "", "_reference"
"""What the names of a film's quantities end with: figures without an ending are the result's."""

Frames = dict[str, Frame]
"""The same picture in each film, by the ending of its quantities."""


class Meter:
    """Takes source, result and reference in step."""

    def __init__(
        self,
        *,
        template: str = "gpen",
        pixel_aspect: float = 1.0,
        feather: float = 0.12,
        identity: Identity | None = None,
        motion: MotionFinder | None = None,
    ) -> None:
        """Prepare.

        Args:
            template: Of the crop, as in restoring.
            pixel_aspect: Width of a coded pixel over its height.
            feather: Of the mask, as in restoring.
            identity: Tells faces apart; their coarse looks if left out.
            motion: Finds how faces move; by optical flow if left out. It is shown the reference, where there is one,
                else the source, never the result: motion found in the result would explain its own wobble away.
        """
        self._regions = Regions(template, pixel_aspect, feather)
        self._aligner = Aligner(CROP_SIDE, template, pixel_aspect)
        self._identity = identity or CoarseLooks()
        self._motion = motion or FlowFinder()
        self._camera = Camera()
        self._notes: dict[int, _Note] = {}
        self._curve = Curve()
        self._frames = 0
        self._pasts: dict[int, _Past] = {}
        self._last: Frames | None = None

    def saw(
        self,
        source: FrameFaces[TrackedFace],
        result: FrameFaces[Detection],
        reference: FrameFaces[Detection] | None = None,
    ) -> None:
        """Measure the next frame.

        Args:
            source: With its faces tracked; the detection in each is the raw one.
            result: The same frame with the faces that were found in it anew.
            reference: The same frame of the truth, likewise.
        """
        self._frames += 1
        frame = source.frame
        if frame.starts_shot or frame.damaged or not source.faces:
            self._forget()
        if frame.damaged or not source.faces:
            return
        films = {RESULT: result} | ({REFERENCE: reference} if reference is not None else {})
        frames = {SOURCE: frame} | {name: film.frame for name, film in films.items()}
        found = {name: match(source.faces, film.faces) for name, film in films.items()}
        regions = {face.track_id: self._regions.of(face, frame.picture) for face in source.faces}
        scene_from_frame = self._camera.follow(frame.picture, [_box(face) for face in source.faces])
        pasts: dict[int, _Past] = {}
        for face in source.faces:
            region = regions[face.track_id]
            if region is None:
                continue
            note = self._notes.setdefault(face.track_id, _Note(frame.index))
            note.last, note.faces = frame.index, note.faces + 1
            sink = _Sink(note.totals, self._curve.at(frame.index))
            seen = {SOURCE: face.detection} | {name: of.get(face.track_id) for name, of in found.items()}
            past = self._pasts.get(face.track_id)
            self._in_one(sink, frames, region)
            if past is not None and self._last is not None:
                self._between(sink, frames, self._last, face, past, region)
            pasts[face.track_id] = _Past(
                face.landmarks_5xy,
                self._trembling(sink, seen, past, scene_from_frame),
                self._identities(sink, frames, face, past),
            )
        self._pasts, self._last = pasts, frames

    def measurement(self) -> Measurement:
        """What came of all frames so far."""
        tracks = tuple(note.track(track_id) for track_id, note in sorted(self._notes.items()))
        overall = Totals()
        for note in self._notes.values():
            overall.merge(note.totals)
        return Measurement(self._frames, tracks, figures_of(overall), self._curve, self._identity.name)

    def _forget(self) -> None:
        self._pasts, self._last = {}, None
        self._camera.reset()

    def _in_one(self, sink: "_Sink", frames: Frames, region: Region) -> None:
        """What one frame tells: the seam, and the distance from the truth."""
        views = {name: luma(frame.picture, region.roi) for name, frame in frames.items()}
        if min(region.roi.size_wh) < LEAST_SIDE:
            return
        sink.add("seam", seam(views[RESULT], views[SOURCE], region.alpha_hw))
        inside = region.inside_hw
        if REFERENCE in views and inside.any():
            for name in (RESULT, SOURCE):
                sink.add("squared_error" + name, squared_error(views[name], views[REFERENCE], inside))
                sink.add("ssim" + name, ssim(views[name], views[REFERENCE], inside))

    def _between(
        self, sink: "_Sink", frames: Frames, last: Frames, face: TrackedFace, past: "_Past", region: Region
    ) -> None:
        """What two neighbouring frames tell: flicker and warping error."""
        shift = np.rint((past.landmarks_5xy - face.landmarks_5xy).mean(axis=0)).astype(int)
        picture = frames[SOURCE].picture
        now_roi, last_roi = _both(region.roi, (int(shift[0]), int(shift[1])), (picture.width, picture.height))
        if min(now_roi.size_wh) < LEAST_SIDE:
            return
        inside = region.inside_hw[now_roi.within(region.roi).slices]
        views = {name: (luma(frames[name].picture, now_roi), luma(last[name].picture, last_roi)) for name in frames}
        shown = REFERENCE if REFERENCE in views else SOURCE
        now, before = views[shown]
        motion = self._motion.between(
            View(now, now_roi, frames[shown].index), View(before, last_roi, last[shown].index)
        )
        changes = {name: change_between(*views[name], motion, inside) for name in views}
        sink.add("covered", float((motion.known_hw & inside).sum() / max(int(inside.sum()), 1)))
        _add_changes(sink, changes)

    def _trembling(
        self, sink: "_Sink", seen: dict[str, Detection | None], past: "_Past | None", scene_from_frame: Float64
    ) -> tuple["_Sight", ...]:
        """Jitter where the face was found in three successive frames of all films; what the next frame needs of it."""
        if any(detection is None for detection in seen.values()):
            return ()
        detections = {name: detection for name, detection in seen.items() if detection is not None}
        points = {name: apply(scene_from_frame, detection.landmarks_5xy) for name, detection in detections.items()}
        sights = (*(past.sights if past is not None else ()), points)
        if len(sights) == 3:
            for name in (RESULT, SOURCE):
                pixels = acceleration([sight[name] for sight in sights]) / scale_of(scene_from_frame)
                sink.add(f"jitter{name}_pixels", pixels)
                sink.add("jitter" + name, pixels / _size(detections[SOURCE]))
        return sights[-2:]

    def _identities(self, sink: "_Sink", frames: Frames, face: TrackedFace, past: "_Past | None") -> dict[str, Float64]:
        """Descriptions of the face in source and result; the distances between them, and from the last ones."""
        described = {
            name: self._identity.describe(self._aligner.crop(frames[name], face).rgb_hwc) for name in (RESULT, SOURCE)
        }
        sink.add("identity_source", distance(described[RESULT], described[SOURCE]))
        if past is not None:
            for name, description in described.items():
                sink.add("identity_neighbours" + name, distance(description, past.described[name]))
        return described


_Sight = dict[str, Float64]
"""(5, 2) raw landmarks of a face in one frame of each film, in coordinates of the scene."""


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """What a track's last frame leaves for its next."""

    landmarks_5xy: Float64
    """Of the source's track."""
    sights: tuple[_Sight, ...]
    """Of the last one or two frames, as far as the face was found in all films."""
    described: dict[str, Float64]


@dataclass(slots=True)
class _Note:
    first: int
    last: int = 0
    faces: int = 0
    totals: Totals = field(default_factory=Totals)

    def track(self, track_id: int) -> MeasuredTrack:
        return MeasuredTrack(track_id, self.first, self.last, self.faces, figures_of(self.totals))


@dataclass(frozen=True, slots=True)
class _Sink:
    """Where a face's quantities go: to its track and to the curve."""

    track: Totals
    curve: Totals

    def add(self, quantity: str, value: float | None) -> None:
        self.track.add(quantity, value)
        self.curve.add(quantity, value)


def _add_changes(sink: _Sink, changes: dict[str, Change | None]) -> None:
    for name, change in changes.items():
        if change is not None:
            sink.add("flicker" + (name or "_result"), change.absolute)
            sink.add("warping_error" + name, change.squared)


def _both(roi: Roi, shift: tuple[int, int], frame_wh: tuple[int, int]) -> tuple[Roi, Roi]:
    """The part of a window that lies in the frame also when it is shifted, and the shifted one; may be empty."""
    (right, down), (width, height) = shift, frame_wh
    left, top = max(roi.left, -right), max(roi.top, -down)
    now = Roi(left, top, min(roi.right, width - right), min(roi.bottom, height - down))
    return now, Roi(now.left + right, now.top + down, now.right + right, now.bottom + down)


def _box(face: TrackedFace) -> Float64:
    """(4,) about the face."""
    return face.detection.box_xyxy.astype(np.float64) if face.detection is not None else hull_box(face.landmarks_5xy)


def _size(detection: Detection) -> float:
    """Side of a square as large as the box, in pixels."""
    left, top, right, bottom = detection.box_xyxy.astype(np.float64)
    return float(np.sqrt(max((right - left) * (bottom - top), 1.0)))
