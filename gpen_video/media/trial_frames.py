"""A few pictures of a film's format, with which it is tried what a container takes."""

from collections.abc import Iterable

import numpy as np

from gpen_video.types import Frame, Picture, Timestamp, VideoInfo

_TRIAL_STEPS = (0, 1, 2, 1, 3, 1, 1, 2, 1)  # frames between the trial's pictures: uneven, as a film's may be


def black_frames(info: VideoInfo) -> Iterable[Frame]:
    """A few black frames of the film's format."""
    fmt = info.format
    luma = (info.height, info.width)
    chroma = (-(-info.height // 2**fmt.log2_chroma_h), -(-info.width // 2**fmt.log2_chroma_w))
    shapes = [luma] if fmt.family == "gray" else [luma, chroma, chroma]
    dtype = np.uint8 if fmt.bits == 8 else np.uint16
    planes = tuple(np.zeros(shape, dtype) for shape in [*shapes, *([luma] if fmt.has_alpha else [])])
    rate = info.average_frame_rate
    step = max(1, round(1 / (rate * info.time_base))) if rate else 1
    pts = max(info.start_pts or 0, 0)
    for index, steps in enumerate(_TRIAL_STEPS):
        pts += steps * step
        yield Frame(index, Timestamp(pts, info.time_base), Picture(planes, fmt, info.colour), step)


def side_data_of_black(info: VideoInfo) -> list[tuple[Timestamp, dict[str, bytes]]]:
    """Side data for the black frames: a caption that is padding, and the whole picture as the active format."""
    return [(frame.time, {"A53_CC": b"\xfa\x00\x00", "AFD": b"\x08"}) for frame in black_frames(info)]
