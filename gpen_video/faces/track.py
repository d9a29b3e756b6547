"""Detections to tracks: which face of this frame is which of the last, held over gaps and steadied.

Prediction, association and confirmation follow SORT (A. Bewley et al., "Simple online and realtime tracking", ICIP
2016); detections of low confidence may continue a track but not start one, as in ByteTrack (Y. Zhang et al., ECCV
2022). Faces are followed in the coordinates of the scene, from which the camera's motion is taken off.

What a face depends on: its landmarks on the frames of its own track, fading with the smoother's memory; its id on the
looks of faces that left within `TrackSettings.memory` frames.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from gpen_video.config.schema import TrackSettings
from gpen_video.faces import kalman
from gpen_video.faces.appearance import Float32, appearance_of, averaged, likeness
from gpen_video.faces.associate import Sight, match_far, match_near
from gpen_video.faces.camera import Camera
from gpen_video.faces.kalman import Float64, Noise, State
from gpen_video.faces.smooth import Measurement, NoiseMeter, Smoother
from gpen_video.geometry import apply, corners, hull_box, invert, iou_matrix, scale_of
from gpen_video.streams import closing_upstream
from gpen_video.types import Detection, Frame, FrameFaces, OnSkip, Picture, TrackedFace

_DETECTOR_ERROR = 0.3
"""Standard deviation of a landmark in pixels of the copy that the detector sees, however small the face."""
_LASTING = 2.0
"""Factor on the noise that a track shows from frame to frame, for errors that last longer: the
detector's own, which go with where in its grid the face lies, and compression's."""
_FOLLOWED = 2.0
"""Factor on the noise of landmarks that optical flow carried on."""
_UNSURE = 2.0
"""Factor on the noise of landmarks of a detection with confidence 0; 1 at full confidence."""
_CROWDED = 0.1
"""Intersection over union with another face from which a face's looks are not learned."""
_KNOWN_AGAIN = 0.75
"""Least likeness of a face that comes back."""
_BEST = 0.1
"""Likeness by which it must be more like itself than like anyone else."""


def track_delay(settings: TrackSettings) -> int:
    """Frames that `track_faces` holds back: for the smoother's lag, and to tell a face from a false detection."""
    return max(settings.lag, settings.min_hits - 1)


