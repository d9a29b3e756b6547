"""A constant-velocity Kalman filter over the coordinates of a face; pure functions.

All coordinates have the same noise and move independently, so that one 2 x 2 covariance (of a position and its speed)
serves them all. Noise is stated in face sizes, so that a close-up and a face in a crowd are treated alike: the face's
size is part of the state. The model is the discrete white-noise acceleration of Y. Bar-Shalom, X. R. Li and
T. Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, section 6.3.2.
"""

from dataclasses import dataclass

import filterpy.kalman
import numpy as np
from filterpy.common import Q_discrete_white_noise
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

INITIAL_SPEED = 0.1
"""Standard deviation of a new face's speed, in face sizes a frame: quick for a person, so hardly a bias."""

TRANSITION: Float64 = np.array([[1.0, 1.0], [0.0, 1.0]])
"""The matrix of one step: position gains speed."""
TRANSITION.flags.writeable = False

_UNIT_STEP: Float64 = Q_discrete_white_noise(2, 1.0, 1.0)
_NO_STEP: Float64 = np.zeros((2, 2))


@dataclass(frozen=True, slots=True)
class Noise:
    """How measurements and movements vary, as standard deviations in face sizes."""

    landmark: float
    motion: float
    """In face sizes a frame squared."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is believed of N coordinates after a frame."""

    mean: Float64
    """(2, N) positions in pixels; speeds in pixels a frame."""
    covariance: Float64
    """(2, 2) of each coordinate's position and speed."""
    step_noise: Float64
    """(2, 2) what the step to this frame added to the covariance; smoothing needs it."""
    size: float
    """Size of the face in pixels when last measured."""

    @property
    def position(self) -> Float64:
        """(N,) positions in pixels."""
        position: Float64 = self.mean[0]
        return position


def start(measured: Float64, size: float, noise: Noise) -> State:
    """Begin with a first measurement of (N,) coordinates; nothing is known of their speed."""
    variances = np.square([noise.landmark * size, INITIAL_SPEED * size])
    return State(np.stack([measured, np.zeros_like(measured)]), np.diag(variances), _NO_STEP, size)


def predict(state: State, noise: Noise) -> State:
    """One frame on, without a measurement."""
    step_noise = _UNIT_STEP * (noise.motion * state.size) ** 2
    mean, covariance = filterpy.kalman.predict(state.mean, state.covariance, TRANSITION, step_noise)
    return State(mean, covariance, step_noise, state.size)


def innovation(predicted: State, measured: Float64, size: float, noise: Noise) -> tuple[Float64, float]:
    """(N,) measured less predicted positions, in pixels, and the variance that each should have."""
    variance = float(predicted.covariance[0, 0]) + (noise.landmark * size) ** 2
    return measured - predicted.mean[0], variance


def update(predicted: State, measured: Float64, size: float, noise: Noise) -> State:
    """Take in a measurement of (N,) coordinates of a face of a size in pixels."""
    surprise, variance = innovation(predicted, measured, size, noise)
    # filterpy's update takes one measurement vector; here N coordinates share one gain.
    gain = predicted.covariance[:, 0] / variance
    mean = predicted.mean + gain[:, None] * surprise
    covariance = predicted.covariance - variance * gain[:, None] * gain
    return State(mean, covariance, predicted.step_noise, size)
