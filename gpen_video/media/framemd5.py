"""Checksums of every frame beside a film, in the text format of FFmpeg's ``framemd5`` muxer (version 2)."""

import subprocess
from fractions import Fraction
from pathlib import Path

from gpen_video.errors import InputError
from gpen_video.media.binary import ffmpeg_binary, file_url, last_line
from gpen_video.media.probe import opened
from gpen_video.media.sequence import find_sequence, frame_rate_of
from gpen_video.whole_file import whole_file

_WHOLE_NUMBERS = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f64le"}


def write_framemd5(film: Path, sidecar: Path, *, frame_rate: Fraction | None = None, overwrite: bool = False) -> None:
    """Write the MD5 of every decoded picture and every frame of sound of a film into a text file.

    Pictures are hashed in the film's own pixel format, unturned, each at its own time; sound as uncompressed samples of
    its own depth. So the lines of a lossless copy are the source's, whatever the container, but for the time base where
    the container has another. The file appears whole or not at all.

    Args:
        film: A file or an image sequence.
        sidecar: The text file, usually the film's name with ``.framemd5`` added.
        frame_rate: Of an image sequence; its first header's where it is not given.
        overwrite: Whether a file of that name may be replaced.

    Raises:
        ProbeError: The film cannot be read.
        InputError: It cannot be decoded to its end.
        OutputError: The text file is there already, or cannot be written.
    """
    command = [ffmpeg_binary(), "-hide_banner", "-nostdin", "-v", "error", "-xerror", "-copyts", "-noautorotate"]
    command += [*_input(film, frame_rate), *_output(film), "-f", "framemd5", "pipe:1"]
    with whole_file(sidecar, overwrite=overwrite) as file:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise InputError(f"{film}: no checksums can be made: {last_line(done.stderr.decode(errors='replace'))}")


def _input(film: Path, rate: Fraction | None) -> list[str]:
    images = find_sequence(film)
    if images is None:
        return ["-i", file_url(film)]
    options = images.demuxer_options(rate or frame_rate_of(images, None))
    arguments = [part for name, value in options.items() for part in (f"-{name}", value)]
    return ["-f", "image2", *arguments, "-i", images.url]


def _output(film: Path) -> list[str]:
    """All films and sounds; pictures that are attached are none."""
    options = ["-map", "0:V", "-map", "0:a?", "-fps_mode", "passthrough", "-enc_time_base:v", "demux"]
    if find_sequence(film) is not None:
        return options
    with opened(film) as container:
        for place, stream in enumerate(container.streams.audio):
            name = stream.codec_context.format.name if stream.codec_context and stream.codec_context.format else "s16"
            options += [f"-c:a:{place}", _WHOLE_NUMBERS.get(name.removesuffix("p"), "pcm_s16le")]
    return options
