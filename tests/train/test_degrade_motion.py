import cv2
import numpy as np
import pytest

from gpen_video.geometry import apply, compose, invert
from gpen_video.train.degrade import MILD, Ranges, camera_path, training_clip
from gpen_video.train.degrade.mixture import draw_archival, draw_published, run

SIDE = 128
SPOTS = np.array([[40.0, 44.0], [90.0, 40.0], [64.0, 92.0]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def spots() -> np.ndarray:
    """Three soft, bright spots on black at whole pixels."""
    y, x = np.mgrid[:SIDE, :SIDE]
    made = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 3.0**2)) for u, v in SPOTS)
    return np.repeat((0.9 * np.asarray(made, np.float32))[:, :, None], 3, axis=2)


def centroid(frame: np.ndarray, near_xy: np.ndarray) -> np.ndarray:
    left, top = np.round(near_xy).astype(int) - 14
    window = frame[top : top + 29, left : left + 29].mean(axis=2).astype(np.float64)
    window = np.clip(window - window.min() - 0.02, 0, None)
    y, x = np.mgrid[:29, :29]
    return np.array([(window * x).sum() + left * window.sum(), (window * y).sum() + top * window.sum()]) / window.sum()


@pytest.mark.parametrize("seed", range(12))
def test_the_affine_says_where_the_content_went(spots: np.ndarray, seed: int) -> None:
    clip = training_clip(spots, rng(seed), 8)
    np.testing.assert_array_equal(clip.frame_from_first_t23[0], [[1, 0, 0], [0, 1, 0]])
    for frame, matrix in zip(clip.target_thwc, clip.frame_from_first_t23, strict=True):
        expected = apply(matrix, SPOTS)
        found = [centroid(frame, point) for point in expected]
        np.testing.assert_allclose(found, expected, atol=0.08)
    assert np.abs(clip.frame_from_first_t23[-1][:, 2]).max() > 0.1


def test_neighbouring_targets_agree_after_alignment() -> None:
    portrait = cv2.GaussianBlur(rng().random((SIDE, SIDE, 3), np.float32), (0, 0), 3)
    portrait = (portrait - portrait.min()) / np.ptp(portrait)
    for seed in range(6):
        clip = training_clip(portrait, rng(seed), 5)
        for t in range(1, 5):
            step = compose(clip.frame_from_first_t23[t], invert(clip.frame_from_first_t23[t - 1]))
            before, now = clip.target_thwc[t - 1] / clip.gain_t[t - 1], clip.target_thwc[t] / clip.gain_t[t]
            aligned = cv2.warpAffine(before, step, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
            inside = (slice(16, -16), slice(16, -16))
            valid = (clip.target_thwc[t] < 0.99) & (clip.target_thwc[t - 1] < 0.99)  # gain clips at white
            error = np.abs(aligned - now)[inside][valid[inside]]
            assert np.mean(error) < 0.004
            unmoved = np.abs(before - now)[inside][valid[inside]]
            assert np.mean(error) < np.mean(unmoved)


def test_shapes_seed_and_input(spots: np.ndarray) -> None:
    wide = np.ascontiguousarray(spots[:60, :100])
    wide.flags.writeable = False
    for frames in (1, 4):
        clip, again = training_clip(wide, rng(3), frames), training_clip(wide, rng(3), frames)
        assert clip.degraded_thwc.shape == clip.target_thwc.shape == (frames, 60, 100, 3)
        assert clip.degraded_thwc.dtype == clip.target_thwc.dtype == np.float32
        assert clip.frame_from_first_t23.shape == (frames, 2, 3) and clip.gain_t.shape == (frames,)
        np.testing.assert_array_equal(clip.degraded_thwc, again.degraded_thwc)
    with pytest.raises(ValueError, match="at least one frame"):
        training_clip(wide, rng(), 0)


def test_zoom_and_turn_are_about_the_middle() -> None:
    path = camera_path(rng(), (101, 61), 9, pan=(0, 0), zoom=(0.02, 0.02), turn=(3, 3), sway=(0, 0), weave=(0, 0))
    for t, matrix in enumerate(path):
        np.testing.assert_allclose(apply(matrix, np.array([[50.0, 30.0]])), [[50, 30]], atol=1e-9)
        scale, angle = np.exp(0.02 * t), np.radians(3 * t)
        np.testing.assert_allclose(matrix[:, 0], [scale * np.cos(angle), scale * np.sin(angle)])


def test_motion_is_slow_and_smooth() -> None:
    for seed in range(20):
        path = camera_path(rng(seed), (256, 256), 12)
        centre = np.array([apply(matrix, np.array([[127.5, 127.5]]))[0] for matrix in path])
        assert np.abs(np.diff(centre, axis=0)).max() < 0.016 * 256
        assert np.abs(np.diff(centre, 2, axis=0)).max() < 0.012 * 256


def test_some_clips_blink(spots: np.ndarray) -> None:
    small = np.ascontiguousarray(spots[::8, ::8])
    blinking = [np.ptp(training_clip(small, rng(seed), 3).gain_t) > 0 for seed in range(100)]
    assert np.mean(blinking) == pytest.approx(1 / 3, abs=0.16)


def test_all_frames_share_the_chain_but_not_the_noise(spots: np.ndarray) -> None:
    quiet = draw_published(rng(1), Ranges(noise=(0, 0)))
    np.testing.assert_array_equal(run(quiet, spots, rng(1)), run(quiet, spots, rng(2)))
    noisy = draw_published(rng(1), Ranges(noise=(10, 10), blur_sigma=MILD.blur_sigma, down=(1, 1), jpeg=(100, 100)))
    grey = np.full_like(spots, 0.5)
    first, second = run(noisy, grey, rng(1)) - 0.5, run(noisy, grey, rng(2)) - 0.5
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    assert first.std() == pytest.approx(second.std(), rel=0.05)


@pytest.mark.parametrize("seed", range(30))
def test_frames_of_one_chain_differ_less_than_two_chains(spots: np.ndarray, seed: int) -> None:
    """Strength and kind of everything stay: two runs are as far from the image as one another."""
    chain = draw_archival(rng(seed), black_and_white=True)
    errors = [np.square(run(chain, spots, rng((seed, t))) - spots).mean() for t in range(3)]
    assert max(errors) < 1.6 * min(errors) + 2e-3
