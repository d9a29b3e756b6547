from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.colour import yuv_from_rgb
from gpen_video.config.schema import BlendSettings
from gpen_video.faces import Aligner, mask_faces, paste_faces
from gpen_video.faces.curve import curve_of
from gpen_video.faces.grain import GRAIN_DELAY, SHARPER, GrainMatcher, grain_field, match_grain
from gpen_video.faces.noise import FilmLook, GrainMeter, blur_of, detail_power, image_blocks
from gpen_video.faces.resample import Roi
from gpen_video.types import ColourSpec, Frame, FrameFaces, Picture, PixelFormat, RestoredFace, Timestamp, TrackedFace

GRAY = PixelFormat("gray", "gray", 8)
YUV = PixelFormat("yuv420p10le", "yuv", 10, 1, 1)
GBR = PixelFormat("gbrp", "rgb", 8)
FULL = ColourSpec(full_range=True)
SIZE = 256
HEIGHT, WIDTH = 320, 416
Image = NDArray[Any]
RestoreWith = Callable[[Image], Image]


def shading(height: int = HEIGHT, width: int = WIDTH) -> Image:
    y, x = np.mgrid[:height, :width]
    return 0.5 + 0.25 * np.sin(x / 90) * np.cos(y / 70)


def shapes(blur: float) -> Image:
    """Overlapping gray rectangles, drawn at four times the size: edges everywhere; `blur` in pixels of the result."""
    rng = np.random.default_rng(3)
    image = np.full((4 * HEIGHT, 4 * WIDTH), 0.5, np.float32)
    for _ in range(500):
        x, y = rng.integers(0, 4 * WIDTH), rng.integers(0, 4 * HEIGHT)
        w, h = rng.integers(24, 160, 2)
        turned = cv2.boxPoints(((float(x), float(y)), (float(w), float(h)), float(rng.uniform(0, 90))))
        cv2.fillPoly(image, [np.rint(turned).astype(np.int32)], float(rng.uniform(0.2, 0.8)))
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), 4 * blur)
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def noise(seed: int, sigma: float, size: float = 0.0, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Image:
    white = np.random.default_rng(seed).normal(size=(shape[0] + 32, shape[1] + 32)).astype(np.float32)
    grain = cv2.GaussianBlur(white, (0, 0), size) if size else white
    return sigma * grain[16:-16, 16:-16] / grain.std()


def frame(index: int, luma: Image, fmt: PixelFormat = GRAY, *, starts_shot: bool | None = None) -> Frame:
    """A black and white picture, rounded to the format."""
    spec = FULL if fmt.family != "yuv" else ColourSpec(matrix="bt709", full_range=False)
    to_samples = yuv_from_rgb(spec, fmt, luma.shape[0])
    planes = []
    for row, offset in zip(to_samples.matrix, to_samples.offset, strict=True):
        plane = luma * row.sum() + offset
        if planes and fmt.log2_chroma_w:
            plane = np.full((luma.shape[0] // 2, luma.shape[1] // 2), float(offset))
        planes.append(np.clip(np.rint(plane), 0, 2**fmt.bits - 1).astype(np.uint8 if fmt.bits == 8 else np.uint16))
    for plane in planes:
        plane.flags.writeable = False
    first = index == 0 if starts_shot is None else starts_shot
    return Frame(index, Timestamp(index, Fraction(1, 24)), Picture(tuple(planes), fmt, spec), 1, first)


def face_in(item: Frame, restore: RestoreWith, width: float = 100.0, track: int = 0) -> RestoredFace:
    """The face in the middle, `width` pixels of the frame across its landmarks' square."""
    unit = np.array([[-0.3, -0.3], [0.3, -0.3], [0.0, 0.05], [-0.24, 0.35], [0.24, 0.35]])
    landmarks = np.array([WIDTH / 2, HEIGHT / 2]) + unit * width
    crop = Aligner(SIZE).crop(item, TrackedFace(track, landmarks, None))
    return RestoredFace(crop, restore(crop.rgb_hwc).astype(np.float32))


def smoothed(rgb: Image) -> Image:
    """A restorer that takes all grain away."""
    return cv2.GaussianBlur(rgb, (0, 0), 12)


def film(
    clean: Image, sigma: float, restore: RestoreWith = smoothed, *, frames: int = 4, seed: int = 0, **options: Any
) -> list[FrameFaces[RestoredFace]]:
    size, fmt, width = options.get("size", 0.7), options.get("fmt", GRAY), options.get("width", 100.0)
    made = []
    for index in range(frames):
        grain = noise(1000 * seed + index, sigma, size, clean.shape[:2]) if sigma else 0
        now = frame(index, clean + grain, fmt)
        made.append(FrameFaces(now, (face_in(now, restore, width),)))
    return made


def measured(frames: Sequence[Frame]) -> FilmLook:
    meter = GrainMeter()
    for now, following in zip(frames, [*frames[1:], None], strict=True):
        meter.measure(now, following.picture if following else None)
    assert meter.look is not None
    return meter.look


def change(item: FrameFaces[RestoredFace], matched: FrameFaces[RestoredFace]) -> Image:
    """What the stage added to the first face, its middle."""
    added = matched.faces[0].rgb_hwc - item.faces[0].rgb_hwc
    return added[32:-32, 32:-32]


# --- measuring ---


@pytest.mark.parametrize("fmt", [GRAY, YUV, GBR], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("codes", [1.5, 4.0, 10.0])
def test_white_noise_is_measured(fmt: PixelFormat, codes: float) -> None:
    sigma = codes / 255
    look = measured([frame(i, shading() + noise(i, sigma), fmt) for i in range(6)])
    assert np.sqrt(look.level_variance[2:6]) == pytest.approx([sigma] * 4, rel=0.1)
    assert look.power_16x9[2:, 2:].std() < 0.15
    assert look.chroma_deviation == pytest.approx([0, 0], abs=1e-6)


def test_one_frame_is_enough_to_begin_with() -> None:
    first, second = (frame(i, shading() + noise(i, 4 / 255)) for i in range(2))
    meter = GrainMeter()
    meter.measure(first, second.picture)
    assert meter.look is not None
    assert np.sqrt(meter.look.level_variance[2:6]) == pytest.approx([4 / 255] * 4, rel=0.1)


def test_strength_follows_brightness() -> None:
    """Grain of 2 codes in the dark and 6 in the light."""
    clean = np.where(np.arange(WIDTH) < WIDTH / 2, 0.2, 0.7) + 0 * shading()
    sigma = np.where(clean < 0.5, 2, 6) / 255
    look = measured([frame(i, clean + sigma * noise(i, 1.0)) for i in range(6)])
    dark, light = look.deviation(np.array([[0.2, 0.7]], np.float32))[0] * 255
    assert dark == pytest.approx(2, rel=0.12) and light == pytest.approx(6, rel=0.12)


@pytest.mark.parametrize("tap", [0.0, 0.15, 0.25])
def test_the_spectrum_of_grain_is_measured(tap: float) -> None:
    """White noise through the filter (tap, 1, tap) has the power (1 + 2 tap cos(2 pi f))^2 along each axis."""
    kernel = np.array([tap, 1, tap]) / (1 + 2 * tap)
    frames = []
    for i in range(24):
        grain = cv2.sepFilter2D(noise(i, 8 / 255), -1, kernel, kernel)
        frames.append(frame(i, shading() + grain))
    power = measured(frames).power_16x9
    expected = ((1 + 2 * tap * np.cos(2 * np.pi * np.array([3, 4, 5]) / 16)) / (1 + 2 * tap)) ** 2
    along = power[[3, 4, 5], 0] + power[0, 3:6]
    assert along / along[0] == pytest.approx(expected / expected[0], rel=0.2)


def test_made_grain_has_the_measured_spectrum() -> None:
    look = measured([frame(i, shading() + noise(i, 6 / 255, 0.8)) for i in range(12)])
    grain = grain_field(look, Roi(0, 0, 256, 256), 5)
    again = measured(
        [frame(i, shading(256, 256) + grain_field(look, Roi(0, 0, 256, 256), i) * 6 / 255) for i in range(8)]
    )
    assert again.level_variance[2:6] == pytest.approx([(6 / 255) ** 2] * 4, rel=0.2)
    wanted, had = look.power_16x9[[0, 0, 2, 4], [3, 5, 2, 4]], again.power_16x9[[0, 0, 2, 4], [3, 5, 2, 4]]
    assert had == pytest.approx(wanted, rel=0.3, abs=0.05)
    assert abs(grain.mean()) < 0.05


def test_made_grain_depends_on_number_and_place_alone() -> None:
    look = measured([frame(i, shading() + noise(i, 6 / 255)) for i in range(3)])
    whole = grain_field(look, Roi(-70, -10, 200, 150), 7)
    part = grain_field(look, Roi(30, 40, 90, 100), 7)
    assert np.allclose(whole[50:110, 100:160], part, atol=1e-5)
    other = grain_field(look, Roi(30, 40, 90, 100), 8)
    assert abs(np.corrcoef(part.ravel(), other.ravel())[0, 1]) < 0.1


def test_a_still_pattern_is_no_grain() -> None:
    """What is the same in each frame is texture, or what a codec repeats."""
    pattern = noise(1, 4 / 255)
    look = measured([frame(i, shading() + pattern + noise(10 + i, 0.2 / 255)) for i in range(4)])
    assert np.sqrt(look.level_variance.max()) * 255 < 0.5


def test_clean_film_has_no_grain() -> None:
    moving = [frame(i, np.roll(shading(), 2 * i, axis=1)) for i in range(5)]
    assert np.sqrt(measured(moving).level_variance.max()) * 255 < 0.3


def test_blocks_of_a_codec_are_no_grain() -> None:
    """Each 8 x 8 block has its own level, new in each frame, as MPEG at low rates has."""
    frames = []
    for i in range(5):
        levels = noise(i, 3 / 255, shape=(HEIGHT // 8, WIDTH // 8))
        frames.append(frame(i, shading() + np.kron(levels, np.ones((8, 8))) + noise(i, 0.7 / 255)))
    assert np.sqrt(measured(frames).level_variance.max()) * 255 < 0.3


@pytest.mark.parametrize("blur", [1.0, 1.4])
@pytest.mark.parametrize("sigma", [0.0, 2 / 255])
def test_blur_is_measured(blur: float, sigma: float) -> None:
    """Sharp rectangles measure 0.3 to 0.5 (a pixel is a box); the rest adds to it as variances do."""
    frames = [frame(i, shapes(blur) + (noise(i, sigma) if sigma else 0)) for i in range(3)]
    found = measured(frames).blur
    assert found is not None and found == pytest.approx(np.hypot(blur, 0.3), rel=0.25)


def test_nothing_of_a_frozen_picture_is_new_and_later_frames_are_learnt_from() -> None:
    frozen = shading() + noise(0, 4 / 255)
    assert measured([frame(i, frozen) for i in range(3)]).level_variance.max() == 0
    thawed = [frame(0, frozen), *(frame(i, shading() + noise(i, 4 / 255)) for i in range(6))]
    assert np.sqrt(measured(thawed).level_variance.max()) * 255 == pytest.approx(4, rel=0.15)


def test_blur_is_not_guessed_where_there_is_no_detail() -> None:
    assert measured([frame(i, shading() + noise(i, 4 / 255)) for i in range(3)]).blur is None


# --- matching ---


@pytest.mark.parametrize("width", [50.0, 100.0, 180.0])
def test_the_face_gets_the_grain_of_its_surroundings(width: float) -> None:
    """In the frame, inside the mask: as much noise as the film has, in fine and in coarse bands."""
    settings = BlendSettings(fade=0)
    realisations = [film(shading(), 5 / 255, seed=seed, width=width) for seed in (1, 2)]
    pasted = [list(paste_faces(mask_faces(match_grain(items), settings), settings)) for items in realisations]
    bare = [list(paste_faces(mask_faces(iter(items), settings), settings)) for items in realisations]
    reach = int(width / 4)
    middle = (slice(HEIGHT // 2 - reach, HEIGHT // 2 + reach), slice(WIDTH // 2 - reach, WIDTH // 2 + reach))

    def bands(pair: Sequence[Sequence[Frame]]) -> Image:
        difference = [a.picture.planes[0].astype(np.float32) - b.picture.planes[0] for a, b in zip(*pair, strict=True)]
        fine = [d - cv2.GaussianBlur(d, (0, 0), 1) for d in difference]
        return np.array([np.std([d[middle] for d in kind]) for kind in (difference, fine)])

    film_has = bands([[item.frame for item in items] for items in realisations])
    assert bands(pasted) == pytest.approx(film_has, rel=0.1)
    assert bands(bare)[0] < 0.93 * film_has[0]  # what the warp there and back leaves of it


def test_grain_is_the_sources_own() -> None:
    items = film(shading(), 5 / 255)
    matched = list(match_grain(items))
    removed = (items[2].faces[0].crop.rgb_hwc - items[2].faces[0].rgb_hwc)[32:-32, 32:-32]
    assert np.corrcoef(change(items[2], matched[2]).ravel(), removed.ravel())[0, 1] > 0.9


def test_restored_detail_is_not_undone() -> None:
    """The source is blurred and grainy, the restored face sharp: the grain comes back, the blur does not."""
    sharp = shapes(0.4)
    wanted = face_in(frame(0, sharp), lambda rgb: rgb).crop.rgb_hwc
    items = film(cv2.GaussianBlur(sharp, (0, 0), 1.2), 4 / 255, lambda rgb: wanted, frames=6)
    # The film is as soft as the face was; what is asked here concerns grain alone.
    matcher = GrainMatcher()
    matcher._softened = lambda face, look, weights: (face, None)  # type: ignore[method-assign, assignment, return-value]
    added = np.mean([change(item, matcher.match(item, None)) for item in items[1:]], axis=0)
    lost = (items[0].faces[0].crop.rgb_hwc - wanted)[32:-32, 32:-32]
    assert np.square(added).mean() < 0.1 * np.square(lost).mean()
    assert np.std(change(items[3], matcher.match(items[3], None))) > 2 / 255


def test_a_scratch_does_not_come_back() -> None:
    """A line of 60 code values that the restorer removed; grain is made in its place."""
    clean = shading()
    items = []
    for i in range(3):
        luma = clean + noise(i, 4 / 255, 0.7)
        luma[:, WIDTH // 2 : WIDTH // 2 + 2] += 60 / 255
        now = frame(i, luma)
        unscratched = face_in(frame(i, clean), lambda rgb: rgb).crop.rgb_hwc
        items.append(FrameFaces(now, (face_in(now, lambda rgb, clean=unscratched: clean),)))
    added = change(items[1], list(match_grain(items))[1])[..., 0]
    column = items[1].faces[0].crop.rgb_hwc[:, :, 0].mean(axis=0)[32:-32].argmax()
    assert abs(added[:, column].mean()) < 0.6 / 255
    assert added[:, column - 1 : column + 2].std() > 1.5 / 255


@pytest.mark.parametrize("fmt", [GRAY, YUV, GBR], ids=lambda fmt: fmt.name)
def test_black_and_white_gets_neutral_grain(fmt: PixelFormat) -> None:
    items = film(shading(), 5 / 255, fmt=fmt)
    added = change(items[2], list(match_grain(items))[2])
    assert added.std() > 2 / 255
    assert np.abs(added - added[..., :1]).max() < 1e-5


def test_colour_film_gets_grain_of_colour_back() -> None:
    """Each of R, G and B with grain of its own, as in colour stock: after the stage each has its own again."""
    items = []
    for i in range(3):
        rgb = [shading() + noise(10 * i + channel, 5 / 255, 0.7) for channel in range(3)]
        planes = tuple(np.clip(np.rint(255 * rgb[channel]), 0, 255).astype(np.uint8) for channel in (1, 2, 0))
        now = replace(frame(i, shading()), picture=Picture(planes, GBR, FULL))
        items.append(FrameFaces(now, (face_in(now, smoothed),)))
    item, matched = items[1], list(match_grain(items))[1]
    removed = (item.faces[0].crop.rgb_hwc - item.faces[0].rgb_hwc)[32:-32, 32:-32]
    for channel in range(3):
        added = change(item, matched)[..., channel]
        assert np.corrcoef(added.ravel(), removed[..., channel].ravel())[0, 1] > 0.8
        assert added.std() == pytest.approx(removed[..., channel].std(), rel=0.25)


def test_a_restorer_that_changes_nothing_leaves_the_very_face() -> None:
    items = film(shading(), 5 / 255, lambda rgb: rgb)
    for item, matched in zip(items, match_grain(items), strict=True):
        assert matched.faces[0] is item.faces[0]


def test_clean_film_gets_no_grain() -> None:
    items = film(shading(), 0.0, frames=3)
    for item, matched in zip(items, match_grain(items), strict=True):
        assert np.array_equal(matched.faces[0].rgb_hwc, item.faces[0].rgb_hwc)


def test_a_soft_film_does_not_get_a_sharp_face() -> None:
    """Film and source face are blurred by 1.6; what comes out is as soft as that over `SHARPER`, and no softer."""
    sharp, soft = shapes(0.3), shapes(1.6)
    wanted = face_in(frame(0, sharp), lambda rgb: rgb, 80).crop.rgb_hwc
    items = film(soft, 0.5 / 255, lambda rgb: wanted, frames=3, width=80.0)
    matched = list(match_grain(items))[-1].faces[0].rgb_hwc[..., 0]

    def blur(rgb: Image, floor: float = 1e-8) -> float:
        side = round(SIZE * float(np.linalg.norm(items[0].faces[0].crop.frame_from_crop_2x3[:, 0])))
        luma = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_CUBIC)[
            side // 5 : -side // 5, side // 5 : -side // 5
        ]
        found = blur_of(detail_power(image_blocks(luma, 8), 0.25), np.full((16, 9), floor))
        assert found is not None
        return found

    source = blur(items[0].faces[0].crop.rgb_hwc[..., 0], (0.6 / 255) ** 2)
    assert blur(wanted[..., 0]) < 0.6 * source
    assert blur(matched) == pytest.approx(source / SHARPER, rel=0.15)


def test_a_sharp_film_leaves_the_face_sharp() -> None:
    sharp = shapes(0.3)
    wanted = face_in(frame(0, sharp), lambda rgb: rgb).crop.rgb_hwc
    items = film(shapes(0.5), 0.0, lambda rgb: wanted, frames=3)
    for item, matched in zip(items, match_grain(items), strict=True):
        assert np.array_equal(matched.faces[0].rgb_hwc, item.faces[0].rgb_hwc)


# --- over time ---


def test_the_same_film_gives_the_same_bits() -> None:
    items = film(shading(), 5 / 255)
    first, second = list(match_grain(items)), list(match_grain(iter(items)))
    renamed = [
        item.with_faces(
            tuple(replace(f, crop=replace(f.crop, face=replace(f.crop.face, track_id=9))) for f in item.faces)
        )
        for item in items
    ]
    for a, b, c in zip(first, second, match_grain(renamed), strict=True):
        assert np.array_equal(a.faces[0].rgb_hwc, b.faces[0].rgb_hwc)
        assert np.array_equal(a.faces[0].rgb_hwc, c.faces[0].rgb_hwc)


def test_a_cut_clears_what_was_measured() -> None:
    clean, grainy = film(shading(), 0.0, frames=3), film(shading(), 8 / 255, frames=2)
    second = [replace(item, frame=replace(item.frame, index=3 + i)) for i, item in enumerate(grainy)]
    for whole, alone in zip(list(match_grain([*clean, *second]))[3:], match_grain(second), strict=True):
        assert np.array_equal(whole.faces[0].rgb_hwc, alone.faces[0].rgb_hwc)


def test_grain_does_not_flicker() -> None:
    """The strength that a face gets changes less from frame to frame than a tenth of itself, from the first on."""
    items = film(shading(), 5 / 255, frames=8)
    strength = [change(item, matched).std() for item, matched in zip(items, match_grain(items), strict=True)]
    assert np.ptp(strength) < 0.1 * np.mean(strength)


def test_no_more_than_the_delay_is_held_back() -> None:
    items = film(shading(), 5 / 255, frames=6)
    taken = 0

    def counted() -> Any:
        nonlocal taken
        for item in items:
            taken += 1
            yield item

    for given_out, _ in enumerate(match_grain(counted())):
        assert taken - given_out - 1 <= GRAIN_DELAY


@pytest.mark.parametrize("shape", [(20, 20), (33, 47), (16, 400)])
def test_small_pictures_pass(shape: tuple[int, int]) -> None:
    now = frame(0, shading(*shape) + noise(0, 0.02, shape=shape))
    items = [FrameFaces(now, (face_in(now, smoothed),))]
    assert len(list(match_grain(items))) == 1


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("level", [0.3, 0.5])
def test_grain_of_hdr_is_measured_as_the_crops_show_it(transfer: str, level: float) -> None:
    # Noise of known deviation in the signal, small enough that the curve is straight over it.
    fmt, deviation = PixelFormat("yuv420p10le", "yuv", 10, 1, 1), 4.0
    colour = ColourSpec(matrix="bt2020nc", full_range=False, transfer=transfer)
    curve = curve_of(transfer)
    assert curve is not None
    meter, rng = GrainMeter(), np.random.default_rng(0)
    middle = 64 + 876 * level
    pictures = []
    for _ in range(6):
        luma = np.rint(middle + deviation * rng.standard_normal((288, 352))).astype(np.uint16)
        pictures.append(Picture((luma, *(np.full((144, 176), 512, np.uint16),) * 2), fmt, colour))
    for index, picture in enumerate(pictures):
        time = Timestamp(index, Fraction(1, 24))
        following = pictures[index + 1] if index + 1 < len(pictures) else None
        meter.measure(Frame(index, time, picture, starts_shot=index == 0), following)
    ends = curve.shown_from_signal(np.array([level - deviation / 876, level + deviation / 876], np.float32))
    expected = float(ends[1] - ends[0]) / 2
    assert meter.look is not None
    shown = curve.shown_from_signal(np.array([level], np.float32))
    assert float(meter.look.deviation(shown)[0]) == pytest.approx(expected, rel=0.12)
