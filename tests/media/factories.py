"""Clips made with PyAV and the ``ffmpeg`` program, and what that program says of a file: the oracle of these tests."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from gpen_video.types import Picture

SEED = 20


@dataclass(frozen=True)
class Clip:
    """What `make_clip` makes; by default 12 grey frames at 25 fps."""

    codec: str = "ffv1"
    container: str = "nut"
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    time_base: Fraction = Fraction(1, 25)
    pts: Sequence[int] = tuple(range(12))
    options: tuple[tuple[str, str], ...] = ()
    noise: bool = False


def make_clip(path: Path, clip: Clip | None = None) -> Path:
    """Write a clip; frame i is grey of level 16 + 10 i (of 8 bits), or noise."""
    clip = clip or Clip()
    random = np.random.default_rng(SEED)
    ticks = str(clip.time_base.denominator)
    options = {"avoid_negative_ts": "disabled"}
    if clip.container in ("mov", "mp4"):
        options |= {"video_track_timescale": ticks, "movie_timescale": ticks}
    with av.open(str(path), "w", format=clip.container, options=options) as container:
        stream = container.add_stream(clip.codec, rate=25, options=dict(clip.options))
        stream.width, stream.height = clip.size
        stream.pix_fmt = clip.pix_fmt
        stream.codec_context.time_base = stream.time_base = clip.time_base
        for index, pts in enumerate(clip.pts):
            frame = grey_frame(clip, index, random)
            frame.pts, frame.time_base = pts, clip.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def grey_frame(clip: Clip, index: int, random: np.random.Generator) -> av.VideoFrame:
    """One frame: every byte of 8-bit formats, every sample of deeper planar ones, has the level of its index."""
    frame = av.VideoFrame(*clip.size, clip.pix_fmt)
    bits = frame.format.components[0].bits
    for plane in frame.planes:
        data = np.frombuffer(plane, np.uint8 if bits <= 8 else np.uint16)
        level = (16 + 10 * index) % 236 << max(0, bits - 8)
        data[:] = random.integers(0, 2**bits, data.size) if clip.noise else level
    return frame


def ffmpeg(*arguments: str | Path) -> bytes:
    """Run the program that imageio-ffmpeg brings; its standard output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


@dataclass(frozen=True)
class Listed:
    """A frame or packet as ``ffmpeg -f framemd5`` lists it."""

    seconds: Fraction
    md5: str


def listed_frames(path: Path, stream: int | str = "v:0") -> list[Listed]:
    """All decoded pictures by FFmpeg's own reckoning, unturned, each at its own time."""
    keep = ("-fps_mode", "passthrough", "-enc_time_base", "demux")
    return _listing("-noautorotate", "-copyts", "-i", f"file:{path}", "-map", f"0:{stream}", *keep)


def listed_packets(path: Path, stream: int | str) -> list[Listed]:
    """All packets of a stream, as they are in the file."""
    return _listing(
        "-copyts", "-i", f"file:{path}", "-map", f"0:{stream}", "-c", "copy", "-avoid_negative_ts", "disabled"
    )


def _listing(*arguments: str) -> list[Listed]:
    text = ffmpeg(*arguments, "-f", "framemd5", "-").decode()
    tick = next(Fraction(line.split()[-1]) for line in text.splitlines() if line.startswith("#tb"))
    rows = [line.replace(" ", "").split(",") for line in text.splitlines() if not line.startswith("#")]
    return [Listed(int(row[2]) * tick, row[5]) for row in rows]


def picture_md5(picture: Picture) -> str:
    """Of the samples as FFmpeg lays planar pictures out."""
    return hashlib.md5(b"".join(np.ascontiguousarray(plane).tobytes() for plane in picture.planes)).hexdigest()
