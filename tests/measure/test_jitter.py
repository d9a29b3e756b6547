from math import pi, sqrt

import numpy as np
import pytest

from gpen_video.measure.jitter import acceleration


def test_noise_has_the_length_of_the_closed_form() -> None:
    noise = 0.7 * np.random.default_rng(0).standard_normal((20_000, 3, 5, 2))
    mean = np.mean([acceleration(trail) for trail in noise])
    assert mean == pytest.approx(0.7 * sqrt(6) * sqrt(pi / 2), rel=0.01)


def test_even_motion_has_none_and_even_acceleration_its_own() -> None:
    face = np.arange(10.0).reshape(5, 2)
    step = np.array([3.0, -4.0])
    assert acceleration([face, face + step, face + 2 * step]) == pytest.approx(0, abs=1e-12)
    assert acceleration([face, face, face + step]) == pytest.approx(5)
