"""What a training leaves behind to look at: figures, sample sheets, TensorBoard's events."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gpen_video.train.training import Report

FIGURES = "figures.jsonl"


class TrainingLog:
    """Writes ``figures.jsonl`` (a line a report), ``sheets/*.jpg``, and TensorBoard's events where it is installed.

    Args:
        folder: of the training.
        seen: images seen so far; what a broken-off run logged beyond them is dropped.
    """

    def __init__(self, folder: Path, seen: int) -> None:
        self._sheets = folder / "sheets"
        self._sheets.mkdir(parents=True, exist_ok=True)
        path = folder / FIGURES
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("".join(line + "\n" for line in lines if _seen(line) <= seen))
        self._lines = path.open("a", buffering=1)
        self._board = _tensorboard(folder, seen)

    def write(self, report: Report) -> None:
        """Log the means of a report."""
        rate = round(report.images_per_second, 3)
        self._lines.write(json.dumps({"seen": report.seen, "images_per_second": rate, **report.figures}) + "\n")
        if self._board is not None:
            for name, value in {**report.figures, "images_per_second": rate}.items():
                self._board.add_scalar(name, value, report.seen)

    def draw(self, faces: Tensor, seen: int) -> None:
        """Save a sheet of faces, (N, 3, S, S) in [-1, 1], eight in a row."""
        sheet = tile(faces)
        cv2.imwrite(str(self._sheets / f"{seen:09d}.jpg"), sheet[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        if self._board is not None:
            self._board.add_image("sheet", sheet, seen, dataformats="HWC")

    def close(self) -> None:
        """Flush everything."""
        self._lines.close()
        if self._board is not None:
            self._board.close()


def _seen(line: str) -> float:
    try:
        return float(json.loads(line)["seen"])
    except json.JSONDecodeError:  # a run was killed while writing it
        return float("inf")


def tile(faces: Tensor, columns: int = 8) -> NDArray[np.uint8]:
    """(N, 3, S, S) in [-1, 1] -> (rows S, columns S, 3) R'G'B'; N is a multiple of `columns`."""
    levels = ((faces.float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()
    count, channels, side, _ = levels.shape
    grid = levels.reshape(count // columns, columns, channels, side, side).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(grid.reshape(count // columns * side, columns * side, channels))


def _tensorboard(folder: Path, seen: int) -> Any:  # noqa: ANN401 - untyped library, may be absent
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # an extra: figures.jsonl holds the same
        return None
    return SummaryWriter(str(folder), purge_step=seen)
