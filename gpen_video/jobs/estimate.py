"""How long a batch will take, and how much disk, from pieces of a few of its films.

Method. Every film is probed for its frames (header, else duration times rate) and its size. From some films, spread
over the batch and over all settings that occur in it, a piece is cut: a few seconds, from several places of the film,
copied without decoding. It is restored with the film's own settings by `restore_video`, into a temporary folder. What
it costs is split by the stages' own times into a part that goes with the pixels that pass (decode, shots, detect,
track, encode) and a part that goes with faces; both are scaled alike where stages run beside one another. A film costs

    frames x (pixels x cost of a pixel + cost of the faces in a frame) + what it costs before its first frame

with the costs of its own piece where it has one, else of all pieces that were restored as it is to be.

Error. How many faces there are where nothing was looked at is not known; that is nearly all of the error, and the
reason for a range instead of a number. docs/batch.md has what was measured. Not in it: sound and other streams that are
copied (add their bytes), cue sheets and chosen faces (all faces are restored in a piece, so that the estimate is high),
slow storage, workers that hold one GPU in common.
"""

import heapq
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, TypeVar

from gpen_video.config import Settings
from gpen_video.errors import DeviceError, GpenVideoError, WeightsError
from gpen_video.jobs.job import Batch, Job
from gpen_video.media import probe
from gpen_video.media.cut import cut
from gpen_video.media.sequence import is_pattern
from gpen_video.types import VideoInfo

if TYPE_CHECKING:
    from gpen_video.pipeline import KeptModels

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Is told what is looked at, the how manieth it is, and of how many."""

_PLACES: Final = (0.125, 0.375, 0.625, 0.875)
"""Parts of a film's length where a piece is taken from: whose faces are in one scene says little of the next."""
_LEAST_FRAMES: Final = 12
"""At each place: a track is believed after some detections only."""
_OF_FACES: Final = frozenset(
    ("choose", "crop", "direct", "gate", "restore", "steady", "guard", "grain", "mask", "record", "paste")
)
"""The stages whose time goes with faces; that of all others goes with pixels."""
_SURE: Final = 1.25
"""No range is narrower than the estimate divided and multiplied by this."""
_UNKNOWN: Final = 2.0
"""Nor is one of a film narrower than this where less than three pieces say how they scatter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What some seconds of a film cost."""

    job: Job
    frames: int
    faces: int
    pixels: int
    """Of a frame."""
    pixel_seconds: float
    """Of all its frames, what goes with pixels."""
    face_seconds: float
    start_seconds: float
    """Before its first frame and behind its last: a look at the film, a trial of its container, its assembly."""
    bytes: int
    """Result, matte and layer."""

    @property
    def seconds(self) -> float:
        """From its first frame to its last."""
        return self.pixel_seconds + self.face_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmEstimate:
    """What one film is thought to need."""

    job: Job
    frames: int | None = None
    """By its header; `None` where nothing says it."""
    seconds: float | None = None
    bytes: int | None = None
    """Result, matte and layer, without sound; while the film is at work, as much again lies in its work folder."""
    is_sampled: bool = False
    trouble: str | None = None
    """Why there is no estimate: what the film's own run would say, or that its length is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a batch is thought to need."""

    films: tuple[FilmEstimate, ...]
    """In the order of the batch."""
    pieces: tuple[Piece, ...]
    workers: int
    seconds: float
    """Of all films, one starting as soon as a worker is free; without those that have no estimate."""
    spread: float
    """The true time is thought to lie between `seconds` divided and multiplied by this."""
    film_spread: float
    """The same, for one film."""
    failed_pieces: tuple[str, ...] = ()
    """Films of which no piece could be restored, and why."""

    @property
    def bytes(self) -> int:
        """Disk that all results take, without sound."""
        return sum(film.bytes or 0 for film in self.films)


