"""Keeping a restored face the face of the source: strength falls where it is no longer alike."""

from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpen_video.config.schema import GuardSettings
from gpen_video.faces.likeness import FaceEmbedder, likeness
from gpen_video.faces.reserve import OnDecision, Ramp, Reserve
from gpen_video.geometry import apply, invert
from gpen_video.streams import closing_upstream
from gpen_video.types import FrameFaces, RestoredFace

Float64 = NDArray[np.float64]

_GIVEN_UP = 0.12
"""Below the floor, where nothing of the restoration is left."""


def guard_faces(
    stream: Iterable[FrameFaces[RestoredFace]],
    settings: GuardSettings,
    embedder: FaceEmbedder | None = None,
    on_decision: OnDecision | None = None,
) -> Generator[FrameFaces[RestoredFace]]:
    """Measure each face's likeness to its source, and lower its strength where it is too small; no delay.

    `RestoredFace.likeness` is that of the frame: by the embedding where there is one, else by structure. The strength
    follows both along the track (see `Reserve`). A face of strength 0 was not restored, and is not looked at.

    Args:
        stream: Restored faces frame by frame, before grain is given back.
        settings: See `GuardSettings`.
        embedder: Knows persons apart; costs two runs a face.
        on_decision: Is told of each frame in which a face is lowered clearly, with its reason and what was measured.
    """
    reserve = Reserve(_ramps(settings, embedder), on_decision)
    with closing_upstream(stream):
        for item in stream:
            yield _guarded(item, reserve, embedder) if settings.enabled else item


def _ramps(settings: GuardSettings, embedder: FaceEmbedder | None) -> tuple[Ramp, ...]:
    floors = [("other structure than the source", settings.floor)]
    if embedder is not None:
        floors.append(("other person than the source", settings.embedding_floor))
    return tuple(Ramp(reason, floor, floor - _GIVEN_UP) for reason, floor in floors)


def _guarded(
    item: FrameFaces[RestoredFace], reserve: Reserve, embedder: FaceEmbedder | None
) -> FrameFaces[RestoredFace]:
    restored = [face for face in item.faces if face.crop.strength > 0]
    measured = {face.crop.face.track_id: _measured(face, embedder) for face in restored}
    seen = {face.crop.face.track_id: face.crop.face.detection is not None for face in restored}
    held = reserve.follow(item.frame, {track: (seen[track], partial(np.copy, measured[track])) for track in measured})

    def guarded(face: RestoredFace) -> RestoredFace:
        track = face.crop.face.track_id
        if track not in held:
            return face
        return replace(face, likeness=_shown(measured[track]), strength=face.strength * held[track].strength)

    return item.with_faces(tuple(guarded(face) for face in item.faces))


def _measured(face: RestoredFace, embedder: FaceEmbedder | None) -> Float64:
    """Likeness of structure, and the cosine of the embeddings where there is an embedder."""
    crop = face.crop
    landmarks = apply(invert(crop.frame_from_crop_2x3), crop.face.landmarks_5xy)
    values = [likeness(crop.rgb_hwc, face.rgb_hwc, landmarks)]
    if embedder is not None:
        source, restored = embedder.embed(np.stack([crop.rgb_hwc, face.rgb_hwc]))
        values.append(float(np.dot(source, restored)))
    return np.array(values)


def _shown(measured: Float64) -> float:
    """The one that knows best, 0 to 1."""
    return float(np.clip(measured[-1], 0, 1))