def track_faces(
    stream: Iterable[FrameFaces[Detection]],
    settings: TrackSettings,
    start_score: float = 0.0,
    tail: int = 5,
    on_skip: OnSkip | None = None,
    *,
    every: int = 1,
    pixel: float = 1.0,
    first_id: int = 0,
) -> Generator[FrameFaces[TrackedFace], None, None]:
    """Turn the detections of each frame into faces with an identity and steadied landmarks.

    Every frame comes out, in order, `track_delay` frames late. Where a shot starts, what is held back is given out
    first, smoothed with what there is, and every track ends.

    A face is given for each frame in which it was seen, and through a gap whose end lies within the lag. After the
    last detection (or in a gap that is too long to see across) it is predicted for `tail` frames, for the mask to
    fade out. Of a damaged frame nothing is learned: its faces are where they should be.

    Args:
        stream: Detections frame by frame.
        settings: See `TrackSettings`.
        start_score: Least confidence of a detection that starts a track or counts for its confirmation.
        tail: Most predicted frames after the last detection.
        on_skip: Is told of detections whose track was too short to be believed, with their confidence.
        every: The detector looks at every n-th frame, so that fewer detections can confirm a track in time.
        pixel: Frame pixels for one pixel of the copy that the detector sees.
        first_id: Of the first track; above 0 where the film is gone on with from the start of a shot.
    """
    tracker = Tracker(settings, start_score, tail, every=every, pixel=pixel, first_id=first_id)
    pending: deque[FrameFaces[Detection]] = deque()

    def emit(keep: int) -> Iterator[FrameFaces[TrackedFace]]:
        while len(pending) > keep:
            item = pending.popleft()
            faces = tracker.take(item.frame.picture)
            if on_skip is not None:
                for detection in tracker.doubted:
                    on_skip(item.frame.index, "seen too briefly", detection.score)
            yield item.with_faces(faces)

    with closing_upstream(stream):
        for item in stream:
            if item.frame.starts_shot:
                yield from emit(0)
                tracker.reset()
            tracker.observe(item.frame, item.faces)
            pending.append(item)
            yield from emit(track_delay(settings))
        yield from emit(0)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A detection in the scene."""

    detection: Detection
    sight: Sight
    strong: bool
    """Sure enough to start a track."""

    @property
    def doubt(self) -> float:
        """Factor on the noise of its landmarks."""
        unsure = 1 + (_UNSURE - 1) * (1 - self.detection.score)
        return unsure * _FOLLOWED if self.detection.followed else unsure


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """One frame of a track."""

    seen: _Seen | None
    unseen: int
    """Frames since the last detection, damaged ones apart; 0 where there is one."""


@dataclass(slots=True, eq=False)
class _Track:
    state: State
    """After the last frame, of all (14,) coordinates in the scene: where the face is looked for."""
    first: int
    """Frame of the shot that `pending` begins with."""
    pending: deque[_Record]
    """Records of the frames not yet taken."""
    smoother: Smoother
    meter: NoiseMeter
    looks: Float32 | None
    last_seen: int
    unseen: int = 0
    hits: deque[bool] = field(default_factory=deque)
    """Of the last frames, which had a detection that counts for its confirmation."""
    believed: bool = False
    track_id: int | None = None
    """Given when its first face is, so that ids have no holes."""


class Tracker:
    """The tracks of one shot; `observe` runs ahead of `take` by the delay."""

    def __init__(
        self,
        settings: TrackSettings,
        start_score: float = 0.0,
        tail: int = 5,
        *,
        every: int = 1,
        pixel: float = 1.0,
        first_id: int = 0,
    ) -> None:
        """See `track_faces` for the arguments."""
        self._settings = settings
        self._noise = Noise(settings.landmark_noise, settings.motion_noise)
        self._start_score = start_score
        self._tail = tail
        self._pixel = pixel
        self._every = every
        self._window = track_delay(settings) + 1
        # No more can be asked for than the detector looks while frames are held back.
        self._least_hits = min(settings.min_hits, 1 + (self._window - 1) // every)
        self._camera = Camera()
        # (2, 3) `scene_from_frame` of each frame not yet taken; so many of the last are of damaged frames.
        self._scenes: deque[Float64] = deque()
        self._untold = 0
        self._next_id = first_id
        self.doubted: list[Detection] = []
        """Of the last frame taken: detections whose track is too short to be believed."""
        self.reset()

    def reset(self) -> None:
        """End all tracks; ids go on."""
        self._tracks: list[_Track] = []
        self._departed: list[_Track] = []
        self._camera.reset()
        self._scenes.clear()
        self._untold = 0
        self._observed = 0
        self._taken = 0

    def observe(self, frame: Frame, detections: Sequence[Detection]) -> None:
        """Associate the detections of the next frame with the tracks."""
        usable = [] if frame.damaged else [detection for detection in detections if _is_usable(detection)]
        alive = [track for track in self._tracks if self._is_alive(track)]
        predicted = [kalman.predict(track.state, self._noise) for track in alive]
        if self._settings.camera and not frame.damaged and (alive or usable):
            self._camera.follow(frame.picture, [*self._boxes_of(predicted), *(one.box_xyxy for one in usable)])
        self._place(frame.damaged)
        seen = [self._seen(frame.picture, detection) for detection in usable]
        expected = [
            Sight(state.position, state.size, track.looks, track.unseen)
            for track, state in zip(alive, predicted, strict=True)
        ]
        matches = self._matches(expected, seen)
        for index, track in enumerate(alive):
            match = seen[matches[index]] if index in matches else None
            crowded = match is not None and _is_crowded(expected, index)
            self._extend(track, predicted[index], match, frame.damaged, crowded)
        fresh = set(range(len(seen))) - set(matches.values())
        self._tracks += [self._begin(seen[index]) for index in sorted(fresh) if seen[index].strong]
        self._observed += 1

    def take(self, picture: Picture) -> tuple[TrackedFace, ...]:
        """The faces of the oldest frame not yet taken, by id; what only that frame needed is forgotten."""
        self.doubted.clear()
        faces = []
        present = [track for track in self._tracks if track.pending and track.first == self._taken]
        # New ones first: one of them may turn out to be another track's face come back, which then is at its end.
        for track in sorted(present, key=lambda track: track.track_id is not None):
            if track in self._tracks and (face := self._face(track, picture)) is not None:
                faces.append(face)
            track.pending.popleft()
            track.first += 1
        self._taken += 1
        self._scenes.popleft()
        self._forget()
        return tuple(sorted(faces, key=lambda face: face.track_id))

    def _place(self, damaged: bool) -> None:
        """Note where the camera is; in damaged frames it was on its way between the good ones around them."""
        scene_from_frame = self._camera.scene_from_frame
        self._untold = min(self._untold, len(self._scenes))
        if not damaged and self._untold:
            before = self._scenes[-1]  # what was noted for the damaged ones: the last good frame's
            for back in range(1, self._untold + 1):
                share = back / (self._untold + 1)
                self._scenes[-back] = share * before + (1 - share) * scene_from_frame
        self._untold = self._untold + 1 if damaged else 0
        self._scenes.append(scene_from_frame)

    def _is_alive(self, track: _Track) -> bool:
        return track.unseen <= self._settings.max_gap

    def _boxes_of(self, predicted: Sequence[State]) -> list[Float64]:
        """Where faces would be in a frame for which the camera stood still, also those that no detector sees now."""
        frame_from_scene = invert(self._camera.scene_from_frame)
        return [hull_box(apply(frame_from_scene, corners(state.position[10:]))) for state in predicted]

    def _seen(self, picture: Picture, detection: Detection) -> _Seen:
        scene_from_frame = self._camera.scene_from_frame
        points = np.concatenate([detection.landmarks_5xy, detection.box_xyxy.reshape(2, 2)])
        size = _size(detection) * scale_of(scene_from_frame)
        sight = Sight(apply(scene_from_frame, points).ravel(), size, appearance_of(picture, detection))
        return _Seen(detection, sight, detection.score >= self._start_score and not detection.followed)

    def _matches(self, expected: Sequence[Sight], seen: Sequence[_Seen]) -> dict[int, int]:
        """Indices into `seen` by indices into `expected`: sure detections first, far ones last."""
        sights = [one.sight for one in seen]
        strong = [index for index, one in enumerate(seen) if one.strong]
        weak = [index for index, one in enumerate(seen) if not one.strong]
        least = self._settings.min_overlap
        matches = match_near(expected, range(len(expected)), sights, strong, least)
        left = [index for index in range(len(expected)) if index not in matches]
        matches |= match_near(expected, left, sights, weak, least)
        left = [index for index in left if index not in matches]
        free = [index for index in strong if index not in matches.values()]
        return matches | match_far(expected, left, sights, free)

    def _begin(self, seen: _Seen) -> _Track:
        sight = seen.sight
        expected = np.hypot(self._settings.landmark_noise, _DETECTOR_ERROR * self._pixel / _size(seen.detection))
        track = _Track(
            state=kalman.start(sight.coordinates, sight.size, self._noise),
            first=self._observed,
            pending=deque([_Record(seen, 0)]),
            smoother=Smoother(self._settings.motion_noise),
            meter=NoiseMeter(float(expected)),
            looks=sight.looks,
            last_seen=self._observed,
            hits=deque([True], maxlen=self._window),
        )
        track.meter.add(sight.coordinates[:10], sight.size)
        return track

    def _extend(self, track: _Track, predicted: State, seen: _Seen | None, damaged: bool, crowded: bool) -> None:
        if seen is None:
            track.state = predicted
            track.unseen += not damaged
            track.meter.add(None, predicted.size)
        else:
            sight = seen.sight
            track.state = kalman.update(predicted, sight.coordinates, sight.size, self._noise)
            track.unseen, track.last_seen = 0, self._observed
            track.meter.add(sight.coordinates[:10], sight.size)
            if not crowded:
                track.looks = averaged(track.looks, sight.looks)
        track.hits.append(seen is not None and seen.strong)
        track.pending.append(_Record(seen, track.unseen))

    def _face(self, track: _Track, picture: Picture) -> TrackedFace | None:
        """The face of the track's first pending frame, where there is one to show."""
        window = list(islice(track.pending, self._settings.lag + 1))
        coordinates = track.smoother.step([_measurement(record, track.meter.deviation) for record in window])
        record, *ahead = window
        if not self._is_believed(track):
            if record.seen is not None:
                self.doubted.append(record.seen.detection)
            return None
        landmarks = apply(invert(self._scenes[0]), coordinates.reshape(5, 2))
        if record.seen is None:
            seen_again = any(later.seen is not None for later in ahead)
            if not seen_again and (record.unseen > self._tail or not _is_inside(landmarks, picture)):
                return None
        if track.track_id is None:
            track.track_id = self._name(track)
        return TrackedFace(track.track_id, landmarks, None if record.seen is None else record.seen.detection)

    def _is_believed(self, track: _Track) -> bool:
        """Whether it was seen often enough, at one time; once believed it stays so."""
        # A shot may be shorter than the detections that are asked for.
        looks = -(-self._observed // self._every)
        track.believed = track.believed or sum(track.hits) >= min(self._least_hits, looks)
        return track.believed

    def _name(self, track: _Track) -> int:
        """The id of the face that left and is this one, or a new id."""
        others = [other for other in (*self._tracks, *self._departed) if other.track_id is not None]
        alike = [likeness(track.looks, other.looks) or 0.0 for other in others]
        if alike:
            best = int(np.argmax(alike))
            left = others[best].unseen > 0 and others[best].last_seen < track.first
            rivals = [value for index, value in enumerate(alike) if index != best]
            if left and alike[best] >= max(_KNOWN_AGAIN, _BEST + max(rivals, default=0.0)):
                for tracks in (self._tracks, self._departed):
                    tracks[:] = [other for other in tracks if other is not others[best]]
                return _id_of(others[best])
        self._next_id += 1
        return self._next_id - 1

    def _forget(self) -> None:
        """Let go of tracks that are over; remember for a while those that were shown."""
        over = [track for track in self._tracks if not track.pending and not self._is_alive(track)]
        self._tracks = [track for track in self._tracks if track.pending or self._is_alive(track)]
        self._departed += [track for track in over if track.track_id is not None and track.looks is not None]
        oldest = self._observed - self._settings.memory
        self._departed = [track for track in self._departed if track.last_seen >= oldest]


def _id_of(track: _Track) -> int:
    assert track.track_id is not None
    return track.track_id


def _measurement(record: _Record, deviation: float) -> Measurement | None:
    if record.seen is None:
        return None
    sight = record.seen.sight
    return Measurement(sight.coordinates[:10], sight.size, _LASTING * deviation * record.seen.doubt)


def _is_crowded(expected: Sequence[Sight], index: int) -> bool:
    """Whether another face is expected so near that this one's looks may be the other's."""
    boxes = np.stack([sight.box_xyxy for sight in expected])
    overlaps = np.delete(iou_matrix(boxes[index : index + 1], boxes)[0], index)
    return bool((overlaps > _CROWDED).any())


def _size(detection: Detection) -> float:
    """Of a face, in pixels: the side of a square as large as its box."""
    left, top, right, bottom = detection.box_xyxy.astype(np.float64)
    return float(np.sqrt((right - left) * (bottom - top)))


def _is_usable(detection: Detection) -> bool:
    """A face that can be followed and aligned: finite, and neither its box nor its landmarks are a point or a line."""
    left, top, right, bottom = detection.box_xyxy
    finite = np.isfinite(detection.box_xyxy).all() and np.isfinite(detection.landmarks_5xy).all()
    return bool(finite and right > left and bottom > top and np.ptp(detection.landmarks_5xy, axis=0).max() >= 1)


def _is_inside(landmarks_5xy: Float64, picture: Picture) -> bool:
    """Whether the middle of the face lies in the picture."""
    x, y = landmarks_5xy.mean(axis=0)
    return bool(0 <= x < picture.width and 0 <= y < picture.height)
