"""Which FFmpeg this is."""

import subprocess

import av

from gpen_video.media.binary import ffmpeg_binary


def ffmpeg_versions() -> dict[str, str]:
    """Versions of the libraries that decode and encode, and of the program that assembles."""
    libraries = {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
    answer = subprocess.run(
        [ffmpeg_binary(), "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    words = answer.stdout.split()  # "ffmpeg version 9.0 Copyright …"
    return libraries | ({"ffmpeg": words[2]} if words[:2] == ["ffmpeg", "version"] else {})
