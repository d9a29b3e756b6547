"""The stages of one film, wired, owned and timed."""

import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TypeVar

from gpen_video.config import Settings
from gpen_video.faces import (
    Aligner,
    LayeredFrame,
    LayerWish,
    gate_faces,
    guard_faces,
    mask_faces,
    match_grain,
    paste_layers,
    track_faces,
)
from gpen_video.media import decode, filtered, mark_shots, split_fields
from gpen_video.pipeline.choose import Choice, choose_faces, directed
from gpen_video.pipeline.models import Models
from gpen_video.pipeline.observe import Observer, Progress
from gpen_video.pipeline.prefetch import prefetch
from gpen_video.pipeline.reading import Reading
from gpen_video.pipeline.record import Recorder, compared, recorded
from gpen_video.pipeline.stages import crop_faces, detect_faces, weave_layers
from gpen_video.pipeline.stopwatch import Stopwatch
from gpen_video.restore import restore_faces, steady_faces
from gpen_video.types import FrameFaces, TrackedFace

T = TypeVar("T")


@dataclass(slots=True)
class Counts:
    """What has passed by."""

    frames: int = 0
    """Finished."""
    faces: int = 0
    tracks: set[int] = field(default_factory=set)
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
    choice: Choice | None = None
    """Which faces are wanted, and how much; `None` for all, whole."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    counts: Counts = field(default_factory=Counts)
    started: float = field(default_factory=time.perf_counter)
    first_frames: dict[int, int] = field(default_factory=dict)
    """Where each track began, wanted or not."""

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
                every=s.detect.every,
                rotation=reading.info.rotation,
                pixel_aspect=reading.pixel_aspect,
                on_skip=self._skipped,
            ),
        )
        tracked = track_faces(
            detected,
            s.track,
            s.detect.score,
            s.blend.fade + 1,
            self._skipped,
            every=s.detect.every,
            pixel=self._pixels_seen_as_one,
        )
        return self._stage("track", tracked)

    def restored(self) -> Generator[LayeredFrame]:
        """Tracked -> crop -> gate -> restore -> steady -> guard -> grain -> mask -> paste -> frames."""
        s, reading = self._per_picture, self.reading
        aligner = Aligner(self.models.restorer.size, self.models.template, reading.pixel_aspect)
        tracked = self.tracked()
        if self.choice is not None:
            chosen = choose_faces(tracked, self.choice, self.first_frames, self._left)
            tracked = self._stage("choose", chosen)
        cropped = self._stage("crop", crop_faces(self._counted(tracked), aligner))
        if self.choice is not None:
            cropped = self._stage("direct", directed(cropped, self.choice))
        gated = self._thread("crop ahead", self._stage("gate", gate_faces(cropped, s.gate, self._decided)))
        restored = self._stage(
            "restore",
            restore_faces(
                gated, self.models.restorer, max_wait=s.restore.max_wait, steady_latent=s.restore.steady_latent
            ),
        )
        ahead = self._thread("restore ahead", restored)
        steadied = self._stage("steady", steady_faces(ahead, strength=s.restore.steady_detail))
        guarded = self._stage("guard", guard_faces(steadied, s.guard, self.models.embedder, self._decided))
        matched = self._stage("grain", match_grain(guarded)) if s.blend.grain == "match" else guarded
        masked = self._stage("mask", mask_faces(matched, s.blend, s.restore.strength, self.models.parser))
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
        self._decided(picture, None, reason, value)

    def _left(self, frame: int, track: int) -> None:
        if self.recorder is not None:
            self.recorder.decided(frame, track, "not chosen")

    def _decided(self, picture: int, track: int | None, reason: str, value: float) -> None:
        if self.recorder is not None:
            self.recorder.decided(picture // 2 if self.reading.first_field else picture, track, reason, value)

    @property
    def _pixels_seen_as_one(self) -> float:
        """Frame pixels for one of the copy that the detector looks at."""
        reading = self.reading
        long_side = max(reading.info.width * max(reading.pixel_aspect, 1), reading.info.height)
        return max(1.0, long_side / self.settings.detect.long_side)

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
            self.counts.tracks.update(face.track_id for face in item.faces)
            yield item
