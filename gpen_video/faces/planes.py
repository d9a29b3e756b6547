"""The planes of a picture that carry colour, grouped by the grid that they are sampled on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import chroma_offset
from gpen_video.geometry import scaling
from gpen_video.types import Picture


@dataclass(frozen=True, slots=True, eq=False)
class PlaneGroup:
    """Planes that share one sampling grid."""

    indices: tuple[int, ...]
    """Into `Picture.planes`; alpha is in no group."""
    frame_from_plane: NDArray[np.float64]
    """(2, 3): from plane pixels to frame (luma) pixels, chroma siting included. For a field the frame's grid is that of
    the top field, half as high as the film: between its lines lie the bottom field's, so that a still face has the same
    place in both."""

    @property
    def channels(self) -> slice:
        """The same planes as a part of an array with one channel for each plane."""
        return slice(self.indices[0], self.indices[-1] + 1)


def plane_groups(picture: Picture) -> tuple[PlaneGroup, ...]:
    """One group for gray, RGB and 4:4:4; luma and chroma apart where chroma is subsampled."""
    fmt = picture.format
    half_line = 0.5 if picture.field == "bottom" else 0.0
    whole = scaling(1, 1, 0, half_line)
    if fmt.family == "gray":
        return (PlaneGroup((0,), whole),)
    if fmt.log2_chroma_w == fmt.log2_chroma_h == 0:
        return (PlaneGroup((0, 1, 2), whole),)
    right, below = chroma_offset(picture.colour, fmt)
    if picture.field is not None:  # the siting is stated for the lines of the frame, twice as close
        below = below / 2 + half_line * 2**fmt.log2_chroma_h
    chroma = scaling(2**fmt.log2_chroma_w, 2**fmt.log2_chroma_h, right, below)
    return PlaneGroup((0,), whole), PlaneGroup((1, 2), chroma)
