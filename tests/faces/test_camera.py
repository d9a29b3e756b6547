import cv2
import numpy as np
import pytest

from gpen_video.faces.camera import Camera
from gpen_video.geometry import apply, compose, corners, invert, scaling
from gpen_video.types import Picture
from tests.faces.scenes import FORMATS, picture_of

WIDTH, HEIGHT = 480, 360
EDGE = corners(np.array([0, 0, WIDTH - 1, HEIGHT - 1]))


def texture(seed: int = 0) -> np.ndarray:
    """(H, W) blotches of several sizes, 0 to 1, larger than the frame."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.random((side, side)), (900, 700), interpolation=cv2.INTER_CUBIC) for side in (12, 40, 110)]
    return np.clip(sum(layers) / 3, 0, 1)


SCENE = texture()


def seen(scene_from_frame: np.ndarray, noise: float = 2.0, seed: int = 0, name: str = "gray") -> Picture:
    """The scene through a camera, with fresh noise in 8-bit steps; at rest it looks at (200, 150) of the texture."""
    to_texture = compose(scaling(1, 1, 200, 150), scene_from_frame)
    frame = cv2.warpAffine(SCENE, to_texture, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP) * 255
    frame = frame + np.random.default_rng(seed).normal(0, noise, frame.shape)
    fmt = FORMATS[name]
    plane = np.clip(frame, 0, 255) * 2 ** (fmt.bits - 8)
    chroma = [np.full((HEIGHT, WIDTH) if fmt.log2_chroma_w == 0 else (HEIGHT, WIDTH // 2), 128)] * 2
    return picture_of(fmt, [plane, *chroma] if fmt.family == "yuv" else [plane])


def turned(x: float, y: float, degrees: float = 0.0, scale: float = 1.0) -> np.ndarray:
    angle = np.radians(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([WIDTH, HEIGHT]) / 2
    return np.column_stack([linear, middle - linear @ middle + (x, y)])


def off(found: np.ndarray, truth: np.ndarray) -> float:
    """Pixels by which the corners of the frame are misplaced."""
    return float(np.abs(apply(found, EDGE) - apply(truth, EDGE)).max())


@pytest.mark.parametrize("name", ["gray", "yuv422p10le"])
def test_pan_zoom_and_roll_are_followed(name: str) -> None:
    camera = Camera()
    for t in range(20):
        truth = turned(3 * t, -1.5 * t, 0.2 * t, 1.004**t)
        found = camera.follow(seen(truth, seed=t, name=name), [])
    assert off(found, truth) < 1.5  # of 60 pixels; each frame adds its error


def test_camera_that_stands_is_exactly_still() -> None:
    camera = Camera()
    for t in range(12):
        np.testing.assert_array_equal(camera.follow(seen(turned(0, 0), noise=6, seed=t), []), scaling(1, 1))


def test_coarse_grain_is_no_camera_motion() -> None:
    """Its measured motion is noise alone, of half a pixel, and would shake every face."""
    camera = Camera()
    plain = seen(turned(0, 0), noise=0).planes[0].astype(np.float32)
    for t in range(24):
        grain = cv2.GaussianBlur(np.random.default_rng(t).normal(0, 1, plain.shape), (0, 0), 1.5)
        plane = np.clip(plain * 0.9 + 20 + 10 * grain / grain.std(), 0, 255)
        found = camera.follow(picture_of(FORMATS["gray"], [plane]), [])
        np.testing.assert_array_equal(found, scaling(1, 1))


def test_slow_pan_is_noticed() -> None:
    camera = Camera()
    found = [camera.follow(seen(turned(0.25 * t, 0), seed=t), []) for t in range(50)]
    late = compose(invert(found[30]), found[49])
    assert off(late, turned(0.25 * 19, 0)) < 0.7


def test_camera_comes_to_rest() -> None:
    camera = Camera()
    found = [camera.follow(seen(turned(4.0 * min(t, 8), 0), seed=t), []) for t in range(40)]
    for matrix in found[32:]:
        np.testing.assert_array_equal(matrix, found[32])
    assert off(found[-1], turned(32, 0)) < 1


def test_person_who_walks_is_no_camera() -> None:
    """A large, well-textured thing moves over a scene that stands."""
    person = texture(5)[:300, :160] * 255
    camera = Camera()
    for t in range(15):
        plane = seen(turned(0, 0), seed=t).planes[0].copy()
        left = 20 + 9 * t
        plane[60:360, left : left + 160] = person
        box = np.array([left + 40.0, 60, left + 120.0, 170])
        found = camera.follow(picture_of(FORMATS["gray"], [plane]), [box])
    assert off(found, turned(0, 0)) < 0.5


def test_big_talking_head_before_a_plain_wall_leaves_the_camera_still() -> None:
    head = texture(6)[:300, :260] * 255
    camera = Camera()
    for t in range(15):
        plane = np.full((HEIGHT, WIDTH), 120.0) + np.random.default_rng(t).normal(0, 1, (HEIGHT, WIDTH))
        shift = round(8 * np.sin(t / 2))
        plane[40:340, 110 + shift : 370 + shift] = head
        found = camera.follow(picture_of(FORMATS["gray"], [plane]), [np.array([150.0 + shift, 60, 330 + shift, 320])])
    np.testing.assert_array_equal(found, scaling(1, 1))


def test_the_same_frames_give_the_same_bits() -> None:
    def run() -> np.ndarray:
        camera = Camera()
        return np.stack([camera.follow(seen(turned(3 * t, t), seed=t), []) for t in range(8)])

    one = run()
    cv2.setRNGSeed(1234)
    np.testing.assert_array_equal(one, run())


def test_a_shot_begins_anew() -> None:
    camera = Camera()
    for t in range(5):
        camera.follow(seen(turned(5 * t, 0), seed=t), [])
    camera.reset()
    np.testing.assert_array_equal(camera.follow(seen(turned(80, 0)), []), scaling(1, 1))
