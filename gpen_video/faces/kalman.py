"""A constant-velocity Kalman filter over the coordinates of a face; pure functions around filterpy's.

All coordinates have the same noise and move independently. Noise is stated in face sizes, so that a close-up and a
face in a crowd are treated alike: the face's size is part of the state. The model is the discrete white-noise
acceleration of Y. Bar-Shalom, X. R. Li and T. Kirubarajan, "Estimation with Applications to Tracking and
Navigation", 2001, section 6.3.2.
"""

from dataclasses import dataclass
from functools import lru_cache

import filterpy.kalman
import numpy as np
from filterpy.common import Q_discrete_white_noise
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

INITIAL_SPEED = 0.1
"""Standard deviation of a new face's speed, in face sizes a frame: quick for a person, so hardly a bias."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How measurements and movements vary, as standard deviations in face sizes (see `TrackSettings`)."""

    landmark: float
    motion: float
    """In face sizes a frame squared."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is believed of N coordinates after a frame."""

    mean: Float64
    """(2N,) positions in pixels, then speeds in pixels a frame."""
    covariance: Float64
    """(2N, 2N)."""
    step_noise: Float64
    """(2N, 2N) what the step to this frame added to the covariance; smoothing needs it."""
    size: float
    """Size of the face in pixels when last measured."""

    @property
    def position(self) -> Float64:
        """(N,) positions in pixels."""
        return self.mean[: len(self.mean) // 2]


@lru_cache(maxsize=8)
def transition(count: int) -> Float64:
    """(2N, 2N) the matrix of one step: position gains speed."""
    matrix: Float64 = np.kron(np.array([[1.0, 1.0], [0.0, 1.0]]), np.eye(count))
    matrix.flags.writeable = False
    return matrix


def start(measured: Float64, size: float, noise: Noise) -> State:
    """Begin with a first measurement of (N,) coordinates; nothing is known of their speed."""
    count = len(measured)
    variances = np.repeat(np.square([noise.landmark * size, INITIAL_SPEED * size]), count)
    mean = np.concatenate([measured, np.zeros(count)])
    return State(mean, np.diag(variances), np.zeros((2 * count, 2 * count)), size)


def predict(state: State, noise: Noise) -> State:
    """One frame on, without a measurement."""
    count = len(state.mean) // 2
    step_noise = np.kron(Q_discrete_white_noise(2, 1.0, (noise.motion * state.size) ** 2), np.eye(count))
    mean, covariance = filterpy.kalman.predict(state.mean, state.covariance, transition(count), step_noise)
    return State(mean, covariance, step_noise, state.size)


def update(predicted: State, measured: Float64, size: float, noise: Noise) -> State:
    """Take in a measurement of (N,) coordinates of a face of a size in pixels."""
    count = len(measured)
    mean, covariance = filterpy.kalman.update(
        predicted.mean,
        predicted.covariance,
        measured,
        R=np.eye(count) * (noise.landmark * size) ** 2,
        H=np.eye(count, 2 * count),
    )
    return State(mean, covariance, predicted.step_noise, size)
