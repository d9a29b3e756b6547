"""The stages of one film, wired, owned and timed."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import dropwhile

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
from gpen_video.pipeline.chain import Chain
from gpen_video.pipeline.choose import Choice, choose_faces, directed, film_frame
from gpen_video.pipeline.decisions import DecisionLog
from gpen_video.pipeline.film_log import FilmLog
from gpen_video.pipeline.models import Models
from gpen_video.pipeline.notes import SegmentNotes
from gpen_video.pipeline.observe import Observer, Progress
from gpen_video.pipeline.reading import Reading
from gpen_video.pipeline.record import Recorder, compared, recorded
from gpen_video.pipeline.segments import Segment
from gpen_video.pipeline.stages import crop_faces, detect_faces, weave_layers
from gpen_video.pipeline.start import Start
from gpen_video.pipeline.stopwatch import Stopwatch
from gpen_video.restore import restore_faces, steady_faces
from gpen_video.streams import closing_upstream
from gpen_video.types import Frame, FrameFaces, TrackedFace


@dataclass(slots=True)
class Counts:
    """What has passed by."""

    frames: int = 0
    """Finished."""
    faces: int = 0
    shots: int = 0
    first_frames: dict[int, int] = field(default_factory=dict)
    """Where each track began, wanted or not."""
    before: int = 0
    """Frames that an earlier run had finished."""
    warnings: list[str] = field(default_factory=list)
    """Not yet told; written by the decoding thread."""

    def saw(self, item: FrameFaces[TrackedFace], frame: int, choice: Choice | None) -> None:
        """Count a frame, or field, that is about to be restored."""
        self.shots += item.frame.starts_shot
        for face in item.faces:
            self.first_frames.setdefault(face.track_id, frame)
            self.faces += choice is None or choice.wants(face.track_id)

    def add(self, notes: SegmentNotes) -> None:
        """Count a segment that an earlier run finished."""
        self.frames += len(notes.trace.pts)
        self.before += len(notes.trace.pts)
        self.faces += notes.faces
        self.shots += len(notes.trace.shot_starts)
        self.first_frames |= notes.first_frames

    def tracks(self, choice: Choice | None) -> int:
        """How many tracks are restored."""
        return sum(choice is None or choice.wants(track) for track in self.first_frames)


@dataclass(slots=True, eq=False)
class Film:
    """One source, its settings and models; `owned` closes the stages of the tracking pass, the last one first."""

    reading: Reading
    settings: Settings
    """For frames, also where the film is restored by fields."""
    models: Models
    owned: ExitStack
    log: FilmLog | None = None
    """Notes what the tracking pass sees, so that a later run can go on from there."""
    decisions: DecisionLog | None = None
    """Notes why faces are left alone, for a treatment record."""
    layers: LayerWish = field(default_factory=LayerWish)
    """What is made beside the result."""
    choice: Choice | None = None
    """Which faces are wanted, and how much; `None` for all, whole."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    counts: Counts = field(default_factory=Counts)
    started: float = field(default_factory=time.perf_counter)

    def tracked(self, start: Start | None = None) -> Generator[FrameFaces[TrackedFace]]:
        """Decode -> filters -> shots -> fields -> detect -> track.

        Args:
            start: Where an earlier run got to; frames from the start of that shot on come out.
        """
        s, reading, start = self._per_picture, self.reading, start or Start()
        chain = self._chain(self.owned)
        stage = chain.stage
        shots = stage("shots", mark_shots(self._decoded(start, chain), s.shots, start.marks))
        if self.log is not None:
            shots = chain.own(self.log.noted_frames(shots))
        if start.shot:
            shots = chain.own(_from(shots, start.shot))
        if reading.first_field:
            shots = stage("split fields", split_fields(shots, reading.first_field))
        shots = chain.thread("decode ahead", shots)
        detected = stage(
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
                known=start.detections,
            ),
        )
        if self.log is not None:
            detected = chain.own(self.log.noted_faces(detected))
        tracked = track_faces(
            detected,
            s.track,
            s.detect.score,
            s.blend.fade + 1,
            self._skipped,
            every=s.detect.every,
            pixel=self._pixels_seen_as_one,
            first_id=start.next_id,
        )
        return stage("track", tracked)

    def restored(self, segment: Segment, owned: ExitStack, recorder: Recorder | None = None) -> Generator[LayeredFrame]:
        """Tracked -> crop -> gate -> restore -> steady -> guard -> grain -> mask -> paste -> frames of a segment.

        What the segment sees of its neighbours comes out too.

        Args:
            segment: Of the tracking pass.
            owned: Closes the stages, the last one first.
            recorder: Notes what is done, for a treatment record.
        """
        s, reading = self._per_picture, self.reading
        chain, decisions = self._chain(owned), _OwnDecisions(self, segment)
        stage = chain.stage
        aligner = Aligner(self.models.restorer.size, self.models.template, reading.pixel_aspect)
        tracked = chain.own(self.counted(segment))
        if self.choice is not None:
            tracked = stage("choose", choose_faces(tracked, self.choice, None, decisions.left))
        cropped = stage("crop", crop_faces(tracked, aligner))
        if self.choice is not None:
            cropped = stage("direct", directed(cropped, self.choice))
        gated = chain.thread("crop ahead", stage("gate", gate_faces(cropped, s.gate, decisions.decided)))
        restored = stage(
            "restore",
            restore_faces(
                gated, self.models.restorer, max_wait=s.restore.max_wait, steady_latent=s.restore.steady_latent
            ),
        )
        ahead = chain.thread("restore ahead", restored)
        steadied = stage("steady", steady_faces(ahead, strength=s.restore.steady_detail))
        guarded = stage("guard", guard_faces(steadied, s.guard, self.models.embedder, decisions.decided))
        matched = stage("grain", match_grain(guarded)) if s.blend.grain == "match" else guarded
        masked = stage("mask", mask_faces(matched, s.blend, s.restore.strength, self.models.parser))
        if recorder is not None:
            masked = stage("record", recorded(masked, recorder))
        pasted = stage("paste", paste_layers(masked, s.blend, self.layers))
        if reading.first_field:
            pasted = stage("weave fields", weave_layers(pasted, reading.first_field, reading.behind.colour))
        if recorder is not None:
            pasted = stage("compare", compared(pasted, recorder))
        return chain.thread("paste ahead", pasted)

    def track_ahead(self, tracked: Generator[FrameFaces[TrackedFace]]) -> Generator[FrameFaces[TrackedFace]]:
        """The tracking pass in a thread of its own, so that it goes on while a segment comes to its end."""
        return self._chain(self.owned).thread("track ahead", tracked)

    def progress(self) -> Progress:
        """Where the film stands."""
        return Progress(
            frames=self.counts.frames,
            frames_before=self.counts.before,
            total_frames=self.reading.info.expected_frames,
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

    def _decoded(self, start: Start, chain: Chain) -> Generator[Frame]:
        """Decode -> filters, from where the film is gone on with."""
        s, reading = self.settings, self.reading
        warn = self.counts.warnings.append
        # Filters may remember what they saw long ago, so they see all of it again.
        since = () if reading.graph else start.since
        frames = chain.stage("decode", decode(reading.info, tolerant=s.media.tolerant, on_warning=warn, since=since))
        if not reading.graph:
            return frames
        behind = filtered(frames, reading.graph, reading.info, reading.behind, reading.moments)
        frames = chain.stage("filters", behind)
        return chain.own(_from(frames, start.since[0].index)) if start.since else frames

    def _decided(self, picture: int, track: int | None, reason: str, value: float | None = None) -> None:
        if self.decisions is not None:
            self.decisions.add(self._frame_of(picture), track, reason, value)

    def _frame_of(self, picture: int) -> int:
        return picture // 2 if self.reading.first_field else picture

    @property
    def _pixels_seen_as_one(self) -> float:
        """Frame pixels for one of the copy that the detector looks at."""
        reading = self.reading
        long_side = max(reading.info.width * max(reading.pixel_aspect, 1), reading.info.height)
        return max(1.0, long_side / self.settings.detect.long_side)

    @property
    def _per_picture(self) -> Settings:
        return self.reading.per_picture(self.settings)

    def _chain(self, owned: ExitStack) -> Chain:
        return Chain(owned, self.watch, self.settings.media.prefetch)

    def counted(self, segment: Segment) -> Generator[FrameFaces[TrackedFace]]:
        """Its frames and what it looks at; its own are counted."""
        for item in segment:
            if segment.holds(frame := film_frame(item.frame)):
                self.counts.saw(item, frame, self.choice)
            yield item


@dataclass(frozen=True, slots=True)
class _OwnDecisions:
    """Passes on what is decided about the frames of a segment, and nothing about those that it only sees."""

    film: Film
    segment: Segment

    def left(self, frame: int, track: int) -> None:
        """A face that is not chosen."""
        if self.segment.holds(frame) and self.film.decisions is not None:
            self.film.decisions.add(frame, track, "not chosen")

    def decided(self, picture: int, track: int | None, reason: str, value: float) -> None:
        if self.segment.holds(self.film._frame_of(picture)):
            self.film._decided(picture, track, reason, value)


def _from(frames: Iterator[Frame], first: int) -> Generator[Frame]:
    """Without the frames before one of that index."""
    with closing_upstream(frames):
        yield from dropwhile(lambda frame: frame.index < first, frames)
