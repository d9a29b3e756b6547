"""What a frame and a face cost on a CPU core, and how many bytes a frame takes: measured on real film, scaled.

Processor seconds, not wall time: they hold on a machine that does other things as well. Everything computes in one
thread but for codecs, whose threads are all counted.
"""

import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import torch

from gpen_video import Settings
from gpen_video.config.schema import EncodeSettings
from gpen_video.faces import Aligner, gate_faces, guard_faces, mask_faces, match_grain, paste_faces, track_faces
from gpen_video.media import decode, encode, ffmpeg_binary, mark_shots, probe
from gpen_video.pipeline import crop_faces, detect_faces, load_models
from gpen_video.restore import restore_faces, steady_faces

T = TypeVar("T")

CODECS = {
    "FFV1": EncodeSettings(codec="ffv1", crf=None, preset=None),
    "ProRes HQ": EncodeSettings(codec="prores_ks", crf=None, preset=None),
    "libx264 slow": EncodeSettings(codec="libx264", crf=16.0, preset="slow"),
}
"""The result's codec; FFV1 is the source's as well."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A clip scaled to the size of a collection's film; grain is made anew, since scaling takes it away."""

    width: int
    height: int
    frames: int
    filters: str


FOOTAGE = {
    "SD": Footage(720, 576, 40, "crop=480:360,scale=720:576:flags=lanczos,noise=alls=6:allf=t"),
    "2K": Footage(2048, 1536, 12, "crop=480:360,scale=2048:1536:flags=lanczos,noise=alls=8:allf=t"),
    "4K": Footage(4096, 3072, 6, "crop=480:360,scale=4096:3072:flags=lanczos,noise=alls=8:allf=t"),
}


def measured(clip: Path, footage: Footage) -> dict[str, float]:
    """Costs of one size of film: seconds a frame or a face, bytes a frame."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mkv"
        graph = footage.filters + ",format=yuv422p10le"
        command = [ffmpeg_binary(), "-v", "error", "-ss", "3.36", "-i", str(clip), "-frames:v", str(footage.frames)]
        command += ["-vf", graph, "-c:v", "ffv1", "-level", "3", "-g", "1", "-slices", "24", "-slicecrc", "1"]
        subprocess.run([*command, str(source)], check=True)
        result = _codec_costs(source, footage.frames, Path(folder))
        return result | _stage_costs(source, footage.frames)


def fsyncs(folder: Path, count: int = 200) -> float:
    """Journal lines a second that a disk keeps, each on its own."""
    with tempfile.NamedTemporaryFile(dir=folder) as journal:
        started = time.perf_counter()
        for _ in range(count):
            journal.write(b"x" * 300 + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        return count / (time.perf_counter() - started)


def _codec_costs(source: Path, frames: int, folder: Path) -> dict[str, float]:
    info = probe(source)
    seconds, pictures = _spent(lambda: list(decode(info)))
    result = {"decode": seconds / frames}
    for name, settings in CODECS.items():
        target = folder / name
        seconds, _ = _spent(partial(encode, pictures, target, like=info, settings=settings))
        result |= {f"encode {name}": seconds / frames, f"bytes {name}": target.stat().st_size / frames}
    return result


def _spent(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of all the process's threads."""
    before = time.process_time()
    made = work()
    return time.process_time() - before, made


def _stage_costs(source: Path, frames: int) -> dict[str, float]:
    """What each stage works in its own thread; the networks, which a GPU takes over, are counted apart."""
    s, models, spent = Settings(), load_models(Settings.model_validate({"restore": {"device": "cpu"}})), _Spent()
    counted = [0, 0]

    def seen(items: Iterable[T]) -> Generator[T]:
        for item in items:
            counted[0] += len(item.faces)  # type: ignore[attr-defined]
            counted[1] += sum(crop.strength > 0 for crop in item.faces)  # type: ignore[attr-defined]
            yield item

    spent.wrap(models.detector, "detect", "detector")
    spent.wrap(models.restorer, "restore_steadied", "restorer")
    shots = spent.timed("shots", mark_shots(list(decode(probe(source))), s.shots))
    found = spent.timed(
        "detect",
        detect_faces(shots, models.detector, long_side=s.detect.long_side, min_face=s.detect.min_face, batch=1),
    )
    tracked = spent.timed("track", track_faces(found, s.track, s.detect.score, s.blend.fade + 1))
    cropped = spent.timed("crop", crop_faces(tracked, Aligner(models.restorer.size, models.template)))
    gated = spent.timed("gate", gate_faces(cropped, s.gate.model_copy(update={"enabled": False})))
    restored = spent.timed(
        "restore", restore_faces(seen(gated), models.restorer, max_wait=32, steady_latent=s.restore.steady_latent)
    )
    steadied = spent.timed("steady", steady_faces(restored, strength=s.restore.steady_detail))
    guarded = spent.timed("guard", guard_faces(steadied, s.guard))
    matched = spent.timed("grain", match_grain(guarded))
    masked = spent.timed("mask", mask_faces(matched, s.blend))
    for _ in spent.timed("paste", paste_faces(masked, s.blend)):
        pass
    own, faces = spent.own(), max(1, counted[1])
    return {
        "shots and tracking": (own["shots"] + own["detect"] - spent.nets["detector"] + own["track"]) / frames,
        "detector on a core": spent.nets["detector"] / frames,
        "restorer on a core": spent.nets["restorer"] / faces,
        "per face": sum(own[name] for name in ("crop", "gate", "steady", "guard", "grain", "mask", "paste")) / faces,
        "faces a frame": counted[0] / frames,
    }


class _Spent:
    """Processor seconds of stages that run inside each other, in one thread."""

    def __init__(self) -> None:
        self._with_upstream: dict[str, float] = {}
        self.nets: defaultdict[str, float] = defaultdict(float)

    def timed(self, name: str, stream: Iterable[T]) -> Generator[T]:
        """The same items."""
        self._with_upstream[name] = 0.0
        return self._timed(name, iter(stream))

    def _timed(self, name: str, stream: Iterable[T]) -> Generator[T]:
        items = iter(stream)
        while True:
            before = time.thread_time()
            item = next(items, None)
            self._with_upstream[name] += time.thread_time() - before
            if item is None:
                return
            yield item

    def wrap(self, owner: object, method: str, name: str) -> None:
        """Count what a method takes."""
        inner = getattr(owner, method)

        def counted(*arguments: object) -> object:
            before = time.thread_time()
            try:
                return inner(*arguments)
            finally:
                self.nets[name] += time.thread_time() - before

        setattr(owner, method, counted)

    def own(self) -> dict[str, float]:
        """Seconds of each stage without those before it."""
        result, before = {}, 0.0
        for name, seconds in self._with_upstream.items():
            result[name] = seconds - before
            before = seconds
        return result
