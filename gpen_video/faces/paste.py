"""Putting restored faces back: the *change* is added to the source's own samples, in its own planes.

What is added is (restored - crop) times the mask. So what the warp there and back loses of the source is not lost in
the frame, a network that changes nothing changes not one sample, and outside the masks every sample keeps its bits.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import luma_weights, yuv_from_rgb
from gpen_video.config.schema import BlendSettings
from gpen_video.faces.curve import curve_of
from gpen_video.faces.planes import PlaneGroup, plane_groups
from gpen_video.faces.resample import Roi, resample, resample_linear
from gpen_video.faces.support import plane_from_crop, support_roi
from gpen_video.faces.tone import Chroma, ChromaGate
from gpen_video.geometry import compose, invert, scaling
from gpen_video.streams import closing_upstream
from gpen_video.types import Frame, FrameFaces, MaskedFace, Picture, Plane

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What is added to planes that share a grid, in one region of them."""

    group: PlaneGroup
    roi: Roi
    change_hwc: Float32
    """(H, W, planes of the group) in sample values: sum(mask * change) / max(1, sum(mask)), before rounding."""
    cover_hw: Float32
    """(H, W) sum of the masks on this grid; above 1 where faces overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class Pasted:
    """A frame with its faces pasted, and how it came about."""

    frame: Frame
    source: Picture
    changes: tuple[Change, ...]
    """None for a frame without faces; masks of faces that the network left as they were are not among them."""


def paste_faces(stream: Iterable[FrameFaces[MaskedFace]], settings: BlendSettings) -> Generator[Frame, None, None]:
    """Paste the faces of each frame; no delay. Whether chroma is written is decided along each track."""
    with closing_upstream(paste_changes(stream, settings)) as pasted:
        for item in pasted:
            yield item.frame


def paste_changes(stream: Iterable[FrameFaces[MaskedFace]], settings: BlendSettings) -> Generator[Pasted, None, None]:
    """`paste_faces`, with what was added handed on; no delay."""
    gate = ChromaGate(settings.chroma)
    with closing_upstream(stream):
        for item in stream:
            yield _paste(item, gate.gains(item))


def paste(item: FrameFaces[MaskedFace], chroma: Chroma = "auto") -> Frame:
    """The frame with its faces pasted; planes that do not change are the source's own arrays.

    Where masks overlap, the changes are averaged as far as the masks add up to more than 1; all of them are relative
    to the source.

    Args:
        item: A frame and its masked faces.
        chroma: ``keep`` changes brightness only, ``restore`` colour too, ``auto`` colour where the source face has
            some (see `gpen_video.faces.tone`).
    """
    return paste_change(item, chroma).frame


def paste_change(item: FrameFaces[MaskedFace], chroma: Chroma = "auto") -> Pasted:
    """`paste`, with what was added."""
    return _paste(item, ChromaGate(chroma).gains(item))


def _paste(item: FrameFaces[MaskedFace], chroma_gains: Sequence[float]) -> Pasted:
    picture = item.frame.picture
    changes = [_sample_change(face, gain, picture) for face, gain in zip(item.faces, chroma_gains, strict=True)]
    planes, added = list(picture.planes), list[Change]()
    for group in plane_groups(picture):
        if 0 not in group.indices and not any(chroma_gains):
            continue
        patches = [
            patch
            for face, change in zip(item.faces, changes, strict=True)
            if (patch := _warped(face, change[..., group.channels], group, planes[group.indices[0]])) is not None
        ]
        for merged in _merged(patches, group):
            added.append(merged)
            for channel, index in enumerate(group.indices):
                change = merged.change_hwc[..., channel]
                planes[index] = _added(planes[index], picture.planes[index], merged.roi, change, picture)
    untouched = all(new is old for new, old in zip(planes, picture.planes, strict=True))
    frame = item.frame if untouched else item.with_picture(replace(picture, planes=tuple(planes)))
    return Pasted(frame, picture, tuple(added))


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """One face in the pixels of a plane group."""

    roi: Roi
    alpha_hw: Float32
    change_hwc: Float32
    """In sample values, before alpha."""


def _sample_change(face: MaskedFace, chroma_gain: float, picture: Picture) -> Float32:
    """(S, S, planes) restored less crop, in the picture's sample values. Linear but for HDR: offsets cancel."""
    difference = face.restored.rgb_hwc - face.restored.crop.rgb_hwc
    curve = curve_of(picture.colour.transfer)
    if curve is not None:
        difference = curve.signal_change(face.restored.crop.rgb_hwc, difference)
    source = (picture.colour, picture.format, picture.height)
    matrix = yuv_from_rgb(*source).matrix
    if chroma_gain < 1:  # a gray change has no chroma, and is equal in R, G and B
        gray = np.ones((3, 1), np.float32) @ luma_weights(*source)[None]
        matrix = matrix @ (np.float32(chroma_gain) * (np.eye(3, dtype=np.float32) - gray) + gray)
    return np.asarray(cv2.transform(difference, matrix), np.float32).reshape(*difference.shape[:2], -1)


def _warped(face: MaskedFace, change_hwc: Float32, group: PlaneGroup, plane: Plane) -> _Patch | None:
    """The face on the grid of a plane; `None` where its mask does not reach the plane."""
    from_crop = plane_from_crop(face, group)
    height, width = plane.shape
    roi = support_roi(face.alpha_hw, from_crop, (width, height))
    if roi is None or not change_hwc.any():
        return None
    crop_from_roi = compose(invert(from_crop), scaling(1, 1, roi.left, roi.top))
    alpha = resample_linear(face.alpha_hw, crop_from_roi, roi.size_wh)
    return _Patch(roi, alpha, resample((change_hwc,), crop_from_roi, roi.size_wh))


def _merged(patches: Sequence[_Patch], group: PlaneGroup) -> list[Change]:
    """What to add where, one region for patches that overlap."""
    merged: list[Change] = []
    for cluster in _clusters(patches):
        roi = reduce(Roi.union, (patch.roi for patch in cluster))
        width, height = roi.size_wh
        change = np.zeros((height, width, cluster[0].change_hwc.shape[2]), np.float32)
        cover = np.zeros((height, width, 1), np.float32)
        for patch in cluster:
            part = patch.roi.within(roi).slices
            change[part] += patch.alpha_hw[..., None] * patch.change_hwc
            cover[part] += patch.alpha_hw[..., None]
        change /= np.maximum(cover, 1)
        merged.append(Change(group, roi, change, cover[..., 0]))
    return merged


def _clusters(patches: Sequence[_Patch]) -> list[list[_Patch]]:
    """Patches in groups whose regions overlap, directly or through others."""
    clusters: list[list[_Patch]] = []
    for patch in patches:
        touching = [cluster for cluster in clusters if any(patch.roi.overlaps(other.roi) for other in cluster)]
        clusters = [cluster for cluster in clusters if cluster not in touching]
        clusters.append([member for cluster in touching for member in cluster] + [patch])
    return clusters


def _added(plane: Plane, source: Plane, roi: Roi, change_hw: Float32, picture: Picture) -> Plane:
    """`plane` with a change added and rounded; copies the source the first time that a sample changes."""
    old = source[roi.slices]
    top = 2**picture.format.bits - 1
    new = np.clip(np.rint(old + change_hw), 0, top).astype(old.dtype)
    changed = (new != old) & (change_hw != 0)
    if not changed.any():
        return plane
    result = plane.copy() if plane is source else plane
    np.copyto(result[roi.slices], new, where=changed)
    return result
