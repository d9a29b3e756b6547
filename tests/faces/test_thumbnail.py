from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.faces.thumbnail import detection_in_frame, upright_rgb
from gpen_video.geometry import apply, invert
from gpen_video.types import ColourSpec, Detection
from tests.faces.scenes import FORMATS, frame_of, grid, noise_picture, painted


def spot(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """A bright red spot at (200, 60), on blue."""
    near = np.exp(-(((x - 200) / 8) ** 2 + ((y - 60) / 8) ** 2))
    return np.stack([near, 0 * near, 0.5 * (1 - near)])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p16le", "gbrp"])
def test_place_colour_and_way_back(name: str, rotation: int) -> None:
    frame = frame_of(painted(FORMATS[name], ColourSpec(), spot))
    rgb, frame_from_thumb = upright_rgb(frame, 160, rotation)
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    assert rgb.shape == ((120, 160, 3) if rotation % 180 == 0 else (160, 120, 3))
    red = np.where(rgb[..., 0] > 32, rgb[..., 0], 0.0)
    x, y = grid(*red.shape[::-1])
    centre = np.array([[(red * x).sum(), (red * y).sum()]]) / red.sum()
    np.testing.assert_allclose(apply(frame_from_thumb, centre), [[200, 60]], atol=0.6)
    np.testing.assert_allclose(np.median(rgb, axis=(0, 1)), (0, 0, 127), atol=2)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_detections_go_back_to_the_frame(rotation: int) -> None:
    frame = frame_of(noise_picture(FORMATS["gray"], 320, 240))
    _, frame_from_thumb = upright_rgb(frame, 80, rotation)
    landmarks = np.array([[90, 80], [130, 82], [110, 100], [95, 120], [125, 122]], np.float64)
    box = np.array([[70, 50], [150, 140]], np.float64)
    thumb_from_frame = invert(frame_from_thumb)
    turned = apply(thumb_from_frame, box)
    seen = Detection(
        np.concatenate([turned.min(axis=0), turned.max(axis=0)]).astype(np.float32),
        apply(thumb_from_frame, landmarks).astype(np.float32),
        0.7,
    )
    found = detection_in_frame(seen, frame_from_thumb)
    np.testing.assert_allclose(found.box_xyxy, box.ravel(), atol=1e-3)
    np.testing.assert_allclose(found.landmarks_5xy, landmarks, atol=1e-3)
    assert found.score == 0.7


def test_small_frames_are_not_enlarged() -> None:
    rgb, matrix = upright_rgb(frame_of(noise_picture(FORMATS["yuv420p"], 160, 120)), 960)
    assert rgb.shape == (120, 160, 3)
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 1, 0]])


def test_odd_sizes_and_alpha() -> None:
    rgb, matrix = upright_rgb(frame_of(noise_picture(FORMATS["yuva420p"], 161, 91)), 80)
    assert rgb.shape == (45, 80, 3)
    np.testing.assert_allclose(apply(matrix, np.array([[79.5, 44.5]])), [[160.5, 90.5]])  # corner to corner


def test_anamorphic_frames_are_seen_with_square_pixels() -> None:
    rgb, matrix = upright_rgb(frame_of(noise_picture(FORMATS["yuv420p"], 720, 576)), 512, pixel_aspect=64 / 45)
    assert rgb.shape == (288, 512, 3)
    np.testing.assert_allclose(matrix[:, :2], [[720 / 512, 0], [0, 2]])
