"""The ``ffmpeg`` program: which one, and how it is run."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg

from gpen_video.errors import OutputError

_OLDEST_MAJOR = 7
"""The first release that writes rotation into Matroska; an older one on PATH is passed over."""


@cache
def ffmpeg_binary() -> str:
    """The ``ffmpeg`` on PATH if it is recent enough, else the one that imageio-ffmpeg brings.

    Raises:
        OutputError: Neither is there.
    """
    on_path = shutil.which("ffmpeg")
    if on_path is not None and _is_recent(on_path):
        return on_path
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise OutputError(
            f"no ffmpeg program of release {_OLDEST_MAJOR} or later was found; put one on PATH or reinstall "
            "imageio-ffmpeg"
        ) from error


def _is_recent(binary: str) -> bool:
    try:
        answer = subprocess.run([binary, "-version"], capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    major = re.match(r"ffmpeg version n?(\d+)\.", answer)
    return major is not None and int(major.group(1)) >= _OLDEST_MAJOR


def file_url(path: Path) -> str:
    """`path` so that FFmpeg takes it for a file, whatever characters it holds."""
    return f"file:{path}"


def run(
    node: Any,  # noqa: ANN401  (ffmpeg-python has no types)
    names: Mapping[str, str],
    *,
    extra: Sequence[str] = (),
    purpose: str,
) -> None:
    """Run what was composed with ffmpeg-python.

    Args:
        node: The output node.
        names: What stands in it for a file, and that file's URL: ffmpeg-python fails on names that are not UTF-8.
        extra: Further options of that output; ffmpeg-python cannot repeat one.
        purpose: What the run is to do, for the error: "write out.mp4".

    Raises:
        OutputError: The program failed; the message holds its last meaningful line.
    """
    command = [ffmpeg_binary(), "-hide_banner", "-nostdin", "-y", "-v", "error"]
    *options, target = (names.get(argument, argument) for argument in ffmpeg.compile(node, cmd=command))
    done = subprocess.run([*options, *extra, target], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise OutputError(f"could not {purpose}: {last_line(done.stderr.decode(errors='replace'))}")


def last_line(log: str) -> str:
    """The line of FFmpeg's log that says most: the last one that is not merely "Conversion failed!"."""
    empty = ("", "Conversion failed!")
    lines = [re.sub(r"^(\[[^\]]* @ 0x[0-9a-f]+\] )+", "", line.strip()) for line in log.splitlines()]
    kept = [line for line in lines if line not in empty and not line.startswith("Last message repeated")]
    full = next((line for line in kept if "No space left on device" in line), None)
    return full or (kept[-1] if kept else "ffmpeg gave no reason")
