"""Measure the face detector: python benchmarks/detector.py [--faces DIR] [--clips DIR] [--teacher FILE] [--yunet FILE].

Prints recall, false finds and landmark error on composites of held-out portraits, and how far the detectors agree on
the frames of real clips. With --draw, writes sheets of frames with what was found: ours green, the teacher's red,
YuNet's blue.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gpen_video.faces.detect import Detector, RetinaFaceDetector
from gpen_video.train.composites import Portrait, degrade, load_portraits, make_composite, paste_one
from gpen_video.types import Detection
from gpen_video.weights.load import load_detector

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
WEIGHTS = ROOT / "gpen_video/weights/data/retinaface-mobile0.25.safetensors"
SIZES = (24, 32, 48, 64, 96, 128, 192)
LOWEST_SCORE = 0.02
COLOURS = {"ours": (0, 255, 0), "teacher": (0, 0, 255), "yunet": (255, 0, 0)}

Image = NDArray[np.uint8]


class YuNetDetector:
    """OpenCV's YuNet as one more `Detector`."""

    def __init__(self, path: Path, score: float) -> None:
        """Load the ONNX file."""
        self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), score, 0.4)

    def detect(self, rgb_nhwc: Image) -> list[tuple[Detection, ...]]:
        """See `Detector.detect`."""
        return [self._detect_one(np.ascontiguousarray(rgb[..., ::-1])) for rgb in rgb_nhwc]

    def _detect_one(self, bgr_hwc: Image) -> tuple[Detection, ...]:
        self._net.setInputSize((bgr_hwc.shape[1], bgr_hwc.shape[0]))
        rows = self._net.detect(bgr_hwc)[1]
        if rows is None:
            return ()
        found = [
            Detection(np.concatenate([r[:2], r[:2] + r[2:4]]), r[4:14].reshape(5, 2), float(r[14]))
            for r in rows.astype(np.float32)
        ]
        return tuple(sorted(found, key=lambda face: -face.score))


