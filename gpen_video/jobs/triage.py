"""What a film needs before it is begun: nothing, a restoration, or somebody's decision."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gpen_video.errors import InputError
from gpen_video.jobs.digest import job_digest, same_settings, weights_files
from gpen_video.jobs.outcome import Figures
from gpen_video.jobs.state import BatchState, BegunFilm, FinishedFilm
from gpen_video.media.fingerprint import fingerprint, result_fingerprint
from gpen_video.media.images_out import folder_of

if TYPE_CHECKING:
    from gpen_video.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be done with a film."""

    action: Literal["restore", "skip", "leave"]
    """``skip``: it is done; ``leave``: something is there that is not this batch's."""
    reason: str = ""
    film: FinishedFilm | None = None
    """What is known of the one that is skipped."""
    is_news: bool = False
    """The state does not know it yet."""


def look_at(job: "Job", state: BatchState, *, adopt: bool) -> Finding:
    """Decide about one film; with `adopt`, a result that its treatment record proves is as good as one of our own.

    Raises:
        InputError: the source, the cue sheet or a weights file cannot be read.
    """
    if _was_killed_at_its_end(job, state):
        return Finding("restore")
    if not is_there(job.target):
        taken = None if job.overwrite else next((path for path in job.side_files if path.exists()), None)
        if taken is not None:
            return Finding("leave", f"{taken} is there, and the result is not; --overwrite replaces it")
        return Finding("restore")
    known = state.film(job.target)
    reason = _not_ours(job, known)
    if not reason:
        return Finding("skip", film=known)
    adopted = _left_by_a_killed_run(job, state) or (_proved(job) if adopt else None)
    if adopted is not None:
        return Finding("skip", film=adopted, is_news=True)
    if job.overwrite:
        return Finding("restore")
    advice = "--overwrite restores it anew"
    if job.extras.report is not None and not adopt:
        advice += "; --adopt takes it over if its treatment record proves it"
    return Finding("leave", f"{reason}; {advice}")


def findings(jobs: Iterable["Job"], state: BatchState) -> list[tuple["Job", Finding]]:
    """What is to be done with each film, without doing any of it; one that cannot be read is left."""
    found: list[tuple[Job, Finding]] = []
    for job in jobs:
        try:
            found.append((job, look_at(job, state, adopt=False)))
        except InputError as error:
            found.append((job, Finding("leave", str(error))))
    return found


def is_there(target: Path) -> bool:
    """Whether a result, or anything else, has its name."""
    place = folder_of(target)
    return any(place.iterdir()) if place.is_dir() else os.path.lexists(place)


def _not_ours(job: "Job", known: FinishedFilm | None) -> str:
    """Why the result that is there is not the one this batch would make; empty where it is."""
    if known is None:
        return "the result was not made by this batch"
    if known.settings != job_digest(job):
        return "the result was made with other settings"
    if known.source != fingerprint(job.source):
        return "the result was made from another source, or the source was touched since"
    if known.result != result_fingerprint(job.target):
        return "the result was changed since it was made"
    missing = next((path for path in job.side_files if not path.exists()), None)
    return f"{missing}, which belongs to the result, is missing" if missing is not None else ""


def _begun(job: "Job", state: BatchState) -> BegunFilm | None:
    """What is known of it if it was begun, as it is now, and nothing is known of its end."""
    begun = state.begun(job.target)
    same = begun is not None and begun.settings == job_digest(job) and begun.source == fingerprint(job.source)
    return begun if same else None


def _was_killed_at_its_end(job: "Job", state: BatchState) -> bool:
    """Whether there is only to be gone on with giving names to what is finished, and clearing up."""
    if _begun(job, state) is None:
        return False
    from gpen_video.pipeline.published import Outputs  # not at the top: it loads the networks' library

    return Outputs.of(job.source, job.target, job.extras).are_half_published


def _left_by_a_killed_run(job: "Job", state: BatchState) -> FinishedFilm | None:
    """A result that appeared after this batch had begun it, when there was no time to note that it is done."""
    begun = _begun(job, state)
    if begun is None:
        return None
    result = result_fingerprint(job.target)
    if result == begun.replaces or not all(path.exists() for path in job.side_files):
        return None
    return FinishedFilm(
        target=job.target, source=begun.source, result=result, settings=begun.settings, figures=_figures(job)
    )


def _figures(job: "Job") -> Figures | None:
    """Those in the treatment record."""
    from gpen_video.report import read_record

    if job.extras.report is None:
        return None
    try:
        record = read_record(job.extras.report)
    except InputError:
        return None
    return Figures(
        frames=record.result.frames,
        faces=sum(len(track.faces) for track in record.tracks),
        tracks=len(record.tracks),
        shots=len(record.shots),
        seconds=None,
    )


def _proved(job: "Job") -> FinishedFilm | None:
    """A result whose treatment record says that it was made from this source with these settings, and is unchanged.

    Reads source and result whole. A choice of faces cannot be proved: the record does not name it.
    """
    from gpen_video.report import film_file, read_record

    extras = job.extras
    if extras.report is None or extras.faces is not None or extras.cues is not None:
        return None
    if not all(path.exists() for path in job.side_files):
        return None
    try:
        record = read_record(extras.report)
        if not same_settings(job.settings, {setting.name: setting.value for setting in record.settings}):
            return None
        if not set(weights_files(job).values()) <= {weights.sha256 for weights in record.weights}:
            return None
        for path, recorded in ((job.source, record.source), (job.target, record.result)):
            place = path if path.exists() else path.parent
            if film_file(place, recorded.frames).sha256 != recorded.sha256:
                return None
    except InputError:  # no record, or a damaged one, proves nothing
        return None
    return FinishedFilm(
        target=job.target,
        source=fingerprint(job.source),
        result=result_fingerprint(job.target),
        settings=job_digest(job),
        figures=_figures(job),
        warnings=tuple(record.warnings),
    )
