import numpy as np

from gpen_video.faces.resample import Roi
from gpen_video.measure.motion import FlowFinder, View, consistent, motion_edges
from tests.measure.films import texture


def _view(luma: np.ndarray, frame: int) -> View:
    return View(luma.astype(np.float32), Roi(0, 0, luma.shape[1], luma.shape[0]), frame)


def test_the_flow_of_a_shift_is_the_shift() -> None:
    wide = texture(width=200, height=120)
    motion = FlowFinder().between(_view(wide[:, 18:178], 1), _view(wide[:, 20:180], 0))
    inner = motion.flow_hw2[12:-12, 12:-12]
    assert np.abs(inner - (-2, 0)).max() < 0.25
    assert motion.known_hw[12:-12, 12:-12].mean() > 0.95
    assert not motion.known_hw[:, :1].any(), "it came from outside of the window"


def test_what_was_hidden_is_not_known() -> None:
    """A disc that jumps aside uncovers what the last frame does not show."""
    wall, other = texture(1, 160, 160), texture(9, 160, 160)
    y, x = np.mgrid[:160, :160]
    last = np.where(np.hypot(x - 70, y - 80) < 30, other, wall)
    now = np.where(np.hypot(x - 78, y - 80) < 30, np.roll(other, 8, 1), wall)
    uncovered = (np.hypot(x - 70, y - 80) < 29) & (np.hypot(x - 78, y - 80) > 31)
    motion = FlowFinder().between(_view(now, 1), _view(last, 0))
    assert motion.known_hw[uncovered].mean() < 0.5
    assert motion.known_hw[20:-20, 130:150].mean() > 0.9


def test_the_published_thresholds() -> None:
    there = np.zeros((20, 20, 2), np.float32)
    back = there + np.float32([0.7, 0])
    assert consistent(there, back).all(), "0.49 is at most 0.0049 + 0.5"
    assert not consistent(there, back + np.float32([0.1, 0])).any(), "0.64 is more than 0.0064 + 0.5"
    sheared = there.copy()
    sheared[..., 0] = np.arange(20) * 0.1
    assert motion_edges(sheared)[:, 1].all(), "0.01 is more than 0.01 * 0.01 + 0.002"
    assert not motion_edges(there + 3).any()
