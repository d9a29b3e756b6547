"""One clip through one variant, and its figures against the truth."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.steadiness.films import detected, tracked, write_film
from benchmarks.steadiness.scenes import MOVE, Person, Scene, damaged
from gpen_video.config import Settings
from gpen_video.faces import Aligner, detection_in_frame, upright_rgb
from gpen_video.geometry import apply, compose, invert, scale_of
from gpen_video.measure import Meter, Motion, View
from gpen_video.measure.figures import Figures
from gpen_video.measure.match import match
from gpen_video.measure.motion import within
from gpen_video.measure.region import Regions
from gpen_video.media import decode, probe
from gpen_video.pipeline import Models, restore_video
from gpen_video.types import Detection, Float64, Frame, FrameFaces, TrackedFace

CROP = 256
NOISES = 6
"""Times that the fast move is damaged, to tell what smoothing does from what noise does."""
_AROUND = 4
"""Frames before and after a fast move that count as the move as well."""


@dataclass(frozen=True, slots=True)
class Lag:
    """By how many pixels of the crop of 256 the crop's middle misses its place during a fast move."""

    mean: float
    most_95: float
    largest: float
    behind: float
    """By how many it trails at the top of the move: its delay, by regression of the miss on the true speed, times that
    speed. Noise averages out, and what the detector sees elsewhere while it moves does not count."""


@dataclass(eq=False)
class Clip:
    """A scene as files: `clean.mkv`, `damaged.mkv`."""

    scene: Scene
    folder: Path
    models: Models
    _seen_offsets: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write the two films, and find the faces in them."""
        self.folder.mkdir(parents=True)
        frames = self.scene.frames()
        write_film(self.clean, frames)
        for noise in range(NOISES if self.scene.kind == "fast" else 1):
            write_film(self._noisy(noise), damaged(self.scene, frames, noise))
        self._known = [item.faces for item in detected(self.clean, self.models)]
        faces = self._true_faces(len(frames))
        with closing(decode(probe(self.damaged))) as source, closing(decode(probe(self.clean))) as clean:
            self._truth = [
                _with_detections(known, self._seen(one, true, known))
                for known, one, true in zip(faces, source, clean, strict=True)
            ]

    @property
    def clean(self) -> Path:
        """The truth."""
        return self.folder / "clean.mkv"

    @property
    def damaged(self) -> Path:
        """What is restored."""
        return self._noisy(0)

    def _noisy(self, noise: int) -> Path:
        return self.folder / (f"damaged_{noise}.mkv" if noise else "damaged.mkv")

    def restored(self, name: str, settings: Settings) -> Path:
        """What the product makes of it."""
        target = self.folder / f"{name.replace(' ', '_')}.mkv"
        restore_video(self.damaged, target, settings, offline=True, overwrite=True)
        return target

    def figures(self, result: Path) -> Figures:
        """Of a result, over all faces."""
        people = self.scene.people
        meter = Meter(motion=TrueMotion(people[0]) if len(people) == 1 else None)
        with ExitStack() as owned:
            source, clean = (owned.enter_context(closing(decode(probe(path)))) for path in (self.damaged, self.clean))
            made = owned.enter_context(closing(decode(probe(result))))
            for faces, known, one, other, true in zip(self._truth, self._known, source, made, clean, strict=True):
                first = replace(one, starts_shot=one.index == 0)
                seen = self._seen(other, true, faces)
                meter.saw(FrameFaces(first, faces), FrameFaces(other, seen), FrameFaces(true, known))
        return meter.measurement().overall

    def lag(self, settings: Settings) -> Lag:
        """Of the tracked landmarks of the only person."""
        offsets = self._offsets(settings)
        missed = np.linalg.norm(offsets, axis=2)
        speed = _in_the_move(_speeds(self.scene.people[0], len(self._truth)))
        delay = -np.nansum(offsets * speed) / np.square(np.where(np.isnan(offsets), 0, speed)).sum()
        behind = float(abs(delay) * np.linalg.norm(speed, axis=1).max())
        return Lag(float(np.nanmean(missed)), float(np.nanpercentile(missed, 95)), float(np.nanmax(missed)), behind)

    def _offsets(self, settings: Settings) -> NDArray[np.float64]:
        """(NOISES, T, 2) offsets during the move."""
        key = settings.model_dump_json(include={"detect", "track", "shots"})
        if key not in self._seen_offsets:
            films = [tracked(self._noisy(noise), settings) for noise in range(NOISES)]
            self._seen_offsets[key] = np.stack([_unbiased(_offsets(film, self.scene.people[0])) for film in films])
        return self._seen_offsets[key]

    def switches(self, settings: Settings) -> int:
        """How often a person is given another track than before."""
        count = 0
        frames = tracked(self.damaged, settings)
        for person in self.scene.people:
            last: int | None = None
            for index, faces in enumerate(frames):
                track = None if _is_hidden(person, index) else _track_of(person.landmarks_at(index), faces)
                if track is not None:
                    count += last is not None and track != last
                    last = track
        return count

    def _seen(self, frame: Frame, clean: Frame, faces: Sequence[TrackedFace]) -> tuple[Detection, ...]:
        """Faces found in a frame whose surroundings of the faces are the clean film's.

        Noise around a face shakes the detector as well: without this a face that stands perfectly still would seem to
        tremble by a third of what the damaged film does.
        """
        rgb, frame_from_thumbnail = upright_rgb(_over(frame, clean, faces), 960)
        (found,) = self.models.detector.detect(rgb[None])
        return tuple(detection_in_frame(detection, frame_from_thumbnail) for detection in found)

    def _true_faces(self, count: int) -> list[tuple[TrackedFace, ...]]:
        """The faces of each frame: where they truly are."""
        people = self.scene.people
        if not people:
            return tracked(self.clean, Settings())
        return [
            tuple(
                TrackedFace(number, person.landmarks_at(frame), None)
                for number, person in enumerate(people)
                if not _is_hidden(person, frame)
            )
            for frame in range(count)
        ]


class TrueMotion:
    """The motion of a person, who moves as one piece."""

    def __init__(self, person: Person) -> None:
        self._frame_from_image = person.frame_from_image_t23

    def between(self, now: View, last: View) -> Motion:
        """See `MotionFinder.between`."""
        last_from_now = compose(self._frame_from_image[last.frame], invert(self._frame_from_image[now.frame]))
        height, width = now.luma_hw.shape
        y, x = np.mgrid[:height, :width].reshape(2, -1) + np.array([[now.roi.top], [now.roi.left]])
        points = np.column_stack([x, y])
        moved = apply(last_from_now, points) - points - (last.roi.left - now.roi.left, last.roi.top - now.roi.top)
        flow = moved.reshape(height, width, 2).astype(np.float32)
        return Motion(flow, within(flow))


def _offsets(frames: Sequence[tuple[TrackedFace, ...]], person: Person) -> NDArray[np.float64]:
    """(T, 2) by which the crop's middle misses the true crop's, in pixels of the true crop; NaN without a face."""
    aligner, middle = Aligner(CROP), np.array([[(CROP - 1) / 2, (CROP - 1) / 2]])
    offsets = np.full((len(frames), 2), np.nan)
    for index, faces in enumerate(frames):
        true = person.landmarks_at(index)
        near = [face for face in faces if _apart(true, face) < 1]
        if near:
            face = min(near, key=lambda face: _apart(true, face))
            frame_from_crop = invert(aligner.crop_from_frame(face.landmarks_5xy))
            offsets[index] = (apply(compose(aligner.crop_from_frame(true), frame_from_crop), middle) - middle)[0]
    return offsets


def _move(count: int) -> NDArray[np.bool_]:
    """(T,) which frames belong to the fast move."""
    moves = np.zeros(count, bool)
    moves[count // 2 - MOVE // 2 - _AROUND : count // 2 + MOVE // 2 + _AROUND] = True
    return moves


def _in_the_move(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[_move(len(values))]


def _unbiased(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offsets of the moving frames.

    The detector puts landmarks a little elsewhere than those that were marked: no lag, and the same at rest.
    """
    return _in_the_move(offsets) - np.nanmedian(offsets[~_move(len(offsets))], axis=0)


