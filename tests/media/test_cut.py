"""Pieces of a film: every picture in them is one of the film's, bit for bit; closed groups decode without complaint."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gpen_video.errors import ProbeError
from gpen_video.media import decode, probe
from gpen_video.media.cut import cut
from tests.media.factories import picture_md5

PLACES = (0.125, 0.375, 0.625, 0.875)
CODERS = {
    "open groups.mkv": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1:b-pyramid=normal:scenecut=0"}),
    "long group.mp4": ("libx264", {"g": "250"}),
    "stream.ts": ("mpeg2video", {"g": "15", "bf": "2"}),
    "intra.mov": ("prores_ks", {}),
    "pictures.avi": ("mjpeg", {}),
}

REAL = {
    "faces/grid_bbaf2n.mpg": 15,
    "faces/portrait_ac3.mkv": 15,  # its index leads to pictures that are no keyframes
    "odd/sample_with_colr_mdcv_and_clli.mp4": 15,
    "odd/roadtrip-vp92-10bit.webm": 15,
}


def film(path: Path, codec: str, options: dict[str, str], frames: int = 120) -> Path:
    pictures = np.random.default_rng(0).integers(0, 255, (frames, 3, 4), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        for index, small in enumerate(pictures):
            rgb = cv2.resize(small, (96, 64), interpolation=cv2.INTER_CUBIC)
            frame = av.VideoFrame.from_ndarray(np.repeat(rgb[..., None], 3, 2), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", CODERS)
def test_pictures_are_the_films_own_from_all_over_it(tmp_path: Path, name: str) -> None:
    info = probe(film(tmp_path / name, *CODERS[name]))
    whole = [picture_md5(frame.picture) for frame in decode(info)]
    (tmp_path / "piece").mkdir()
    piece = probe(cut(info, tmp_path / "piece", places=PLACES, frames=12))
    is_open = name == "open groups.mkv"
    pictures = decode(piece, tolerant=is_open)
    frames = [whole.index(picture_md5(frame.picture)) for frame in pictures]  # raises where one is not among them
    assert frames == sorted(frames)
    assert (12 if is_open else 36) <= len(frames) <= 64
    if name in ("stream.ts", "intra.mov", "pictures.avi"):
        assert frames[-1] > 0.75 * len(whole)


def test_images_are_linked_and_numbered_anew(tmp_path: Path) -> None:
    for name in ("scan", "piece"):
        (tmp_path / name).mkdir()
    for index in range(40):
        cv2.imwrite(str(tmp_path / "scan" / f"x_{index + 7:04}.png"), np.full((32, 48, 3), 6 * index, np.uint8))
    info = probe(tmp_path / "scan" / "x_%04d.png", "24")
    piece = cut(info, tmp_path / "piece", places=PLACES, frames=3)
    levels = [int(frame.picture.planes[0][0, 0]) for frame in decode(probe(piece, "24"))]
    assert levels == [6 * index for index in (5, 6, 7, 15, 16, 17, 25, 26, 27, 35, 36, 37)]


def test_real_films_give_pieces(shared: Path, tmp_path: Path) -> None:
    for name, least in REAL.items():
        info = probe(shared / "media" / name)
        whole = [picture_md5(frame.picture) for frame in decode(info)]
        folder = tmp_path / Path(name).stem
        folder.mkdir()
        piece = probe(cut(info, folder, places=PLACES, frames=5))
        pictures = [picture_md5(frame.picture) for frame in decode(piece)]
        assert len(pictures) >= least
        assert set(pictures) <= set(whole)


def test_a_film_with_an_edit_list_gives_all_that_is_in_it(shared: Path, tmp_path: Path) -> None:
    info = probe(shared / "media" / "odd" / "dolbyVision-hdr.MOV")
    whole = [picture_md5(frame.picture) for frame in decode(info)]
    piece = probe(cut(info, tmp_path, places=PLACES, frames=5))
    *pictures, _cut_off = (picture_md5(frame.picture) for frame in decode(piece))
    assert pictures == whole


def test_a_film_that_is_gone_is_told(tmp_path: Path) -> None:
    info = probe(film(tmp_path / "a.mkv", "libx264", {}, frames=10))
    (tmp_path / "a.mkv").unlink()
    with pytest.raises(ProbeError, match=r"a\.mkv: there is no such file"):
        cut(info, tmp_path, places=PLACES, frames=5)
