"""Where trainings and evaluations get their faces from: a portrait folder or a pack, at any size."""

from collections.abc import Callable
from pathlib import Path

from gpen_video.errors import InputError
from gpen_video.train.data import Crops, FaceSource, read_index
from gpen_video.train.pack import PackedFaces

Faces = Callable[[int], FaceSource]
"""Aligned faces of so many pixels."""


def faces_at(path: Path, *, held_out: bool) -> Faces:
    """Those faces of a folder with an index, or of a pack, that are held out, or the others.

    Raises:
        InputError: there is no index, or none of these faces; from the returned function also: no readable pack.
    """
    if not path.is_dir():
        return lambda size: PackedFaces(path, held_out=held_out, size=size)
    portraits = [portrait for portrait in read_index(path) if portrait.held_out == held_out]
    if not portraits:
        raise InputError(f"{path}: holds no {'held-out ' if held_out else ''}faces; prepare a larger folder")
    return lambda size: Crops(portraits, size)