def _speeds(person: Person, count: int) -> NDArray[np.float64]:
    """(T, 2) of the true crop's middle, in pixels of the crop a frame."""
    aligner, middle = Aligner(CROP), np.array([[(CROP - 1) / 2, (CROP - 1) / 2]])
    crops = [aligner.crop_from_frame(person.landmarks_at(frame)) for frame in range(count)]
    places = np.concatenate([apply(invert(crop), middle) for crop in crops])
    scales = np.array([scale_of(crop) for crop in crops])
    return np.asarray(np.gradient(places, axis=0) * scales[:, None], np.float64)


def _apart(true_5xy: Float64, face: TrackedFace) -> float:
    """Mean distance of landmarks, in true eye distances."""
    eyes = float(np.linalg.norm(true_5xy[1] - true_5xy[0]))
    return float(np.linalg.norm(true_5xy - face.landmarks_5xy, axis=1).mean()) / eyes


def _track_of(true_5xy: Float64, faces: Sequence[TrackedFace]) -> int | None:
    seen = [face for face in faces if face.detection is not None and _apart(true_5xy, face) < 0.5]
    return min(seen, key=lambda face: _apart(true_5xy, face)).track_id if seen else None


def _is_hidden(person: Person, frame: int) -> bool:
    return person.hidden_t is not None and bool(person.hidden_t[frame])


def _with_detections(faces: tuple[TrackedFace, ...], seen: Sequence[Detection]) -> tuple[TrackedFace, ...]:
    found = match(faces, seen)
    return tuple(TrackedFace(face.track_id, face.landmarks_5xy, found.get(face.track_id)) for face in faces)


def _over(frame: Frame, clean: Frame, faces: Sequence[TrackedFace]) -> Frame:
    """The faces of a frame, by their masks, in the clean frame; 4:2:0 of 8 bits."""
    picture = frame.picture
    alpha = np.zeros(picture.planes[0].shape, np.float32)
    for face in faces:
        if (region := Regions().of(face, picture)) is not None:
            window = alpha[region.roi.slices]
            np.maximum(window, region.alpha_hw, out=window)
    mixed = []
    for plane, (made, true) in enumerate(zip(picture.planes, clean.picture.planes, strict=True)):
        weight = alpha if plane == 0 else alpha[::2, ::2]
        mixed.append(np.rint(true + weight * (made.astype(np.float32) - true)).astype(np.uint8))
    return replace(frame, picture=replace(picture, planes=tuple(mixed)))
