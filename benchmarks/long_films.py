"""Long films for benchmarks: a clip now and then, and pictures without faces between."""

import subprocess
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np

from gpen_video.media.binary import ffmpeg_binary

SAMPLE = Path(__file__).parents[1] / "examples" / "sample.mp4"
_RATE = 24


def looped(clip: Path, seconds: float, target: Path) -> None:
    """Repeat a clip until it is so long; its packets are copied."""
    command = [ffmpeg_binary(), "-v", "error", "-stream_loop", "-1", "-i", str(clip), "-t", str(seconds), "-c", "copy"]
    subprocess.run([*command, "-y", str(target)], check=True)


def film_with_few_faces(
    target: Path, seconds: float, *, every: float = 30.0, size_wh: tuple[int, int] = (320, 240), clip: Path = SAMPLE
) -> None:
    """The clip once in so many seconds, at 24 frames a second; between, a camera that pans over coloured clouds.

    Args:
        target: The film, H.264.
        seconds: Its length.
        every: Seconds from one showing of the clip to the next.
        size_wh: Of its pictures.
        clip: With faces.
    """
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part.mp4"
        with av.open(str(part), "w") as container:
            stream = container.add_stream("libx264", rate=_RATE, options={"crf": "18", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
            pictures = [cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA) for picture in _pictures(clip)]
            pictures += _pan(size_wh, round(every * _RATE) - len(pictures))
            for rgb in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(stream.encode(None))
        looped(part, seconds, target)


def _pictures(clip: Path) -> list[np.ndarray]:
    with av.open(str(clip)) as source:
        return [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]


def _pan(size_wh: tuple[int, int], count: int) -> list[np.ndarray]:
    """Clouds, one pixel further in each frame, with grain."""
    lot = np.random.default_rng(0)
    width, height = size_wh
    wide = cv2.GaussianBlur(lot.normal(0, 1, (height, width + max(count, 0), 3)).astype(np.float32), (0, 0), 9)
    wide = 128 + 40 * wide / wide.std()
    grain = lot.normal(0, 4, (8, height, width, 3)).astype(np.float32)
    return [
        np.clip(wide[:, index : index + width] + grain[index % 8], 0, 255).astype(np.uint8) for index in range(count)
    ]