def estimate(
    batch: Batch,
    *,
    workers: int = 1,
    threads: int | None = None,
    pieces: int = 8,
    piece_seconds: float = 2.0,
    offline: bool = False,
    on_progress: Progress = lambda what, number, count: None,
) -> Estimate:
    """Say how long a batch will take; see the module for how.

    Takes about as long as `pieces` times starting a film and restoring `piece_seconds` of it, and a look at each film.

    Args:
        batch: The films.
        workers: How many are restored at a time.
        threads: Of the processor, for each worker; while pieces are restored this process uses as many. `None` leaves
            it as it is.
        pieces: At most so many are restored, from so many films.
        piece_seconds: The length of each, in all.
        offline: Use only weights that are here.
        on_progress: Is told how it goes.

    Raises:
        DeviceError: The device is not there.
        WeightsError: The weights cannot be used.
    """
    looks = [_Look.at(job) for job in _told("probe", batch.jobs, on_progress)]
    chosen = _chosen([look for look in looks if look.frames], pieces)
    measured: list[Piece] = []
    failed: list[str] = []
    from gpen_video.pipeline import KeptModels  # not at the top: it loads the networks' library

    with _threads(threads), KeptModels(offline=offline) as kept:
        for look in _told("sample", chosen, on_progress):
            try:
                measured.append(_piece(look, piece_seconds, kept))
            except (DeviceError, WeightsError):
                raise
            except GpenVideoError as error:
                failed.append(f"{look.job.source}: {error}")
    films = tuple(_film(look, measured) for look in looks)
    spread = _scatter(measured)
    return Estimate(
        films=films,
        pieces=tuple(measured),
        workers=workers,
        seconds=_makespan([film.seconds for film in films if film.seconds is not None], workers),
        spread=max(_SURE, spread ** (1 / math.sqrt(max(1, len(measured))))),
        film_spread=max(_SURE, spread),
        failed_pieces=tuple(failed),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """A film before its estimate."""

    job: Job
    info: VideoInfo | None = None
    trouble: str | None = None

    @classmethod
    def at(cls, job: Job) -> "_Look":
        try:
            return cls(job, probe(job.source, job.settings.settings.media.frame_rate))
        except GpenVideoError as error:
            return cls(job, trouble=str(error))

    @property
    def frames(self) -> int | None:
        return None if self.info is None else self.info.expected_frames

    @property
    def pixels(self) -> int:
        return self.info.width * self.info.height if self.info else 0

    @property
    def work(self) -> int:
        return self.pixels * (self.frames or 0)


def _chosen(looks: Sequence[_Look], count: int) -> list[_Look]:
    """Films to take pieces from: each way of working gets some, more where more is to be done."""
    groups: dict[object, list[_Look]] = {}
    for look in looks:
        groups.setdefault(_way(look.job), []).append(look)
    largest = sorted(groups.values(), key=lambda group: -sum(look.work for look in group))[:count]
    total = sum(look.work for group in largest for look in group)
    chosen: list[_Look] = []
    left = count
    for place, group in enumerate(largest):
        share = round(count * sum(look.work for look in group) / max(1, total))
        others = len(largest) - place - 1
        number = max(1, min(share, left - others, len(group)))
        left -= number
        chosen += [group[(2 * index + 1) * len(group) // (2 * number)] for index in range(number)]
    return chosen


def _way(job: Job) -> object:
    """What two films have in common that cost the same for the same pictures."""
    extras = job.extras
    return (
        job.settings.settings.model_dump_json(),
        extras.matte is not None,
        extras.layer is not None,
        extras.records,
    )


def _piece(look: _Look, seconds: float, kept: "KeptModels") -> Piece:
    """Cut a piece, restore it, and take down what it cost."""
    from gpen_video.pipeline import restore_video

    job, info = look.job, look.info
    assert info is not None
    frames = max(_LEAST_FRAMES, math.ceil(seconds * (info.average_frame_rate or 25) / len(_PLACES)))
    with tempfile.TemporaryDirectory(prefix="gpen-video-") as name:
        source, result = Path(name) / "source", Path(name) / "result"
        source.mkdir()
        result.mkdir()
        target = (result / "frames" if is_pattern(job.target) else result) / job.target.name

        def beside(path: Path | None, what: str) -> Path | None:
            return None if path is None else result / f"{what}{path.suffix}"

        extras = replace(
            job.extras,
            report=beside(job.extras.report, "report"),
            matte=beside(job.extras.matte, "matte"),
            layer=beside(job.extras.layer, "layer"),
            faces=None,
            cues=None,
        )
        settings = _for_a_piece(job.settings.settings)
        piece = cut(info, source, places=_PLACES, frames=frames)
        models = kept.models(settings)  # as a worker keeps them from film to film, their loading does not count
        begun = time.perf_counter()
        summary = restore_video(piece, target, settings, extras=extras, models=models)
        wall = time.perf_counter() - begun
        size = sum(file.stat().st_size for file in result.rglob("*") if file.is_file())
    by_faces = sum(spent for stage, spent in summary.stage_seconds.items() if stage in _OF_FACES)
    share = by_faces / max(sum(summary.stage_seconds.values()), 1e-9)
    return Piece(
        job=job,
        frames=summary.frames,
        faces=summary.faces,
        pixels=look.pixels,
        pixel_seconds=summary.seconds * (1 - share),
        face_seconds=summary.seconds * share,
        start_seconds=wall - summary.seconds,
        bytes=size,
    )


def _for_a_piece(settings: Settings) -> Settings:
    """A piece may end in mid-group, and what its container cannot hold does not matter."""
    return settings.model_copy(
        update={
            "media": settings.media.model_copy(update={"tolerant": True}),
            "encode": settings.encode.model_copy(update={"strict": False}),
        }
    )


def _film(look: _Look, pieces: Sequence[Piece]) -> FilmEstimate:
    if look.info is None:
        return FilmEstimate(job=look.job, trouble=look.trouble)
    if look.frames is None:
        return FilmEstimate(job=look.job, trouble="its header does not say how long it is")
    known = _related(look.job, pieces)
    if not known:
        return FilmEstimate(job=look.job, frames=look.frames, trouble="no piece of any film could be restored")
    start = median(piece.start_seconds for piece in known)
    passed = sum(piece.frames * piece.pixels for piece in known)
    return FilmEstimate(
        job=look.job,
        frames=look.frames,
        seconds=start + look.frames * _seconds_a_frame(look.pixels, known),
        bytes=round(look.work * sum(piece.bytes for piece in known) / passed),
        is_sampled=any(piece.job is look.job for piece in pieces),
    )


def _related(job: Job, pieces: Sequence[Piece]) -> list[Piece]:
    """Of the film itself, else of films that are restored in the same way, else all."""
    own = [piece for piece in pieces if piece.job is job]
    return own or [piece for piece in pieces if _way(piece.job) == _way(job)] or list(pieces)


def _seconds_a_frame(pixels: int, pieces: Sequence[Piece]) -> float:
    passed = sum(piece.frames * piece.pixels for piece in pieces)
    by_pixels = sum(piece.pixel_seconds for piece in pieces) / passed
    return pixels * by_pixels + sum(piece.face_seconds for piece in pieces) / sum(piece.frames for piece in pieces)


def _scatter(pieces: Sequence[Piece]) -> float:
    """The factor within which 19 of 20 pieces cost what the others say, taking its logarithm for normal."""
    errors: list[float] = []
    for piece in pieces:
        others = _related(piece.job, [other for other in pieces if other is not piece])
        if others:
            told = piece.frames * _seconds_a_frame(piece.pixels, others)
            errors.append(math.log(max(piece.seconds, 1e-6) / max(told, 1e-6)))
    if len(errors) < 3:
        return _UNKNOWN
    return math.exp(2 * math.sqrt(sum(error**2 for error in errors) / len(errors)))


def _makespan(seconds: Iterable[float], workers: int) -> float:
    """Of tasks that are begun in order, each as soon as a worker is free."""
    free = [0.0] * max(1, workers)
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def _told(what: str, items: Sequence[T], on_progress: Progress) -> Iterator[T]:
    for number, item in enumerate(items, 1):
        on_progress(what, number, len(items))
        yield item


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    import cv2
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        if count is not None:
            torch.set_num_threads(count)
            cv2.setNumThreads(count)
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
