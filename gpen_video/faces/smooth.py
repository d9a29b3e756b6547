"""Fixed-lag smoothing that is calm where a face is still and quick where it moves.

Three constant-velocity models differ in how much a face may change its speed. Over the window of the lag each explains
what was measured more or less well; they are mixed by that likelihood, as in a first-order generalised pseudo-Bayesian
filter (Y. Bar-Shalom, X. R. Li and T. Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001,
section 11.6.4), but with the whole window's evidence instead of one frame's: a movement is known before it begins, and
a mixture never pops from one model to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import filterpy.kalman
import numpy as np

from gpen_video.faces import kalman
from gpen_video.faces.kalman import TRANSITION, Float64, Noise, State

CALMNESS = (1.0, 1 / 8, 1 / 64)
"""Of each model, how much a face may change its speed against the quickest one."""

_STAY = 0.9
"""Probability that a face goes on as it moved, from one frame to the next."""
_EVIDENCE = 0.4
"""Share of a face's coordinates that err independently: a shift, a turn and a scale are 4 of 10."""
_SURPRISE = 25.0
"""Most that one coordinate's squared innovation counts, in variances: one wild detection is no lasting movement."""
_NEGLIGIBLE = 1e-4
"""Weight below which a model is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """A face's (N,) coordinates in one frame, in pixels."""

    coordinates: Float64
    size: float
    """Of the face in pixels."""
    noise: float
    """Standard deviation of a coordinate, in face sizes."""


def smooth(states: Sequence[State]) -> Float64:
    """(N,) positions at the first of several successive states, in the light of all of them.

    H. E. Rauch, F. Tung and C. T. Striebel, "Maximum likelihood estimates of linear dynamic systems", AIAA Journal
    3(8), 1965. With a window that reaches the end of a track this is the full smoother; the filter before the window
    has already used all that was measured earlier.

    Args:
        states: What the filter knew after each frame of the window, at least one.
    """
    if len(states) == 1:
        return states[0].position
    steps = [state.step_noise for state in (*states[1:], states[-1])]  # [k] leads from k to k + 1; the last is unused
    means, *_ = filterpy.kalman.rts_smoother(
        np.stack([state.mean for state in states]),
        np.stack([state.covariance for state in states]),
        [TRANSITION] * len(states),
        steps,
    )
    position: Float64 = means[0, 0]
    return position


class Smoother:
    """Smooths one track, a frame at a time.

    What it keeps of the past is one filtered state and the models' probabilities. The calmest model forgets slowest:
    see `TrackSettings.motion_noise`.
    """

    def __init__(self, motion: float) -> None:
        """`motion` is the quickest model's noise, in face sizes a frame squared."""
        self._motions = tuple(motion * calmness for calmness in CALMNESS)
        self._chances = np.full(len(CALMNESS), 1 / len(CALMNESS))
        self._state: State | None = None

    def step(self, window: Sequence[Measurement | None]) -> Float64:
        """(N,) positions at the first frame of a window that reaches `lag` frames ahead; each begins a frame later.

        Args:
            window: A measurement a frame, `None` where there is none; the first frame of a track has one.
        """
        runs = [self._run(window, motion) for motion in self._motions]
        prior = self._prior()
        weights = _normalised(np.log(prior) + [sum(run.evidence) for run in runs])
        self._chances = _normalised(np.log(prior) + [run.evidence[0] for run in runs])
        used = [(weight, run.states) for weight, run in zip(weights, runs, strict=True) if weight >= _NEGLIGIBLE]
        total = sum(weight for weight, _ in used)
        self._state = _mixed([(weight / total, states[0]) for weight, states in used])
        return np.asarray(sum(weight / total * smooth(states) for weight, states in used), np.float64)

    def _prior(self) -> Float64:
        others = (1 - _STAY) / (len(CALMNESS) - 1)
        return self._chances * _STAY + (1 - self._chances) * others

    def _run(self, window: Sequence[Measurement | None], motion: float) -> "_Run":
        """Filter the window with one model."""
        first, *later = window
        run = _Run([], [])
        if self._state is None:
            if first is None:
                raise ValueError("a track begins with a measurement")
            run.states.append(kalman.start(first.coordinates, first.size, Noise(first.noise, motion)))
            run.evidence.append(0.0)
        else:
            run.add(self._state, first, motion)
        for measurement in later:
            run.add(run.states[-1], measurement, motion)
        return run


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One model's account of a window."""

    states: list[State]
    evidence: list[float]
    """Log-likelihood of each frame's measurement."""

    def add(self, last: State, measurement: Measurement | None, motion: float) -> None:
        noise = Noise(0.0 if measurement is None else measurement.noise, motion)
        state, evidence = kalman.predict(last, noise), 0.0
        if measurement is not None:
            surprise, variance = kalman.innovation(state, measurement.coordinates, measurement.size, noise)
            squares = np.minimum(np.square(surprise) / variance, _SURPRISE)
            evidence = -0.5 * _EVIDENCE * float(len(squares) * np.log(variance) + squares.sum())
            state = kalman.update(state, measurement.coordinates, measurement.size, noise)
        self.states.append(state)
        self.evidence.append(evidence)


def _normalised(log_weights: Float64) -> Float64:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum(), np.float64)


def _mixed(parts: Sequence[tuple[float, State]]) -> State:
    """One Gaussian with the mean and covariance of a weighted mixture."""
    if len(parts) == 1:
        return parts[0][1]
    mean = np.asarray(sum(weight * state.mean for weight, state in parts), np.float64)
    covariance = np.zeros((2, 2))
    for weight, state in parts:
        apart = state.mean - mean
        covariance += weight * (state.covariance + apart @ apart.T / mean.shape[1])
    return State(mean, covariance, parts[0][1].step_noise, parts[0][1].size)


class NoiseMeter:
    """Measures how much a track's detections jitter, from themselves.

    Fourth differences take away any even or evenly accelerated movement, and most of a nod, and leave white noise 70
    times stronger in variance (the squares of 1 -4 6 -4 1). Their logarithm is averaged, so that a jerk counts little.
    """

    _DIFFERENCE = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
    _GAIN = float(np.square(_DIFFERENCE).sum())
    _PRIOR = 2.0
    """Frames that the expectation is worth."""
    _MEMORY = 20.0
    """Frames over which the mean reaches back."""

    def __init__(self, expected: float) -> None:
        """`expected` is the standard deviation to begin with, in face sizes."""
        self._log_variance = 2 * float(np.log(expected))
        self._weight = self._PRIOR
        self._recent: list[Float64] = []

    @property
    def deviation(self) -> float:
        """Standard deviation of a coordinate, in face sizes."""
        return float(np.exp(self._log_variance / 2))

    def add(self, coordinates: Float64 | None, size: float) -> None:
        """Take in a frame's (N,) coordinates in pixels; `None` where the face was not detected."""
        if coordinates is None:
            self._recent.clear()
            return
        self._recent = [*self._recent[-4:], coordinates]
        if len(self._recent) == 5:
            difference = self._DIFFERENCE @ np.stack(self._recent) / size
            # The floor is far below any detector's noise: a frozen picture would measure none.
            variance = max(float(np.square(difference).mean()) / self._GAIN, 1e-8)
            self._weight = min(self._weight + 1, self._MEMORY)
            self._log_variance += (np.log(variance) - self._log_variance) / self._weight
