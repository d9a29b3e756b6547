"""A segment as work for any machine: what the tracking pass knows of it, without its pictures."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from gpen_video.config import Settings
from gpen_video.faces import LayerWish
from gpen_video.media import Mark, Place, decode, split_fields
from gpen_video.media.decode import decode_side_data
from gpen_video.media.side_data import TimedMessages
from gpen_video.pipeline.choose import Choice
from gpen_video.pipeline.decisions import DecisionLog, DecisionRun, joined_runs
from gpen_video.pipeline.film import Film
from gpen_video.pipeline.film_log import Trace
from gpen_video.pipeline.models import Models
from gpen_video.pipeline.notes import SegmentNotes
from gpen_video.pipeline.reading import Reading
from gpen_video.pipeline.record import Recorder
from gpen_video.pipeline.segment_files import Finished, seal_segment, segment_name, told
from gpen_video.pipeline.segment_writer import VIDEO, PictureFile, written_segment
from gpen_video.pipeline.segments import Segment, Tracked
from gpen_video.restore import computing_threads
from gpen_video.types import Frame, FrameFaces, Timestamp, TrackedFace


@dataclass(frozen=True, slots=True, eq=False)
class FilmOrder:
    """What is to be done to a film; the same for all its segments, and small enough to be sent anywhere."""

    folder: Path
    """The work folder, which every worker reaches under this name."""
    reading: Reading
    settings: Settings
    files: Mapping[str, PictureFile]
    layers: LayerWish
    choice: Choice | None
    records: bool
    """Whether a treatment record is wanted."""
    offline: bool
    threads: int
    """Of the networks on a CPU: the same everywhere, see `restore.computing_threads`."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentWork:
    """A segment, and what the tracking pass knows of its frames and those that it looks at.

    It has a few hundred bytes a face and frame.
    """

    number: int
    first: int
    end: int
    ends_at_cut: bool
    places: tuple[Place, ...]
    """Of the first frames that are decoded."""
    marks: Mapping[int, Mark]
    """Of all frames that are decoded, in their order."""
    faces: Mapping[int, tuple[TrackedFace, ...]]
    """By index of the picture, which is a field's where the film is restored by fields."""
    trace: Trace
    """Of the segment."""
    first_frames: Mapping[int, int]
    """Tracks that begin in it."""
    decisions: tuple[DecisionRun, ...]
    """Of the tracking pass, about its frames."""

    def segment(self, tracked: Generator[Tracked]) -> Segment:
        """The same, to be restored."""
        segment = Segment(self.number, self.first, tracked)
        segment.end, segment.ends_at_cut = self.end, self.ends_at_cut
        return segment


class SegmentExecutor(Protocol):
    """Has segments restored elsewhere."""

    def takes(self, order: FilmOrder) -> bool:
        """Whether those of this film can be; asked once a film."""

    def submit(self, order: FilmOrder, work: SegmentWork) -> None:
        """Have a segment restored; waits while as many as may be are under way."""

    def finished(self, order: FilmOrder, *, wait: bool = False) -> Iterable[Finished]:
        """Those of a film that are done and were not given before, in any order; with `wait`, all that are left.

        Raises:
            GpenVideoError: What a worker met that no other worker would do better; or there are no workers any more.
        """


def restore_segment(order: FilmOrder, work: SegmentWork, models: Models, attempt: str = "") -> Finished:
    """Restore a segment, as any worker does; when this returns its files are in the order's folder, and on disk.

    Args:
        order: For the film.
        work: The segment.
        models: Of the order's settings.
        attempt: Part of the files' names until `adopt_segment` takes it off, so that a worker that was given up, and
            goes on all the same, touches no file of another.

    Raises:
        GpenVideoError: See `gpen_video.errors`.
    """
    with ExitStack() as owned:
        owned.enter_context(computing_threads(order.threads))
        decisions = DecisionLog() if order.records else None
        film = Film(order.reading, order.settings, models, owned, None, decisions, order.layers, order.choice)
        segment = work.segment(owned.enter_context(closing(_tracked(order, work))))
        messages = messages_from(order, work.places[0], owned)
        faces, recorder = write_pictures(film, segment, order, messages, attempt=attempt)
    treatment = None
    if recorder is not None and decisions is not None:
        treatment = recorder.treatment(joined_runs((*work.decisions, *decisions.taken(work.end))))
    notes = SegmentNotes(work.trace, faces, work.first_frames, treatment)
    return seal_segment(segment, notes, order.folder, order.files, attempt)


def adopt_segment(order: FilmOrder, finished: Finished, attempt: str) -> None:
    """Give the files of a finished segment their own names; done where the journal is kept.

    Raises:
        OutputError: They are not there, or cannot be renamed.
    """
    with told(order.folder):
        for kind in finished.files:
            made = order.folder / segment_name(finished.number, kind, attempt)
            made.replace(order.folder / segment_name(finished.number, kind))


def write_pictures(
    film: Film,
    segment: Segment,
    order: FilmOrder,
    messages: TimedMessages | None,
    on_frame: Callable[[], None] = lambda: None,
    attempt: str = "",
) -> tuple[int, Recorder | None]:
    """Restore a segment and encode it into its files.

    Args:
        film: With the stages.
        segment: With its tracked frames.
        order: For the film.
        messages: Captions, from the segment's first frame or before.
        on_frame: Is called after each frame.
        attempt: Part of the files' names.

    Returns:
        How many faces were restored, counted in each frame, and what was noted of them.

    Raises:
        GpenVideoError: See `gpen_video.errors`; no file is left.
    """
    recorder = Recorder(segment.holds) if order.records else None
    before = film.counts.faces

    def path_of(kind: str) -> Path:
        return order.folder / segment_name(segment.number, kind, attempt)

    with ExitStack() as owned, written_segment(order.files, path_of, messages) as take:
        for item in film.restored(segment, owned, recorder):
            if not segment.holds(item.frame.index):
                continue
            handed = time.perf_counter()
            take(item)
            film.watch.add("encode", time.perf_counter() - handed)
            film.counts.frames += 1
            on_frame()
    return film.counts.faces - before, recorder


def messages_from(order: FilmOrder, place: Place | None, owned: ExitStack) -> TimedMessages | None:
    """Captions of the pictures from a place on, where the result's encoder carries them; the film is decoded again."""
    file = order.files[VIDEO]
    if not file.encoder.carries_messages:
        return None
    since = None if place is None else Timestamp(place.pts, file.like.time_base)
    return TimedMessages(owned.enter_context(closing(decode_side_data(file.like, since))))


def _tracked(order: FilmOrder, work: SegmentWork) -> Generator[Tracked]:
    """The frames, decoded from where they are, with the marks and faces of the tracking pass."""
    first_field = order.reading.first_field
    with closing(decode(order.reading.info, since=work.places)) as frames:
        marked = (_marked(frame, work.marks[frame.index]) for frame in islice(frames, len(work.marks)))
        pictures = split_fields(marked, first_field) if first_field else marked
        for picture in pictures:
            yield FrameFaces(picture, work.faces.get(picture.index, ()))


def _marked(frame: Frame, mark: Mark) -> Frame:
    return replace(frame, starts_shot=mark.starts_shot, damaged=mark.damaged)
