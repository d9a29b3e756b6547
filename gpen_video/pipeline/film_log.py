"""What the tracking pass sees of a film, kept so that a later run can go on in mid-film as if it had seen it too."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gpen_video.media import Mark, Place, place_of
from gpen_video.pipeline.choose import film_frame
from gpen_video.streams import closing_upstream
from gpen_video.types import Detection, Float32, Float64, Frame, FrameFaces

T = TypeVar("T")

Detections = Mapping[int, tuple[Detection, ...]]
"""By the index of the picture, which is a field's where the film is restored by fields."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What was seen in frames without a gap."""

    first: int
    pts: NDArray[np.int64]
    """(N,) in the film's time base."""
    crc: NDArray[np.uint32]
    """(N,) see `media.place`."""
    starts_shot: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    picture: NDArray[np.int64]
    """(M,) the picture of each detection, rising."""
    box_xyxy: Float32
    """(M, 4)"""
    landmarks_5xy: Float32
    """(M, 5, 2)"""
    score: Float64
    """(M,)"""
    followed: NDArray[np.bool_]
    """(M,)"""

    @property
    def end(self) -> int:
        """The frame behind the last one."""
        return self.first + len(self.pts)

    @property
    def shot_starts(self) -> list[int]:
        """Frames with which shots start."""
        return (self.first + np.flatnonzero(self.starts_shot)).tolist()

    def places(self) -> list[Place]:
        """Where each frame is."""
        return [
            Place(self.first + offset, pts, crc)
            for offset, (pts, crc) in enumerate(zip(self.pts.tolist(), self.crc.tolist(), strict=True))
        ]

    def marks(self) -> dict[int, Mark]:
        """How each frame was marked."""
        marks = zip(self.starts_shot.tolist(), self.damaged.tolist(), strict=True)
        return {self.first + offset: Mark(*mark) for offset, mark in enumerate(marks)}

    def detections(self) -> dict[int, tuple[Detection, ...]]:
        """The faces that were found, by picture; pictures without any are left out."""
        found: dict[int, tuple[Detection, ...]] = {}
        for place, picture in enumerate(self.picture.tolist()):
            face = Detection(
                self.box_xyxy[place], self.landmarks_5xy[place], float(self.score[place]), bool(self.followed[place])
            )
            found[picture] = (*found.get(picture, ()), face)
        return found


@dataclass(slots=True, eq=False)
class FilmLog:
    """Notes frames and detections as they pass, in whatever thread, until they are taken."""

    _frames: deque[tuple[Place, Mark]] = field(default_factory=deque)
    _found: deque[tuple[int, int, Detection]] = field(default_factory=deque)
    """Frame of the film, picture, face."""

    def noted_frames(self, stream: Iterable[Frame]) -> Generator[Frame]:
        """Note marked frames; no delay, nothing is changed."""
        with closing_upstream(stream):
            for frame in stream:
                self._frames.append((place_of(frame), Mark(frame.starts_shot, frame.damaged)))
                yield frame

    def noted_faces(self, stream: Iterable[FrameFaces[Detection]]) -> Generator[FrameFaces[Detection]]:
        """Note what was detected; no delay, nothing is changed."""
        with closing_upstream(stream):
            for item in stream:
                self._found.extend((film_frame(item.frame), item.frame.index, face) for face in item.faces)
                yield item

    def taken(self, first: int, end: int) -> Trace:
        """Take out frames `first` to `end` (excluded), all of which have passed; those before `first` are dropped."""
        frames = [
            entry for entry in _popped(self._frames, end, lambda entry: entry[0].index) if entry[0].index >= first
        ]
        faces = [entry[1:] for entry in _popped(self._found, end, lambda entry: entry[0]) if entry[0] >= first]
        return _trace(first, frames, faces)


def _popped(queue: deque[T], end: int, frame_of: Callable[[T], int]) -> Iterator[T]:
    while queue and frame_of(queue[0]) < end:
        yield queue.popleft()


def _trace(first: int, frames: Sequence[tuple[Place, Mark]], faces: Sequence[tuple[int, Detection]]) -> Trace:
    detections = [face for _, face in faces]
    return Trace(
        first=first,
        pts=np.array([place.pts for place, _ in frames], np.int64),
        crc=np.array([place.crc for place, _ in frames], np.uint32),
        starts_shot=np.array([mark.starts_shot for _, mark in frames], np.bool_),
        damaged=np.array([mark.damaged for _, mark in frames], np.bool_),
        picture=np.array([picture for picture, _ in faces], np.int64),
        box_xyxy=np.array([face.box_xyxy for face in detections], np.float32).reshape(-1, 4),
        landmarks_5xy=np.array([face.landmarks_5xy for face in detections], np.float32).reshape(-1, 5, 2),
        score=np.array([face.score for face in detections], np.float64),
        followed=np.array([face.followed for face in detections], np.bool_),
    )