def iou(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box with (n, 4) others."""
    size = (np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])).clip(0)
    common = size.prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.asarray(common / (areas - common), np.float32)


def boxes_of(faces: Sequence[Detection]) -> NDArray[np.float32]:
    """(n, 4)."""
    return np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)


def landmark_error(found: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    """Mean distance of the five points, in eye distances."""
    return float(np.linalg.norm(found - true, axis=1).mean() / max(np.linalg.norm(true[1] - true[0]), 1e-6))


@dataclass
class Tally:
    """Counts of one detector on one kind of picture."""

    wanted: int = 0
    hits: int = 0
    errors: list[float] = field(default_factory=list)

    def recall(self) -> str:
        """In percent, and of how many."""
        return f"{100 * self.hits / self.wanted:.1f} % of {self.wanted}" if self.wanted else "-"

    def error(self) -> str:
        """Median and 95th percentile."""
        if not self.errors:
            return "-"
        return f"{np.median(self.errors):.3f} / {np.percentile(self.errors, 95):.3f}"


def best(faces: Sequence[Detection], box: NDArray[np.float32], least: float = 0.35) -> Detection | None:
    """The face that overlaps the box most, if enough."""
    if not faces:
        return None
    overlaps = iou(box, boxes_of(faces))
    index = int(overlaps.argmax())
    return faces[index] if overlaps[index] >= least else None


def recall_by_size(
    detectors: dict[str, Detector], portraits: Sequence[Portrait], score: float, count: int, degraded: bool
) -> Table:
    """One face a picture, of a given shorter side, on a random background."""
    kind = "degraded" if degraded else "clean"
    title = f"held-out faces, {kind}, score {score}: recall; landmark error in eye distances (median / 95 %)"
    table = Table(
        "face, px", *(f"{name}: {what}" for name in detectors for what in ("recall", "landmarks")), title=title
    )
    for size in SIZES:
        tallies = {name: Tally() for name in detectors}
        rng = np.random.default_rng((77, size, degraded))
        for _ in range(count):
            sample = paste_one(portraits, 384, float(size), rng)
            picture = degrade(sample.clean_bgr_hwc, rng) if degraded else sample.clean_bgr_hwc
            for name, detector in detectors.items():
                faces = [f for f in detector.detect(picture[None, :, :, ::-1])[0] if f.score >= score]
                for box, points in zip(sample.boxes_xyxy, sample.landmarks_n5xy, strict=True):
                    tallies[name].wanted += 1
                    if (face := best(faces, box)) is not None:
                        tallies[name].hits += 1
                        tallies[name].errors.append(landmark_error(face.landmarks_5xy, points))
        table.add_row(str(size), *(cell for t in tallies.values() for cell in (t.recall(), t.error())))
    return table


def false_finds(detectors: dict[str, Detector], portraits: Sequence[Portrait], count: int) -> Table:
    """Recall on all sure faces, and finds where no face was put, as the score varies."""
    scores = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    samples = [make_composite(portraits, 384, np.random.default_rng((78, index))) for index in range(count)]
    table = Table("score", *detectors, title=f"{count} composites: recall, false finds in 100 pictures")
    found = {
        name: [detector.detect(s.bgr_hwc[None, :, :, ::-1])[0] for s in samples] for name, detector in detectors.items()
    }
    for score in scores:
        cells = []
        for name in detectors:
            tally, false = Tally(), 0
            for sample, all_faces in zip(samples, found[name], strict=True):
                faces = [face for face in all_faces if face.score >= score]
                tally.wanted += len(sample.boxes_xyxy)
                tally.hits += sum(best(faces, box) is not None for box in sample.boxes_xyxy)
                there = np.concatenate([sample.boxes_xyxy, sample.doubtful_xyxy])
                false += sum(not len(there) or iou(face.box_xyxy, there).max() < 0.2 for face in faces)
            cells.append(f"{tally.recall()}, {100 * false / count:.1f}")
        table.add_row(str(score), *cells)
    return table


def frames(path: Path, step: int) -> Iterator[Image]:
    """Every `step`-th frame, RGB."""
    with av.open(str(path)) as container:
        for frame in islice(container.decode(video=0), 0, None, step):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def agreement(detectors: dict[str, Detector], clips: Sequence[Path], score: float, step: int) -> Table:
    """How many of the faces that the others are sure of ours finds, and what it alone finds."""
    table = Table(
        "clip", "frames", "the others' faces", "of these ours", "teacher's landmarks", "ours alone", title="real clips"
    )
    for clip in clips:
        tally, alone, count, agreed = Tally(), 0, 0, 0
        for picture in frames(clip, step):
            count += 1
            found = {name: detector.detect(picture[None])[0] for name, detector in detectors.items()}
            ours = [face for face in found["ours"] if face.score >= score]
            others = [face for name, faces in found.items() if name != "ours" for face in faces if face.score >= 0.3]
            sure = [face for face in found["teacher"] if face.score >= 0.8 and shorter_side(face) >= 22]
            for face in sure:
                tally.wanted += 1
                if (match := best(ours, face.box_xyxy)) is not None:
                    tally.hits += 1
                    tally.errors.append(landmark_error(match.landmarks_5xy, face.landmarks_5xy))
            alone += sum(best(others, face.box_xyxy, 0.2) is None for face in ours)
            agreed += len(sure)
        table.add_row(clip.name, str(count), str(agreed), tally.recall(), tally.error(), str(alone))
    return table


def shorter_side(face: Detection) -> float:
    """Of the box."""
    return float((face.box_xyxy[2:] - face.box_xyxy[:2]).min())


def draw(detectors: dict[str, Detector], clip: Path, score: float, out: Path) -> None:
    """Write a sheet of twelve frames."""
    pictures = list(frames(clip, 1))
    tiles = []
    for index in np.linspace(0, len(pictures) - 1, 12).astype(int):
        tile = np.ascontiguousarray(pictures[index][..., ::-1])
        for name, detector in reversed(detectors.items()):
            for face in detector.detect(pictures[index][None])[0]:
                if face.score < (score if name == "ours" else 0.6):
                    continue
                x0, y0, x1, y1 = (int(v) for v in face.box_xyxy.round())
                cv2.rectangle(tile, (x0, y0), (x1, y1), COLOURS[name], 1)
                if name == "ours":
                    cv2.putText(
                        tile, f"{face.score:.2f}", (x0, y0 - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 255), 1
                    )
                for x, y in face.landmarks_5xy:
                    cv2.circle(tile, (round(float(x)), round(float(y))), 1, COLOURS[name], -1)
        tiles.append(tile)
    rows = [np.hstack(tiles[row : row + 4]) for row in range(0, 12, 4)]
    out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / f"{clip.stem}.png"), np.vstack(rows))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--faces", type=Path, default=SHARED / "faces")
    parser.add_argument("--clips", type=Path, default=SHARED / "media/faces")
    parser.add_argument("--teacher", type=Path, default=SHARED / "weights/retinaface_mobilenet0.25.pth")
    parser.add_argument("--yunet", type=Path, default=SHARED / "weights/face_detection_yunet_2023mar.onnx")
    parser.add_argument("--score", type=float, default=0.6)
    parser.add_argument("--count", type=int, default=150, help="pictures a row")
    parser.add_argument("--step", type=int, default=5, help="take every so many frames of a clip")
    parser.add_argument("--draw", type=Path, help="folder for sheets of frames; measures nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    def retinaface(path: Path) -> Detector:
        return RetinaFaceDetector(
            load_detector(str(path)).net, device=torch.device("cpu"), score=LOWEST_SCORE, min_face=4
        )

    detectors: dict[str, Detector] = {
        "ours": retinaface(args.weights),
        "teacher": retinaface(args.teacher),
        "yunet": YuNetDetector(args.yunet, LOWEST_SCORE),
    }
    clips = sorted(path for path in args.clips.iterdir() if path.suffix in {".mp4", ".mkv", ".mpg"})
    if args.draw:
        for clip in clips:
            draw(detectors, clip, args.score, args.draw)
        return
    portraits = load_portraits(args.faces, held_out=True)
    tables: list[Callable[[], Table]] = [
        lambda: recall_by_size(detectors, portraits, args.score, args.count, degraded=False),
        lambda: recall_by_size(detectors, portraits, args.score, args.count, degraded=True),
        lambda: false_finds(detectors, portraits, 2 * args.count),
        lambda: agreement(detectors, clips, args.score, args.step),
    ]
    console = Console(width=180)
    for table in tables:
        console.print(table())


if __name__ == "__main__":
    main()
