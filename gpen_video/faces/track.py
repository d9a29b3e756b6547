"""Detections to tracks: which face of this frame is which of the last, held over gaps and steadied.

Prediction, association and confirmation follow SORT (A. Bewley et al., "Simple online and realtime tracking", ICIP
2016); detections of low confidence may continue a track but not start one, as in ByteTrack (Y. Zhang et al., ECCV
2022).
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.optimize import linear_sum_assignment

from gpen_video.config.schema import TrackSettings
from gpen_video.faces import kalman
from gpen_video.faces.kalman import Float64, Noise, State
from gpen_video.faces.smooth import smooth
from gpen_video.geometry import iou_matrix
from gpen_video.streams import closing_upstream
from gpen_video.types import Detection, FrameFaces, OnSkip, Picture, TrackedFace

_NO_MATCH = 1e6
"""Cost of a pair that may not be matched: above any sum of costs of pairs that may."""


def track_delay(settings: TrackSettings) -> int:
    """Frames that `track_faces` holds back: for the smoother's lag, and to tell a face from a false detection."""
    return max(settings.lag, settings.min_hits - 1)


def track_faces(
    stream: Iterable[FrameFaces[Detection]],
    settings: TrackSettings,
    start_score: float = 0.0,
    tail: int = 5,
    on_skip: OnSkip | None = None,
) -> Generator[FrameFaces[TrackedFace], None, None]:
    """Turn the detections of each frame into faces with an identity and steadied landmarks.

    Every frame comes out, in order, `track_delay` frames late. Where a shot starts, what is held back is given out
    first, smoothed with what there is, and every track ends.

    A face is given for each frame in which it was seen, and through a gap whose end lies within the lag. After the
    last detection (or in a gap that is too long to see across) it is predicted for `tail` frames, for the mask to
    fade out.

    Args:
        stream: Detections frame by frame.
        settings: See `TrackSettings`.
        start_score: Least confidence of a detection that starts a track or counts for its confirmation.
        tail: Most predicted frames after the last detection.
        on_skip: Is told of detections whose track was too short to be believed, with their confidence.
    """
    tracker = Tracker(settings, start_score, tail)
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
            tracker.observe(item.faces)
            pending.append(item)
            yield from emit(track_delay(settings))
        yield from emit(0)


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """One frame of a track."""

    state: State
    detection: Detection | None
    unseen: int
    """Frames since the last detection; 0 where there is one."""


@dataclass(slots=True, eq=False)
class _Track:
    last: _Record
    first: int
    """Frame of the shot that `pending` begins with."""
    pending: deque[_Record]
    """Records of the frames not yet taken."""
    hits: int = 1
    """Detections that count for its confirmation."""
    track_id: int | None = None
    """Given when its first face is, so that ids have no holes."""


