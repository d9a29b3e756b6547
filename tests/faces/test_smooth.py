from typing import Any

import filterpy.kalman
import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.faces import kalman
from gpen_video.faces.kalman import Noise, State
from gpen_video.faces.smooth import smooth

NOISE = Noise(landmark=0.03, motion=0.002)
SIZE = 100.0


def filtered(measurements: NDArray[Any], noise: Noise = NOISE, size: float = SIZE) -> list[State]:
    """States after each of (T, N) measurements; a row of nan is a missed detection."""
    states = [kalman.start(measurements[0], size, noise)]
    for row in measurements[1:]:
        predicted = kalman.predict(states[-1], noise)
        states.append(predicted if np.isnan(row).any() else kalman.update(predicted, row, size, noise))
    return states


def smoothed(measurements: NDArray[Any], lag: int, noise: Noise = NOISE) -> NDArray[Any]:
    states = filtered(measurements, noise)
    return np.stack([smooth(states[t : t + lag + 1]) for t in range(len(states))])


def batch_smoothed(series: NDArray[Any], noise: Noise) -> NDArray[Any]:
    """The textbook way, one coordinate at a time, with filterpy's own classes: predict, update, smooth a batch."""
    one = filterpy.kalman.KalmanFilter(dim_x=2, dim_z=1)
    one.F, one.H = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    one.R *= (noise.landmark * SIZE) ** 2
    one.Q = np.array([[0.25, 0.5], [0.5, 1.0]]) * (noise.motion * SIZE) ** 2
    one.x = np.array([[series[0]], [0.0]])
    one.P = np.diag(np.square([noise.landmark * SIZE, kalman.INITIAL_SPEED * SIZE]))
    means, covariances = [one.x.copy()], [one.P.copy()]
    for value in series[1:]:
        one.predict()
        one.update(None if np.isnan(value) else value)
        means.append(one.x.copy())
        covariances.append(one.P.copy())
    return one.rts_smoother(np.array(means), np.array(covariances))[0][:, 0, 0]


def test_long_lag_is_the_full_smoother() -> None:
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=(40, 3)), axis=0) + rng.normal(size=(40, 3)) * 3
    walk[[7, 8, 20]] = np.nan
    for column, series in enumerate(walk.T):
        np.testing.assert_allclose(smoothed(walk, lag=40)[:, column], batch_smoothed(series, NOISE), atol=1e-9)


def test_short_lag_looks_no_further_than_the_lag() -> None:
    rng = np.random.default_rng(2)
    measured = rng.normal(size=(30, 2))
    later = measured.copy()
    later[20:] += 50
    np.testing.assert_array_equal(smoothed(measured, 8)[:12], smoothed(later, 8)[:12])
    assert np.abs(smoothed(measured, 8)[12:] - smoothed(later, 8)[12:]).min() > 0
    # ... and for those frames it is the full smoother of what it may know.
    np.testing.assert_allclose(smoothed(measured, 8)[5], smoothed(measured[:14], 99)[5], atol=1e-9)


def steady_gain_of_variance(noise: Noise) -> float:
    """Sum of squares of the weights with which the smoother, far from both ends, averages its measurements."""
    impulse = np.zeros((121, 1))
    impulse[60] = 1.0
    return float(np.square(smoothed(impulse, 30, noise)).sum())


@pytest.mark.parametrize("motion", [0.02, 0.002])
def test_still_face_is_calmer_by_the_closed_form(motion: float) -> None:
    noise = Noise(0.03, motion)
    # Whole-line Wiener smoother of a white-acceleration walk: with r = (R/q)**(1/4) large, its impulse response is
    # exp(-a|t|) (cos a|t| + sin a|t|) a / 2, a = 1 / (r sqrt 2), whose squares sum to 3 a / 8.
    expected = 3 / 8 / np.sqrt(2) * np.sqrt(motion / 0.03)
    found = steady_gain_of_variance(noise)
    if motion == 0.002:
        assert found == pytest.approx(expected, rel=0.05)
    rng = np.random.default_rng(4)
    measured = 50 + rng.normal(size=(120, 8)) * 3
    residual = smoothed(measured, 25, noise)[25:-25] - 50
    assert residual.var() / 9 == pytest.approx(found, rel=0.25)
    assert residual.var() < 9 / 4


def test_constant_speed_is_followed_without_lag_or_bias() -> None:
    time = np.arange(60)[:, None]
    truth = 20 + time * np.array([3.0, -1.5])
    error = smoothed(truth, lag=8) - truth
    assert np.abs(error[20:]).max() < 0.01  # a mean of 8 frames either way lags by nothing; a plain mean by 12 pixels
    assert np.abs(error).max() < 0.5


def test_gap_is_bridged() -> None:
    truth = np.linspace(0, 118, 60)[:, None] * np.array([1.0, 2.0])
    measured = truth.copy()
    measured[30:36] = np.nan
    np.testing.assert_allclose(smoothed(measured, 8)[30:36], truth[30:36], atol=0.1)


def test_noise_goes_with_the_size_of_the_face() -> None:
    rng = np.random.default_rng(5)
    measured = rng.normal(size=(20, 4))
    small = [smooth([state]) for state in filtered(measured, size=50.0)]
    large = [smooth([state]) for state in filtered(measured * 4, size=200.0)]
    np.testing.assert_allclose(np.array(small) * 4, large)
