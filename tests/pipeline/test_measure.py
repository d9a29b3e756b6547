"""Measuring whole films: real decoding, detection and tracking; what was planted comes out."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from gpen_video.config import Settings
from gpen_video.errors import InputError
from gpen_video.pipeline.measure import measure_video

SETTINGS = Settings.model_validate({"restore": {"device": "cpu"}, "track": {"lag": 2, "min_hits": 1}})
FRAMES = 8
SIDE = 256

Change = Callable[[np.ndarray, int], np.ndarray]


def as_it_is(rgb: np.ndarray, _: int) -> np.ndarray:
    return rgb


def film(path: Path, change: Change = as_it_is, *, frames: int = FRAMES, side: int = SIDE, cut: int = 0) -> Path:
    """The astronaut, drifting by a pixel a frame, mirrored and darker from `cut` on; lossless."""
    portrait = cv2.resize(
        astronaut()[:300, 70:370], (side + 2 * frames, side + 2 * frames), interpolation=cv2.INTER_AREA
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = side, side, "bgr0"
        for index in range(frames):
            rgb = portrait[index : index + side, index : index + side]
            rgb = np.ascontiguousarray(rgb[:, ::-1] // 3) if 0 < cut <= index else np.ascontiguousarray(rgb)
            frame = av.VideoFrame.from_ndarray(change(rgb, index), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    return path


def brighter(rgb: np.ndarray, index: int) -> np.ndarray:
    """Every other frame 10 levels brighter, far from white."""
    return np.clip(rgb.astype(int) * 0.9 + 10 * (index % 2), 0, 255).astype(np.uint8)


def test_a_film_against_itself(tmp_path: Path) -> None:
    source = film(tmp_path / "source.mkv")
    measurement = measure_video(source, source, source, SETTINGS)
    (track,) = measurement.tracks
    assert (measurement.frames, track.first_frame, track.last_frame, track.faces) == (FRAMES, 0, FRAMES - 1, FRAMES)
    figures = measurement.overall
    assert figures == track.figures
    for name in ("flicker", "identity_source", "seam"):
        assert figures[name] == pytest.approx(0, abs=1e-9)
    assert figures["jitter_ratio"] == pytest.approx(1)
    assert figures["flicker_result"] < 0.01, "the drift is taken off"
    assert (figures["psnr"], figures["ssim"]) == (100, pytest.approx(1))


def test_a_planted_flicker_comes_out_whole(tmp_path: Path) -> None:
    source = film(tmp_path / "source.mkv", lambda rgb, _: brighter(rgb, 0))
    result = film(tmp_path / "result.mkv", brighter)
    measurement = measure_video(source, result, settings=SETTINGS)
    assert measurement.overall["flicker_result"] == pytest.approx(10 / 255, rel=0.05)
    assert measurement.overall["flicker"] == pytest.approx(10 / 255, rel=0.2)
    assert measurement.overall["psnr"] is None


def test_a_shaking_result_is_found_by_detecting_anew(tmp_path: Path) -> None:
    source = film(tmp_path / "source.mkv")
    shaking = film(
        tmp_path / "result.mkv", lambda rgb, index: np.ascontiguousarray(np.roll(rgb, 6 * (index % 2), axis=1))
    )
    figures = measure_video(source, shaking, settings=SETTINGS).overall
    assert figures["jitter_pixels"] == pytest.approx(12, rel=0.1), "second differences of 0, 6, 0, 6"
    assert figures["jitter_source_pixels"] < 3


def test_tracks_end_at_a_cut_and_nothing_is_compared_across_it(tmp_path: Path) -> None:
    source = film(tmp_path / "source.mkv", frames=10, cut=5)
    settings = SETTINGS.model_copy(update={"shots": SETTINGS.shots.model_copy(update={"min_length": 2})})
    measurement = measure_video(source, source, settings=settings)
    assert [(track.first_frame, track.last_frame) for track in measurement.tracks] == [(0, 4), (5, 9)]
    assert measurement.overall["flicker_result"] < 0.01
    assert measurement.overall["identity_neighbours"] < 0.05


@pytest.mark.parametrize(
    ("lengths", "said"), [((8, 6), "it has 6 frames, .* has more"), ((6, 8), "more frames than the 6")]
)
def test_films_of_different_lengths(tmp_path: Path, lengths: tuple[int, int], said: str) -> None:
    source, result = (film(tmp_path / f"{name}.mkv", frames=count) for name, count in zip("ab", lengths, strict=True))
    with pytest.raises(InputError, match=said) as caught:
        measure_video(source, result, settings=SETTINGS)
    assert "\n" not in str(caught.value)


def test_films_of_different_sizes(tmp_path: Path) -> None:
    source, result = film(tmp_path / "a.mkv", frames=2), film(tmp_path / "b.mkv", frames=2, side=128)
    with pytest.raises(InputError, match=r"b\.mkv: it is 128x128, .*a\.mkv is 256x256"):
        measure_video(source, result, settings=SETTINGS)
    with pytest.raises(InputError, match=r"b\.mkv: it is 128x128"):
        measure_video(source, source, result, settings=SETTINGS)


def test_a_film_without_faces(tmp_path: Path) -> None:
    source = film(tmp_path / "wall.mkv", lambda rgb, _: np.ascontiguousarray(np.repeat(rgb[:, :1], SIDE, axis=1)))
    measurement = measure_video(source, source, settings=SETTINGS)
    assert (measurement.frames, measurement.tracks) == (FRAMES, ())
    assert set(measurement.overall.values()) == {None}
