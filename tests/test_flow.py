"""Flow against motions that are known in closed form."""

import threading

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from gpen_video.flow import fetch, flow_between, round_trip

INNER = (slice(24, -24), slice(24, -24))


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """(512, 512) brightness, 0 to 1, read-only."""
    grey = cv2.GaussianBlur(astronaut().mean(axis=2).astype(np.float32) / 255, (0, 0), 1)
    grey.flags.writeable = False
    return grey


def view(scene: np.ndarray, x: float, y: float, side: int = 192) -> np.ndarray:
    """`side` pixels of the scene from (x, y) on."""
    at = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(scene, at, (side, side), flags=how)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-1.5, 4.25)])
def test_a_shift_is_found_with_its_sign(scene: np.ndarray, x: float, y: float, quick: bool) -> None:
    # What is at p in the first view, the second, which starts (x, y) further on, has at p - (x, y).
    flow = flow_between(view(scene, 150, 20), view(scene, 150 + x, 20 + y), quick=quick)
    assert flow.shape == (192, 192, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(np.median(flow[INNER], axis=(0, 1)), [-x, -y], atol=0.15)


def test_fetching_along_the_flow_gives_the_picture_that_is_looked_from(scene: np.ndarray) -> None:
    one, other = view(scene, 150, 20), view(scene, 152.5, 19)
    fetched = fetch(other, flow_between(one, other))
    assert np.abs(fetched - one)[INNER].mean() < 0.15 * np.abs(other - one)[INNER].mean()


def test_fetching_is_exact_for_whole_pixels_and_any_number_of_channels() -> None:
    image = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    flow = np.broadcast_to(np.float32([2, -1]), (20, 30, 2))
    np.testing.assert_allclose(fetch(image, flow)[1:, :-2], image[:-1, 2:], atol=1e-6)
    np.testing.assert_array_equal(fetch(image[..., 0], flow), fetch(image, flow)[..., 0])


def test_fetching_half_a_pixel_keeps_fine_detail() -> None:
    """Of a wave of 6 pixels cubic interpolation keeps 0.96; linear would leave cos(pi / 6) = 0.87."""
    across = np.arange(96, dtype=np.float32)
    wave = np.tile(np.sin(2 * np.pi * across / 6), (20, 1)).astype(np.float32)
    fetched = fetch(wave, np.broadcast_to(np.float32([0.5, 0]), (20, 96, 2)))
    assert fetched[:, 8:-8].std() / wave[:, 8:-8].std() > 0.93


def test_beyond_the_border_the_border_goes_on() -> None:
    image = np.tile(np.arange(16, dtype=np.float32), (16, 1))
    assert (fetch(image, np.full((16, 16, 2), 40, np.float32)) == 15).all()


def test_a_round_trip_misses_nothing_where_the_flows_are_inverse() -> None:
    there = np.broadcast_to(np.float32([1.5, -2]), (32, 32, 2))
    np.testing.assert_allclose(round_trip(there, -there), 0, atol=1e-6)
    np.testing.assert_allclose(round_trip(there, there), 5, atol=1e-5)  # |2 x (1.5, -2)|


def test_a_round_trip_misses_where_something_comes_before_the_picture(scene: np.ndarray) -> None:
    one = view(scene, 150, 20)
    other = one.copy()
    other[80:130, 60:110] = view(scene, 30, 300)[80:130, 60:110]
    missed = round_trip(flow_between(one, other), flow_between(other, one))
    hidden = np.zeros(one.shape, bool)
    hidden[90:120, 70:100] = True
    assert np.median(missed[hidden]) > 5 * np.median(missed[~hidden]) + 0.2


def test_each_thread_may_search_at_the_same_time(scene: np.ndarray) -> None:
    pairs = [(view(scene, 150, 20), view(scene, 150 + shift, 20)) for shift in range(4)]
    expected = [flow_between(*pair) for pair in pairs]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda i=i, pair=pair: found.update({i: flow_between(*pair)}))
        for i, pair in enumerate(pairs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, flow in enumerate(expected):
        np.testing.assert_array_equal(found[i], flow)
