"""Proof: a result against its source and its treatment record."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from gpen_video.media import decode, probe
from gpen_video.media.lossless import is_lossless
from gpen_video.media.packets import read_contents
from gpen_video.pipeline.observe import NoObserver, Observer, Progress
from gpen_video.pipeline.verification import Finding, Verification, judged
from gpen_video.pipeline.verify_frames import FrameCheck, in_step
from gpen_video.pipeline.verify_streams import stream_findings, tag_findings
from gpen_video.report import FilmFile, TreatmentRecord, film_file
from gpen_video.types import VideoInfo


def verify(
    source: Path,
    result: Path,
    record: TreatmentRecord,
    *,
    hashes: bool = True,
    observer: Observer | None = None,
) -> Verification:
    """Compare a result with its source, frame by frame and packet by packet.

    Both films are decoded in step, so that memory does not grow with their length, but for 20 bytes a packet of the
    other streams.

    Args:
        source: The film that was restored.
        result: What came of it.
        record: What was done.
        hashes: Whether to compare the files' SHA-256 with the record's, which reads both once more.
        observer: Is told of progress and warnings.

    Raises:
        ProbeError: One of the two is no film.
        DecodeError: One of the two is damaged; a damaged source is read as far as it was restored.
    """
    observer = observer or NoObserver()
    stated_rate = record.setting("media.frame_rate")
    rate = stated_rate if isinstance(stated_rate, str) else None
    before, after = probe(source, rate), probe(result, rate)
    check = FrameCheck(record, lossless=is_lossless(after.codec, record.encoder.options, after.format.bits))
    _compare_frames(check, before, after, tolerant=record.setting("media.tolerant") is True, observer=observer)
    contents = (
        read_contents(before.path, without=before.stream_index, frame_rate=before.average_frame_rate),
        read_contents(after.path, without=after.stream_index, frame_rate=after.average_frame_rate),
    )
    findings = [
        *(_hashes(source, result, record) if hashes else ()),
        *check.findings(),
        *tag_findings(before, after, contents, record),
        *stream_findings(before, after, contents, record),
    ]
    return Verification(source, result, check.result_frames, check.samples(), tuple(findings))


def _compare_frames(
    check: FrameCheck, before: VideoInfo, after: VideoInfo, *, tolerant: bool, observer: Observer
) -> None:
    started = time.perf_counter()
    with (
        closing(decode(before, tolerant=tolerant, on_warning=observer.warned)) as source,
        closing(decode(after, on_warning=observer.warned)) as result,
    ):
        for one, other in in_step(source, result, after.time_base):
            check.saw(one, other)
            observer.progressed(
                Progress(
                    frames=check.result_frames,
                    total_frames=check.expected_frames,
                    faces=check.faces,
                    seconds=time.perf_counter() - started,
                    stage_seconds={},
                )
            )


def _hashes(source: Path, result: Path, record: TreatmentRecord) -> Iterator[Finding]:
    def differs(path: Path, stated: FilmFile, told: Callable[[str], str]) -> list[str]:
        have = film_file(path, stated.frames).sha256
        return [] if have == stated.sha256 else [told(f"its SHA-256 is {have}, the record says {stated.sha256}")]

    yield from judged(
        "source file",
        differs(source, record.source, lambda why: f"{source} is not the film that was restored: {why}"),
        "it is the film that was restored, by its SHA-256",
    )
    yield from judged(
        "result file",
        differs(result, record.result, lambda why: f"{result} is not the file that was written: {why}"),
        "it is the file that was written, by its SHA-256",
    )
