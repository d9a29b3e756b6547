"""Sheets of faces to look at: degraded, restored and original side by side, at fixed places."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from gpen_video.errors import InputError
from gpen_video.restore import Restorer
from gpen_video.train.data import Crops, FaceSource
from gpen_video.train.evaluate import DEGRADATIONS, Degradation, as_restorer, degraded_pair, spread
from gpen_video.whole_file import whole_file

Image = NDArray[np.float32]
Sheet = NDArray[np.uint8]
"""(H, W, 3) R'G'B'."""

THEMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "teeth": ("cs-judy-chu.jpg", "cs-stephanie-murphy.jpg", "faker-male-86.jpg", "t2i-01092.jpg"),
        "glasses": ("cs-gerald-connolly.jpg", "cs-james-clyburn.jpg", "sfhq-02042.jpg", "t2i-00634.jpg"),
        "beard": ("cs-david-greenfield.jpg", "cs-danny-davis.jpg", "sfhq-02075.jpg", "t2i-00833.jpg"),
        "dark skin": ("cs-terri-sewell.jpg", "faker-male-18.jpg", "faker-male-76.jpg", "t2i-00543.jpg"),
        "old": ("faker-female-12.jpg", "sfhq-01768.jpg", "t2i-00359.jpg", "t2i-01388.jpg"),
        "young": ("sfhq-01826.jpg", "sfhq-01961.jpg", "t2i-00087.jpg", "t2i-00519.jpg"),
        "turned": ("faker-female-65.jpg", "sfhq-01990.jpg", "t2i-00390.jpg", "t2i-00410.jpg"),
        "black and white": ("cs-betty-mccollum.jpg", "faker-female-89.jpg", "t2i-00493.jpg", "t2i-01236.jpg"),
    }
)
"""Held-out portraits of the shared index by what is hard about them, chosen by eye."""

_LABEL_HEIGHT = 24


def comparison_sheet(
    restorer: Restorer | nn.Module,
    source: FaceSource,
    *,
    degradations: Mapping[str, Degradation] = DEGRADATIONS,
    seed: int = 7,
    columns: int = 4,
) -> Sheet:
    """A row for each degradation: (degraded, restored, original) of faces spread evenly over `source`.

    The degradations are those of `evaluate_restorer` with the same seed.
    """
    indices = spread(columns, len(source))
    rows = [(name, indices, degrade) for name, degrade in degradations.items()]
    return _draw(as_restorer(restorer), source, rows, seed)


def themed_sheet(
    restorer: Restorer | nn.Module,
    crops: Crops,
    *,
    themes: Mapping[str, Sequence[str]] = THEMES,
    degradation: str = "usual",
    seed: int = 7,
) -> Sheet:
    """A row for each theme: (degraded, restored, original) of the portraits whose file names it lists.

    The theme "black and white" gets the archival degradation in black and white.

    Raises:
        InputError: the portraits hold none of these files.
    """
    places = {portrait.path.name: index for index, portrait in enumerate(crops.portraits)}
    rows = []
    for theme, files in themes.items():
        name = "archival, black and white" if theme == "black and white" else degradation
        indices = [places[file] for file in files if file in places]
        if indices:
            rows.append((f"{theme} ({name})", indices, DEGRADATIONS[name]))
    if not rows:
        raise InputError("none of the portraits that the themes list is in this folder; draw the plain sheet instead")
    return _draw(as_restorer(restorer), crops, rows, seed)


def _draw(
    restorer: Restorer, source: FaceSource, rows: Sequence[tuple[str, Sequence[int], Degradation]], seed: int
) -> Sheet:
    width = 3 * restorer.size * max(len(indices) for _, indices, _ in rows)
    bands = []
    for label, indices, degrade in rows:
        pairs = [degraded_pair(source, index, degrade, seed) for index in indices]
        restored = restorer.restore(np.stack([degraded for degraded, _ in pairs]))
        faces = [face for (low, true), made in zip(pairs, restored, strict=True) for face in (low, made, true)]
        band = np.rint(np.hstack(faces) * 255).clip(0, 255).astype(np.uint8)
        band = np.pad(band, ((0, 0), (0, width - band.shape[1]), (0, 0)))
        bands += [_label(f"{label}: degraded | restored | original", width), band]
    return np.vstack(bands)


def _label(text: str, width: int) -> Sheet:
    strip = np.zeros((_LABEL_HEIGHT, width, 3), np.uint8)
    cv2.putText(strip, text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return strip


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Save a sheet as PNG, whatever the file's name.

    Raises:
        OutputError: the file cannot be written.
    """
    _, png = cv2.imencode(".png", sheet[:, :, ::-1])
    with whole_file(path, overwrite=True) as file:
        file.write(png.tobytes())
