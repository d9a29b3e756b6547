"""Films with a planted fault of known size give the figure that a closed form says."""

import tracemalloc
from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.measure import FIGURES, Measurement, Meter
from gpen_video.types import Frame
from tests.measure.films import MIDDLE, detection, found, frame, texture, tracked

FRAMES = 12


def measured(source: list[NDArray], result: list[NDArray], reference: list[NDArray] | None = None) -> Measurement:
    """One still face, found where it is, in films of gray pictures."""
    meter = Meter()
    for index, (one, other) in enumerate(zip(source, result, strict=True)):
        truth = None if reference is None else found(frame(reference[index], index), detection())
        meter.saw(tracked(frame(one, index)), found(frame(other, index), detection()), truth)
    return meter.measurement()


def test_the_film_itself_is_neither_worse_nor_better() -> None:
    still = [texture()] * 4
    figures = measured(still, still, still).overall
    zero = ("jitter", "jitter_source", "flicker", "flicker_result", "warping_error", "identity_source", "seam")
    assert all(figures[name] == pytest.approx(0, abs=1e-9) for name in zero)
    assert figures["identity_neighbours"] == pytest.approx(0, abs=1e-9)
    assert (figures["psnr"], figures["ssim"]) == (100, pytest.approx(1))
    assert figures["covered"] > 0.95
    assert figures["jitter_ratio"] is figures["warping_ratio"] is None, "nothing trembles in the source"


def test_flicker_of_a_known_size() -> None:
    still = [texture()] * FRAMES
    blinking = [texture() + 0.03 * (index % 2) for index in range(FRAMES)]
    figures = measured(still, blinking).overall
    assert figures["flicker_result"] == pytest.approx(0.03, rel=1e-3)
    assert figures["flicker_source"] == pytest.approx(0, abs=1e-6)
    assert figures["flicker"] == pytest.approx(0.03, rel=1e-3)
    assert figures["warping_error"] == pytest.approx(0.03**2, rel=1e-3)


def test_flicker_of_fresh_noise() -> None:
    """Of two independent normal values of deviation s the difference has the mean absolute value 2 s / sqrt(pi)."""
    rng = np.random.default_rng(0)
    noisy = [texture() + 0.02 * rng.standard_normal(texture().shape) for _ in range(FRAMES)]
    figures = measured([texture()] * FRAMES, noisy).overall
    assert figures["flicker_result"] == pytest.approx(2 * 0.02 / sqrt(pi), rel=0.02)
    assert figures["warping_error"] == pytest.approx(2 * 0.02**2, rel=0.02)


def test_what_flickers_outside_of_the_face_does_not_count() -> None:
    blinking = []
    for index in range(FRAMES):
        picture = texture()
        picture[:, :80] += 0.1 * (index % 2)
        blinking.append(picture)
    assert measured([texture()] * FRAMES, blinking).overall["flicker_result"] == pytest.approx(0, abs=1e-6)


def test_motion_is_no_flicker() -> None:
    """A face that walks three pixels a frame, its texture with it."""
    wide = texture(width=400)
    meter = Meter()
    for index in range(FRAMES):
        picture = wide[:, 60 - 3 * index :][:, :320]
        at = (MIDDLE[0] + 3 * index - 20, MIDDLE[1])
        seen = frame(picture, index)
        meter.saw(tracked(seen, at), found(seen, detection(at)))
    figures = meter.measurement().overall
    assert np.abs(np.diff(wide, axis=1)).mean() > 0.01, "without its motion taken off it would flicker"
    assert figures["flicker_result"] < 1e-3
    assert figures["covered"] > 0.9


def test_motion_within_the_face_is_no_flicker() -> None:
    """The texture walks two pixels a frame through a face that stands: only flow can know."""
    wide = texture(width=400)
    walking = [wide[:, 60 - 2 * index :][:, :320] for index in range(FRAMES)]
    figures = measured(walking, walking).overall
    assert np.abs(wide[:, 2:] - wide[:, :-2]).mean() > 0.03
    assert figures["flicker_result"] < 0.003


def test_a_result_that_wobbles_cannot_explain_it_away() -> None:
    """Motion is looked for in the source alone: a result that moves against it has an error."""
    wide = texture(width=400)
    still, wobbling = [wide[:, 40:360]] * FRAMES, [wide[:, 40 + index % 2 :][:, :320] for index in range(FRAMES)]
    step = np.abs(np.diff(wide, axis=1)).mean()
    assert measured(still, wobbling).overall["flicker_result"] == pytest.approx(step, rel=0.2)


