"""The stages of one film, wired, owned and timed."""

import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TypeVar

from gpen_video.config import Settings
from gpen_video.faces import Aligner, LayeredFrame, LayerWish, mask_faces, match_grain, paste_layers, track_faces
from gpen_video.media import decode, filtered, mark_shots, split_fields
from gpen_video.pipeline.models import Models
from gpen_video.pipeline.observe import Observer, Progress
from gpen_video.pipeline.prefetch import prefetch
from gpen_video.pipeline.reading import Reading
from gpen_video.pipeline.record import Recorder, compared, recorded
from gpen_video.pipeline.stages import crop_faces, detect_faces, weave_layers
from gpen_video.pipeline.stopwatch import Stopwatch
from gpen_video.restore import restore_faces
from gpen_video.types import FrameFaces, TrackedFace

T = TypeVar("T")


@dataclass(slots=True)
class Counts:
    """What has passed by."""

    frames: int = 0
    """Finished."""
    faces: int = 0
    tracks: int = 0
    shots: int = 0
    warnings: list[str] = field(default_factory=list)
    """Not yet told; written by the decoding thread."""


@dataclass(slots=True, eq=False)
class Film:
    """One source, its settings and models; `owned` closes every stage, the last one first."""

    reading: Reading
    settings: Settings
    """For frames, also where the film is restored by fields."""
    models: Models
    owned: ExitStack
    recorder: Recorder | None = None
    """Notes what is done, for a treatment record."""
    layers: LayerWish = field(default_factory=LayerWish)
    """What is made beside the result."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    counts: Counts = field(default_factory=Counts)
    started: float = field(default_factory=time.perf_counter)

    def tracked(self) -> Generator[FrameFaces[TrackedFace]]:
        """Decode -> filters -> shots -> fields -> detect -> track."""
        s, reading = self._per_picture, self.reading
        warn = self.counts.warnings.append
        frames = self._stage("decode", decode(reading.info, tolerant=s.media.tolerant, on_warning=warn))
        if reading.graph:
            behind = filtered(frames, reading.graph, reading.info, reading.behind, reading.moments)
            frames = self._stage("filters", behind)
        shots = self._stage("shots", mark_shots(frames, s.shots))
        if reading.first_field:
            shots = self._stage("split fields", split_fields(shots, reading.first_field))
        shots = self._thread("decode ahead", shots)
        detected = self._stage(
            "detect",
            detect_faces(
                shots,
                self.models.detector,
                long_side=s.detect.long_side,
                min_face=s.detect.min_face,
                batch=s.detect.batch,
                rotation=reading.info.rotation,
                pixel_aspect=reading.pixel_aspect,
                on_skip=self._skipped,
            ),
        )
        tracked = self._stage("track", track_faces(detected, s.track, s.detect.score, s.blend.fade + 1, self._skipped))
        return self._counted(tracked)

    def restored(self) -> Generator[LayeredFrame]:
        """Tracked -> crop -> restore -> grain -> mask -> paste -> frames."""
        s, reading = self._per_picture, self.reading
        aligner = Aligner(self.models.restorer.size, self.models.template, reading.pixel_aspect)
        cropped = self._thread("crop ahead", self._stage("crop", crop_faces(self.tracked(), aligner)))
        restored = self._stage("restore", restore_faces(cropped, self.models.restorer, max_wait=s.restore.max_wait))
        ahead = self._thread("restore ahead", restored)
        matched = self._stage("grain", match_grain(ahead)) if s.blend.grain == "match" else ahead
        masked = self._stage("mask", mask_faces(matched, s.blend, strength=s.restore.strength))
        if self.recorder is not None:
            masked = self._stage("record", recorded(masked, self.recorder))
        pasted = self._stage("paste", paste_layers(masked, s.blend, self.layers))
        if reading.first_field:
            pasted = self._stage("weave fields", weave_layers(pasted, reading.first_field, reading.behind.colour))
        if self.recorder is not None:
            pasted = self._stage("compare", compared(pasted, self.recorder))
        return self._thread("paste ahead", pasted)

    def progress(self) -> Progress:
        """Where the film stands."""
        return Progress(
            frames=self.counts.frames,
            total_frames=self.reading.info.frame_count_from_header,
            faces=self.counts.faces,
            seconds=time.perf_counter() - self.started,
            stage_seconds=dict(self.watch.seconds),
        )

    def tell(self, observer: Observer) -> None:
        """Pass on the warnings that came up, and the progress; from the observer's own thread."""
        while self.counts.warnings:
            observer.warned(self.counts.warnings.pop(0))
        observer.progressed(self.progress())

    def _skipped(self, picture: int, reason: str, value: float) -> None:
        if self.recorder is not None:
            self.recorder.decided(picture // 2 if self.reading.first_field else picture, None, reason, value)

    @property
    def _per_picture(self) -> Settings:
        return self.reading.per_picture(self.settings)

    def _stage(self, name: str, stream: Generator[T]) -> Generator[T]:
        return self._own(self.watch.timed(name, self._own(stream)))

    def _thread(self, name: str, stream: Generator[T]) -> Generator[T]:
        """Let everything upstream run ahead in a thread."""
        ahead = self._own(prefetch(stream, self.settings.media.prefetch, name))
        return self._own(self.watch.timed(name, ahead, waits=True))

    def _own(self, stream: Generator[T]) -> Generator[T]:
        return self.owned.enter_context(closing(stream))

    def _counted(self, stream: Generator[FrameFaces[TrackedFace]]) -> Generator[FrameFaces[TrackedFace]]:
        for item in stream:
            self.counts.shots += item.frame.starts_shot
            self.counts.faces += len(item.faces)
            self.counts.tracks = max(self.counts.tracks, *(face.track_id + 1 for face in item.faces), 0)
            yield item
