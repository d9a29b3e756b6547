"""Put a frame of a film and of its restored version side by side, enlarged, as a PNG.

    python examples/before_after.py SOURCE RESULT TARGET.png [FRAME] [LEFT TOP WIDTH HEIGHT]

The picture of the README was made of the sample clip and its result, frame 60, region 84 0 144 144.
"""

import sys
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

SCALE = 3


def frame(film: Path, index: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    with av.open(str(film)) as container:
        return next(islice(container.decode(video=0), index, None)).to_ndarray(format="rgb24")


def main(source: Path, result: Path, target: Path, index: int = 0, *region: int) -> None:
    """Write the picture."""
    pair = []
    for film in (source, result):
        picture = frame(film, index)
        if region:
            left, top, width, height = region
            picture = picture[top : top + height, left : left + width]
        pair.append(cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC))
    gap = np.full((pair[0].shape[0], 6, 3), 255, np.uint8)
    cv2.imwrite(str(target), cv2.cvtColor(np.hstack([pair[0], gap, pair[1]]), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    source, result, target, *numbers = sys.argv[1:]
    main(Path(source), Path(result), Path(target), *(int(number) for number in numbers))
