"""Restoring a film segment by segment, each of which is safe on disk as soon as it is finished."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gpen_video.errors import EncodeError, JournalError
from gpen_video.media import Mark, Place, join
from gpen_video.media.side_data import TimedMessages
from gpen_video.pipeline.choose import film_frame
from gpen_video.pipeline.disk import DiskWatch
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.film_log import FilmLog, Trace
from gpen_video.pipeline.ledger import Ledger
from gpen_video.pipeline.notes import SegmentNotes
from gpen_video.pipeline.observe import Observer
from gpen_video.pipeline.record import Treatment
from gpen_video.pipeline.segment_files import Finished, seal_segment
from gpen_video.pipeline.segment_work import FilmOrder, SegmentExecutor, SegmentWork, messages_from, write_pictures
from gpen_video.pipeline.segment_writer import VIDEO
from gpen_video.pipeline.segments import Segment, SegmentRule, Splitter
from gpen_video.pipeline.start import PROOF, Start, start_behind


@dataclass(slots=True, eq=False)
class FilmWork:
    """A film, and the ledger of what is finished of it."""

    film: Film
    log: FilmLog
    """The film's."""
    order: FilmOrder
    ledger: Ledger
    observer: Observer
    executor: SegmentExecutor | None = None
    """Restores the segments; `None` if that is done here."""
    _places: deque[Place] = field(default_factory=deque)
    """Of the last frames, on which the next segment may be warmed up."""

    def restore(self) -> None:
        """Restore the segments that are not finished yet.

        Raises:
            GpenVideoError: See `gpen_video.errors`; what is finished stays.
        """
        film, progress = self.film, self.ledger.progress
        rule = SegmentRule.of(film.settings, film.reading)
        self._places = deque(maxlen=rule.lead)
        start = self._start()
        if progress.is_whole:
            film.tell(self.observer)
            return
        disk = DiskWatch(self.ledger, film.reading.info, self.order.files[VIDEO].encoder, self.observer.warned)
        messages = messages_from(self.order, start.since[0] if start.since else None, film.owned)
        executor = self.executor
        # Filters would have to see all that is before a segment, for each of them.
        if executor is not None and (film.reading.graph or not executor.takes(self.order)):
            executor = None
        tracked = film.track_ahead(film.tracked(start))
        for segment in Splitter(tracked, rule, first=start.first, number=start.number).segments():
            if segment.number in progress.finished:
                self._pass_over(segment)
            elif executor is None:
                self._restore(segment, messages)
            else:
                executor.submit(self.order, self._work(segment))
                self._finish(executor.finished(self.order))
            disk.look()
        if executor is not None:
            self._finish(executor.finished(self.order, wait=True))
        if not progress.segments:
            raise EncodeError(f"{film.reading.info.path}: there is no frame to encode")
        if film.choice is not None:
            film.counts.warnings += film.choice.warnings(film.counts.first_frames)
        film.tell(self.observer)
        self.ledger.finish_film()

    def join(self) -> dict[str, Path]:
        """Put the segments' files together, where that is not done yet; the files by kind."""
        for kind, file in self.order.files.items():
            if kind not in self.ledger.progress.joined:
                parts = [self.ledger.file(finished.number, kind) for finished in self.ledger.progress.segments]
                join(parts, self.ledger.joined_file(kind), hdr=file.encoder.hdr)
                self.ledger.finish_joining(kind)
        return {kind: self.ledger.joined_file(kind) for kind in self.order.files}

    def treatment(self) -> Treatment:
        """What was done to the film, by all its segments' notes."""
        notes = (self.ledger.notes_of(finished.number) for finished in self.ledger.progress.segments)
        return Treatment.of(one.treatment for one in notes if one.treatment is not None)

    def _start(self) -> Start:
        """Behind what is finished without a gap; all of that is counted."""
        finished = self.ledger.progress.segments
        if not finished:
            return Start()
        notes = [self.ledger.notes_of(one.number) for one in finished]
        for one in notes:
            self.film.counts.add(one)
            self._places.extend(one.trace.places())
        return start_behind(
            notes,
            ends_at_cut=finished[-1].ends_at_cut,
            settings=self.film.settings.shots,
            pictures_per_frame=2 if self.film.reading.first_field else 1,
        )

    def _restore(self, segment: Segment, messages: TimedMessages | None) -> None:
        """Here and now."""
        film = self.film
        faces, recorder = write_pictures(film, segment, self.order, messages, lambda: film.tell(self.observer))
        trace = self._taken(segment)
        decisions = film.decisions.taken(trace.end) if film.decisions is not None else ()
        treatment = None if recorder is None else recorder.treatment(decisions)
        notes = SegmentNotes(trace, faces, self._begun(segment), treatment)
        self.ledger.finish(seal_segment(segment, notes, self.order.folder, self.order.files))

    def _work(self, segment: Segment) -> SegmentWork:
        """For another machine: the segment without its pictures."""
        faces, marks = {}, dict[int, Mark]()
        for item in self.film.counted(segment):
            frame = item.frame
            marks.setdefault(film_frame(frame), Mark(frame.starts_shot, frame.damaged))
            if item.faces:
                faces[frame.index] = item.faces
        before = tuple(self._places)
        trace = self._taken(segment)
        assert segment.end is not None
        return SegmentWork(
            number=segment.number,
            first=segment.first,
            end=segment.end,
            ends_at_cut=segment.ends_at_cut,
            places=tuple(place for place in (*before, *trace.places()) if place.index in marks)[:PROOF],
            marks=marks,
            faces=faces,
            trace=trace,
            first_frames=self._begun(segment),
            decisions=self.film.decisions.taken(segment.end) if self.film.decisions is not None else (),
        )

    def _finish(self, segments: Iterable[Finished]) -> None:
        for finished in segments:
            self.ledger.finish(finished)
            self.film.counts.frames += finished.end - finished.first
            self.film.tell(self.observer)

    def _pass_over(self, segment: Segment) -> None:
        """Only count a segment that is finished.

        Raises:
            JournalError: It is not the one that the tracking pass gives now; the next run makes it anew.
        """
        for _ in segment:
            pass
        finished = self.ledger.progress.finished[segment.number]
        if (finished.first, finished.end) != (segment.first, segment.end):
            self.ledger.drop([segment.number])
            raise JournalError(
                f"{self.ledger.folder}: segment {segment.number} of an earlier run has other frames than now; run the "
                "same command again to have it made anew"
            )
        self.film.counts.add(self.ledger.notes_of(segment.number))
        if self.film.decisions is not None:
            self.film.decisions.taken(finished.end)
        self._taken(segment)

    def _taken(self, segment: Segment) -> Trace:
        assert segment.end is not None
        trace = self.log.taken(segment.first, segment.end)
        self._places.extend(trace.places())
        return trace

    def _begun(self, segment: Segment) -> dict[int, int]:
        return {track: frame for track, frame in self.film.counts.first_frames.items() if segment.holds(frame)}