def test_jitter_of_a_known_size() -> None:
    """Independent landmark noise of deviation s: mean length of second differences s sqrt(6) sqrt(pi / 2)."""
    rng, picture = np.random.default_rng(3), frame(texture())
    meter = Meter()
    for index in range(50):
        shakes = [deviation * rng.standard_normal((5, 2)) for deviation in (0.4, 0.1)]
        source, result = (detection(shake=shake) for shake in shakes)
        meter.saw(tracked(_numbered(picture, index), seen=source), found(_numbered(picture, index), result))
    figures = meter.measurement().overall
    factor = sqrt(6) * sqrt(pi / 2)
    assert figures["jitter_source_pixels"] == pytest.approx(0.4 * factor, rel=0.12)
    assert figures["jitter_pixels"] == pytest.approx(0.1 * factor, rel=0.12)
    assert figures["jitter"] == pytest.approx(figures["jitter_pixels"] / 100), "in face sizes: the box is 100 pixels"
    assert figures["jitter_ratio"] == pytest.approx(0.25, rel=0.15)


def test_an_even_walk_is_no_jitter_and_a_shaking_camera_is_taken_off() -> None:
    wide = texture(width=480, height=400)
    rng = np.random.default_rng(5)
    shifts = rng.integers(-6, 7, (FRAMES, 2))
    meter = Meter()
    for index, (right, down) in enumerate(shifts):
        picture = frame(wide[80 - down :, 80 - right :][:240, :320], index)
        at = (130.0 + 2 * index + right, 120.0 + down)  # walks two pixels a frame before a wall that shakes
        meter.saw(tracked(picture, at, detection(at)), found(picture, detection(at)))
    shaken = np.linalg.norm(np.diff(shifts, 2, axis=0), axis=1).mean()
    assert shaken > 5
    assert meter.measurement().overall["jitter_pixels"] < 0.2


def test_a_missed_detection_breaks_the_run_of_three() -> None:
    meter = Meter()
    for index in range(9):
        picture = frame(texture(), index)
        seen = [] if index % 3 == 2 else [detection()]
        meter.saw(tracked(picture), found(picture, *seen))
    assert meter.measurement().overall["jitter"] is None


def test_identity_follows_a_face_that_becomes_another() -> None:
    one, other = texture(1), texture(2)
    same = measured([one] * 4, [one * 0.9 + 0.02] * 4).overall
    assert same["identity_source"] == pytest.approx(0, abs=1e-4), "neither brightness nor contrast is identity"
    changed = measured([one] * 4, [one, one, other, other]).overall
    assert changed["identity_source"] > 0.2
    assert changed["identity_neighbours"] == pytest.approx(2 / 3 * changed["identity_source"], rel=1e-6)
    assert changed["identity_neighbours_source"] == pytest.approx(0, abs=1e-9)


def test_psnr_and_ssim_against_the_truth() -> None:
    truth = [texture()] * 2
    figures = measured([texture() + 0.05] * 2, [texture() + 0.01] * 2, truth).overall
    assert figures["psnr"] == pytest.approx(40, abs=0.01)
    assert figures["psnr_source"] == pytest.approx(-20 * np.log10(0.05), abs=0.01)
    assert figures["ssim_source"] < figures["ssim"] < 1


@pytest.mark.parametrize("how", ["cut", "damaged"])
def test_nothing_is_compared_across_a_cut_or_a_damaged_frame(how: str) -> None:
    pictures = [texture(1)] * 3 + [texture(7)] * 3
    meter = Meter()
    for index, picture in enumerate(pictures):
        white = how == "damaged" and index == 2
        seen = frame(
            np.ones_like(picture) if white else picture,
            index,
            starts_shot=index in (0, 3 * (how == "cut")),
            damaged=white,
        )
        if how == "damaged" and index > 2:
            seen = frame(texture(1), index)
        meter.saw(tracked(seen), found(seen, detection()))
    measurement = meter.measurement()
    assert measurement.overall["flicker_result"] == pytest.approx(0, abs=1e-6)
    assert measurement.overall["identity_neighbours"] == pytest.approx(0, abs=1e-9)
    assert measurement.frames == 6


def test_memory_does_not_grow_with_the_film() -> None:
    meter, picture = Meter(), frame(texture())

    def run(first: int, count: int) -> int:
        for index in range(first, first + count):
            seen = _numbered(picture, index)
            meter.saw(tracked(seen), found(seen, detection()))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = run(0, 6)
        late = run(20_000_000, 6)
    finally:
        tracemalloc.stop()
    assert late - early < 2_000_000, "the curve alone, of at most a thousand stretches, is left"


def test_every_figure_is_there() -> None:
    figures = measured([texture()] * 3, [texture()] * 3).overall
    assert list(figures) == [figure.name for figure in FIGURES]
    assert all(figures[figure.name] is None for figure in FIGURES if figure.needs_reference)


def _numbered(picture: Frame, index: int) -> Frame:
    return replace(picture, index=index, starts_shot=index == 0)
