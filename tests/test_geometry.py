from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpen_video import geometry
from gpen_video.geometry import TEMPLATES

TEMPLATE = TEMPLATES["gpen"] * 256

finite = st.floats(-2000, 2000)
similarities = st.builds(
    lambda scale, angle, x, y: np.array(
        [[scale * np.cos(angle), -scale * np.sin(angle), x], [scale * np.sin(angle), scale * np.cos(angle), y]]
    ),
    st.floats(0.02, 50),
    st.floats(-np.pi, np.pi),
    finite,
    finite,
)


@given(similarities)
def test_similarity_recovers_what_moved_the_points(matrix: NDArray[Any]) -> None:
    found = geometry.similarity(TEMPLATE, geometry.apply(matrix, TEMPLATE))
    np.testing.assert_allclose(found, matrix, rtol=1e-9, atol=1e-7)


@given(similarities)
def test_similarity_never_mirrors(matrix: NDArray[Any]) -> None:
    mirrored = geometry.apply(matrix, TEMPLATE) * (-1, 1)
    assert np.linalg.det(geometry.similarity(TEMPLATE, mirrored)[:, :2]) > 0


def test_similarity_has_the_least_squared_error() -> None:
    rng = np.random.default_rng(3)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    best = geometry.similarity(source, target)

    def error(matrix: NDArray[Any]) -> float:
        return np.square(geometry.apply(matrix, source) - target).sum()

    for change in np.vstack([np.eye(4), -np.eye(4)]) * 1e-3:  # in each of the four degrees of freedom
        a, b, x, y = change
        assert error(best + np.array([[a, -b, x], [b, a, y]])) > error(best)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.full((2, 2), 0.1)])
def test_similarity_refuses_a_single_point(points: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="differ"):
        geometry.similarity(points, TEMPLATE[: len(points)])
    with pytest.raises(ValueError, match="differ"):
        geometry.similarity(TEMPLATE[: len(points)], points)


def test_similarity_refuses_unequal_sets() -> None:
    with pytest.raises(ValueError, match=r"\(5, 2\) and \(4, 2\)"):
        geometry.similarity(TEMPLATE, TEMPLATE[:4])


@given(similarities, similarities)
def test_compose_and_invert(second: NDArray[Any], first: NDArray[Any]) -> None:
    direct = geometry.apply(second, geometry.apply(first, TEMPLATE))
    np.testing.assert_allclose(geometry.apply(geometry.compose(second, first), TEMPLATE), direct, rtol=1e-9, atol=1e-6)
    back = geometry.apply(geometry.invert(first), geometry.apply(first, TEMPLATE))
    np.testing.assert_allclose(back, TEMPLATE, atol=1e-4)
    assert geometry.scale_of(first) == pytest.approx(np.hypot(*first[:, 0]))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_moves_points_as_numpy_moves_samples(rotation: int) -> None:
    coded = np.arange(12).reshape(3, 4)
    upright = np.rot90(coded, -rotation // 90)
    matrix = geometry.upright_from_coded((4, 3), rotation)
    for (y, x), value in np.ndenumerate(coded):
        to_x, to_y = geometry.apply(matrix, np.array([[x, y]]))[0]
        assert upright[int(to_y), int(to_x)] == value


def test_rotation_by_other_angles_is_refused() -> None:
    with pytest.raises(ValueError, match="45"):
        geometry.upright_from_coded((4, 3), 45)


def test_resized_grid_is_that_of_block_means() -> None:
    # Halving by means of 2 x 2 puts the first new centre between the first two old ones.
    matrix = geometry.full_from_resized((640, 480), (320, 240))
    np.testing.assert_allclose(geometry.apply(matrix, np.array([[0, 0], [319, 239]])), [[0.5, 0.5], [638.5, 478.5]])


def test_iou_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [40, 40, 50, 50], [3, 3, 3, 3]], np.float32)
    np.testing.assert_allclose(geometry.iou_matrix(a, b), [[1, 1 / 3, 0, 0], [0, 0, 0, 0]])
    assert geometry.iou_matrix(a, b[:0]).shape == (2, 0)


def test_hull_of_corners_is_the_box() -> None:
    box = np.array([1.0, 2.0, 5.0, 9.0])
    np.testing.assert_array_equal(geometry.hull_box(geometry.corners(box)), box)