class Tracker:
    """The tracks of one shot; `observe` runs ahead of `take` by the delay."""

    def __init__(self, settings: TrackSettings, start_score: float = 0.0, tail: int = 5) -> None:
        """See `track_faces` for the arguments."""
        self._settings = settings
        self._noise = Noise(settings.landmark_noise, settings.motion_noise)
        self._start_score = start_score
        self._tail = tail
        self._next_id = 0
        self.doubted: list[Detection] = []
        """Of the last frame taken: detections whose track is too short to be believed."""
        self.reset()

    def reset(self) -> None:
        """End all tracks; ids go on."""
        self._tracks: list[_Track] = []
        self._observed = 0
        self._taken = 0

    def observe(self, detections: Sequence[Detection]) -> None:
        """Associate the detections of the next frame with the tracks."""
        usable = [detection for detection in detections if _is_usable(detection)]
        strong = [detection for detection in usable if detection.score >= self._start_score]
        weak = [detection for detection in usable if detection.score < self._start_score]
        alive = [track for track in self._tracks if self._is_alive(track)]
        predicted = [kalman.predict(track.last.state, self._noise) for track in alive]

        matches = self._match(predicted, range(len(alive)), strong)
        unmatched = {id(detection) for detection in strong} - {id(detection) for detection in matches.values()}
        unseen = [index for index in range(len(alive)) if index not in matches]
        rescued = self._match(predicted, unseen, weak)
        for index, track in enumerate(alive):
            self._extend(track, predicted[index], matches.get(index, rescued.get(index)))
            track.hits += index in matches
        self._tracks += [self._begin(detection) for detection in strong if id(detection) in unmatched]
        self._observed += 1

    def take(self, picture: Picture) -> tuple[TrackedFace, ...]:
        """The faces of the oldest frame not yet taken, by id; what only that frame needed is forgotten."""
        present = [track for track in self._tracks if track.pending and track.first == self._taken]
        self.doubted.clear()
        faces = [self._face(track, picture) for track in present]
        for track in present:
            track.pending.popleft()
            track.first += 1
        self._taken += 1
        self._tracks = [track for track in self._tracks if track.pending or self._is_alive(track)]
        return tuple(sorted((face for face in faces if face is not None), key=lambda face: face.track_id))

    def _is_alive(self, track: _Track) -> bool:
        return track.last.unseen <= self._settings.max_gap

    def _match(
        self, predicted: Sequence[State], candidates: Sequence[int], detections: Sequence[Detection]
    ) -> dict[int, Detection]:
        """Detections by index into `predicted`: the assignment of least total cost (H. W. Kuhn, 1955)."""
        if not candidates or not detections:
            return {}
        expected = np.stack([predicted[index].position for index in candidates])
        found = np.stack([_coordinates(detection) for detection in detections])
        overlap = iou_matrix(expected[:, 10:], found[:, 10:])
        sizes = np.array([predicted[index].size for index in candidates])
        shifts = (expected[:, None, :10] - found[None, :, :10]).reshape(len(expected), len(found), 5, 2)
        distance = np.linalg.norm(shifts, axis=-1).mean(axis=-1) / sizes[:, None]
        allowed = overlap >= self._settings.min_overlap
        rows, columns = linear_sum_assignment(np.where(allowed, 1 - overlap + distance, _NO_MATCH))
        return {candidates[r]: detections[c] for r, c in zip(rows, columns, strict=True) if allowed[r, c]}

    def _begin(self, detection: Detection) -> _Track:
        state = kalman.start(_coordinates(detection), _size(detection), self._noise)
        record = _Record(state, detection, 0)
        return _Track(record, self._observed, deque([record]))

    def _extend(self, track: _Track, predicted: State, detection: Detection | None) -> None:
        if detection is None:
            track.last = _Record(predicted, None, track.last.unseen + 1)
        else:
            state = kalman.update(predicted, _coordinates(detection), _size(detection), self._noise)
            track.last = _Record(state, detection, 0)
        track.pending.append(track.last)

    def _face(self, track: _Track, picture: Picture) -> TrackedFace | None:
        """The face of the track's first pending frame, where there is one to show."""
        # A shot may be shorter than the detections that are asked for.
        if track.hits < min(self._settings.min_hits, self._observed):
            if (detection := track.pending[0].detection) is not None:
                self.doubted.append(detection)
            return None
        record, *ahead = islice(track.pending, self._settings.lag + 1)
        coordinates = smooth([record.state, *(later.state for later in ahead)])
        if record.detection is None:
            seen_again = any(later.detection is not None for later in ahead)
            if not seen_again and (record.unseen > self._tail or not _is_inside(coordinates, picture)):
                return None
        if track.track_id is None:
            track.track_id = self._next_id
            self._next_id += 1
        return TrackedFace(track.track_id, coordinates[:10].reshape(5, 2), record.detection)


def _coordinates(detection: Detection) -> Float64:
    """(14,) what the filter follows: landmarks, then the box."""
    return np.concatenate([detection.landmarks_5xy.ravel(), detection.box_xyxy]).astype(np.float64)


def _size(detection: Detection) -> float:
    """Of a face, in pixels: the side of a square as large as its box."""
    left, top, right, bottom = detection.box_xyxy.astype(np.float64)
    return float(np.sqrt((right - left) * (bottom - top)))


def _is_usable(detection: Detection) -> bool:
    """A face that can be followed and aligned: finite, and neither its box nor its landmarks are a point or a line."""
    left, top, right, bottom = detection.box_xyxy
    finite = np.isfinite(detection.box_xyxy).all() and np.isfinite(detection.landmarks_5xy).all()
    return bool(finite and right > left and bottom > top and np.ptp(detection.landmarks_5xy, axis=0).max() >= 1)


def _is_inside(coordinates: Float64, picture: Picture) -> bool:
    """Whether the middle of the box lies in the picture."""
    x, y = coordinates[10:].reshape(2, 2).mean(axis=0)
    return bool(0 <= x < picture.width and 0 <= y < picture.height)
