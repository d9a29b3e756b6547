"""The shipped detector beside its teacher and OpenCV's YuNet.

    python benchmarks/detector.py [--faces DIR] [--clips DIR] [--teacher FILE] [--yunet FILE] [--draw DIR]

Prints what `gpen-video train evaluate` measures of one detector for all three. With --draw, writes sheets of twelve
frames of each clip with what was found instead: ours green, the teacher's red, YuNet's blue.
"""

import argparse
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gpen_video.faces import Detector, upright_rgb
from gpen_video.media import decode, probe
from gpen_video.train.composites import PortraitPyramid, load_portraits
from gpen_video.train.detector_evaluation import (
    Agreement,
    Recall,
    agreement_with_teacher,
    candidate_detector,
    evaluate_on_composites,
    recall_by_size,
)
from gpen_video.types import Detection

SHARED = Path(__file__).parents[2] / "shared"
COLOURS = {"ours": (0, 255, 0), "teacher": (0, 0, 255), "yunet": (255, 0, 0)}
LOWEST_SCORE = 0.02

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


def cells(recall: Recall) -> tuple[str, str]:
    """Share and number, landmark error."""
    share = "-" if recall.share is None else f"{recall.share:.1%} of {recall.wanted}"
    error = "-" if recall.landmark_median is None else f"{recall.landmark_median:.3f} / {recall.landmark_95:.3f}"
    return share, error


def size_table(
    detectors: Mapping[str, Detector], portraits: tuple[PortraitPyramid, ...], score: float, count: int
) -> Table:
    """One face a picture."""
    columns = [f"{name}, {kind}" for name in detectors for kind in ("clean", "landmarks", "degraded", "landmarks")]
    table = Table("face, px", *columns, title=f"recall at score {score}; landmark error (median / 95 %)")
    scores = [recall_by_size(detector, portraits, count=count, score=score) for detector in detectors.values()]
    for sizes in zip(*scores, strict=True):
        row = [cell for one in sizes for cell in (*cells(one.clean), *cells(one.degraded))]
        table.add_row(str(sizes[0].size), *row)
    return table


def composite_table(
    detectors: Mapping[str, Detector], portraits: tuple[PortraitPyramid, ...], score: float, count: int
) -> Table:
    """At one false find in a hundred pictures, and at the given score."""
    table = Table(
        "detector", "score", "recall", "landmarks", f"recall at {score}", "false finds", title=f"{count} composites"
    )
    for name, detector in detectors.items():
        one = evaluate_on_composites(detector, portraits, count=count, default_score=score)
        false = f"{one.default_false_finds_per_100:.1f} in 100"
        table.add_row(name, f"{one.score:.3f}", *cells(one.recall), cells(one.at_default)[0], false)
    return table


def clip_table(agreement: Agreement) -> Table:
    """What ours and the teacher make of real clips."""
    table = Table("clip", "frames", "of the teacher's", "landmarks", "ours alone", title="real clips")
    for clip in agreement.clips:
        table.add_row(clip.clip, str(clip.frames), *cells(clip.agreement), str(clip.alone))
    return table


def draw(detectors: Mapping[str, Detector], clip: Path, score: float, out: Path) -> None:
    """Write a sheet of twelve frames."""
    info = probe(clip)
    with closing(decode(info, tolerant=True)) as frames:
        pictures = [upright_rgb(frame, 960, info.rotation)[0] for frame in frames]
    tiles = [tile(detectors, pictures[index], score) for index in np.linspace(0, len(pictures) - 1, 12).astype(int)]
    out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / f"{clip.stem}.png"), np.vstack([np.hstack(tiles[row : row + 4]) for row in range(0, 12, 4)]))


def tile(detectors: Mapping[str, Detector], rgb: Image, score: float) -> Image:
    """One frame with all finds."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    for name, detector in reversed(detectors.items()):
        for face in detector.detect(rgb[None])[0]:
            if face.score < score:
                continue
            x0, y0, x1, y1 = (int(v) for v in face.box_xyxy.round())
            cv2.rectangle(bgr, (x0, y0), (x1, y1), COLOURS[name], 1)
            for x, y in face.landmarks_5xy:
                cv2.circle(bgr, (round(float(x)), round(float(y))), 1, COLOURS[name], -1)
    return bgr


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="retinaface-mobile0.25")
    parser.add_argument("--faces", type=Path, default=SHARED / "faces")
    parser.add_argument("--clips", type=Path, default=SHARED / "media/faces")
    parser.add_argument("--teacher", default=str(SHARED / "weights/retinaface_mobilenet0.25.pth"))
    parser.add_argument("--yunet", type=Path, default=SHARED / "weights/face_detection_yunet_2023mar.onnx")
    parser.add_argument("--score", type=float, default=0.6)
    parser.add_argument("--count", type=int, default=40, help="pictures of each size; eight times as many composites")
    parser.add_argument("--every", type=int, default=20, help="take every so many frames of a clip")
    parser.add_argument("--draw", type=Path, help="folder for sheets of frames; measures nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detectors: dict[str, Detector] = {
        "ours": candidate_detector(args.weights),
        "teacher": candidate_detector(args.teacher),
        "yunet": YuNetDetector(args.yunet, LOWEST_SCORE),
    }
    if args.draw:
        for clip in sorted(args.clips.iterdir()):
            draw(detectors, clip, args.score, args.draw)
        return
    portraits = load_portraits(args.faces, held_out=True)
    console = Console(width=180)
    console.print(size_table(detectors, portraits, args.score, args.count))
    console.print(composite_table(detectors, portraits, args.score, 8 * args.count))
    agreement = agreement_with_teacher(
        detectors["ours"], detectors["teacher"], args.clips, score=args.score, every=args.every
    )
    console.print(clip_table(agreement))


if __name__ == "__main__":
    main()
