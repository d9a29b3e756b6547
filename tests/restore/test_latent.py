"""The latent's filter: calm for noise, quick for change, in units of the latent's own noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpen_video.restore.latent import LONGEST_STEP, LatentSteadier, Moment

DIM = 64


def noisy(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, DIM)).astype(np.float32)


def along(latents: np.ndarray, strength: float = 0.7) -> np.ndarray:
    return LatentSteadier(strength).along([Moment(0, 0, t) for t in range(len(latents))])(latents)


def power(latents: np.ndarray) -> float:
    return float(np.square(latents).mean())


def test_noise_is_calmed_as_far_as_the_strength_says() -> None:
    """The variance of a recursive mean of gain k is k / (2 - k) of the noise's: 0.18 for 0.3."""
    steadied = along(noisy(200))
    assert power(steadied[20:]) == pytest.approx(0.3 / 1.7, rel=0.25)


def test_a_change_of_the_face_is_followed_in_its_own_frame() -> None:
    true = np.where(np.arange(60) < 30, 0, 6)[:, None] * np.ones(DIM, np.float32)
    steadied = along((true + noisy(60)).astype(np.float32))
    assert power(steadied[30] - true[30]) < 2  # what lags is no more than the noise of one frame
    assert power(steadied[30] - true[30]) < 0.06 * 36


def test_an_even_change_is_not_taken_for_noise() -> None:
    true = 0.8 * np.arange(60)[:, None] * np.ones(DIM, np.float32)
    error = along((true + noisy(60)).astype(np.float32)) - true
    assert power(error[20:]) < 1.3


def test_a_face_that_does_not_boil_comes_out_as_it_came() -> None:
    still = np.repeat(noisy(1), 20, axis=0)
    np.testing.assert_array_equal(along(still), still)


@settings(max_examples=30, deadline=None)
@given(st.integers(-12, 12))
def test_the_scale_of_the_latent_makes_no_difference(exponent: int) -> None:
    latents, scale = noisy(20), np.float32(2.0**exponent)
    np.testing.assert_allclose(along(latents * scale), along(latents) * scale, rtol=1e-4, atol=1e-5 * scale)


def test_parts_of_any_number_give_the_same() -> None:
    latents = noisy(12)
    steady = LatentSteadier(0.7).along([Moment(0, 0, t) for t in range(12)])
    parts = [steady(latents[:5]), steady(latents[5:6]), steady(latents[6:])]
    np.testing.assert_array_equal(np.concatenate(parts), along(latents))


def test_tracks_do_not_mix() -> None:
    one, other = noisy(10, 1), noisy(10, 2)
    steadier = LatentSteadier(0.7)
    both = [[steadier.steady(Moment(k, 0, t), own[t]) for k, own in enumerate((one, other))] for t in range(10)]
    np.testing.assert_array_equal([pair[0] for pair in both], along(one))
    np.testing.assert_array_equal([pair[1] for pair in both], along(other))


@pytest.mark.parametrize("moment", [Moment(0, 1, 10), Moment(0, 0, 9 + LONGEST_STEP + 1), Moment(1, 0, 10)])
def test_a_cut_a_gap_and_another_track_start_anew(moment: Moment) -> None:
    steadier, latents = LatentSteadier(0.9), noisy(11)
    for t in range(10):
        steadier.steady(Moment(0, 0, t), latents[t])
    np.testing.assert_array_equal(steadier.steady(moment, latents[10]), latents[10])


def test_nothing_is_learnt_from_a_damaged_frame() -> None:
    latents = noisy(12)
    steadier, unhurt = LatentSteadier(0.7), LatentSteadier(0.7)
    for t in range(12):
        if t == 6:
            white = np.full(DIM, 100, np.float32)
            np.testing.assert_array_equal(steadier.steady(Moment(0, 0, t, damaged=True), white), white)
        else:
            expected = unhurt.steady(Moment(0, 0, t), latents[t])
            np.testing.assert_array_equal(steadier.steady(Moment(0, 0, t), latents[t]), expected)


def test_the_influence_of_a_frame_fades() -> None:
    one = noisy(60)
    other = np.concatenate([one[:1] + 0.5, one[1:]])
    apart = np.abs(along(one) - along(other)).max(axis=1)
    assert apart[0] > 0.4
    assert apart[40] < 1 / 510
