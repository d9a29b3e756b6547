"""Cuts, on pictures whose cuts are known."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from gpen_video.config.schema import ShotSettings
from gpen_video.media import mark_shots, shot_delay
from gpen_video.media.formats import pixel_format
from gpen_video.types import ColourSpec, Frame, Picture, Timestamp


def film(levels: list[int], name: str = "yuv420p") -> list[Frame]:
    """Textured frames, one a level: the texture moves a little, the brightness follows the level (0 to 200)."""
    random = np.random.default_rng(5)
    fmt = pixel_format(name)
    texture = random.integers(0, 30, (96, 160))
    frames = []
    for index, level in enumerate(levels):
        dtype, shift = (np.uint8, 0) if fmt.bits == 8 else (np.uint16, fmt.bits - 8)
        luma = (np.roll(texture, index, axis=1) + level + 16).astype(dtype) << shift
        chroma = np.full((96 >> fmt.log2_chroma_h, 160 >> fmt.log2_chroma_w), 128 << shift, dtype)
        count = {"gray": 0, "yuv": 2, "rgb": 2}[fmt.family]
        planes = (luma, *([luma if fmt.family == "rgb" else chroma] * count))
        for plane in planes:
            plane.flags.writeable = False
        frames.append(Frame(index, Timestamp(index, Fraction(1, 25)), Picture(planes, fmt, ColourSpec())))
    return frames


def cuts(frames: list[Frame], settings: ShotSettings | None = None) -> list[int]:
    return [frame.index for frame in mark_shots(frames, settings or ShotSettings()) if frame.starts_shot]


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gray", "gray16le", "gbrp", "gbrp12le"])
def test_cuts_are_found_in_every_kind_of_picture(name: str) -> None:
    assert cuts(film([20] * 20 + [180] * 20 + [60] * 20, name)) == [0, 20, 40]


def test_a_change_of_exposure_is_no_cut() -> None:
    assert cuts(film(list(range(0, 200, 4)))) == [0]


def test_in_black_and_white_a_cut_need_not_be_three_times_as_strong() -> None:
    """Hue and saturation do not change there."""
    assert cuts(film([40] * 20 + [80] * 20, "gray")) == [0, 20]


def test_no_shot_is_shorter_than_asked() -> None:
    blinking = film(([20] * 3 + [180] * 3) * 8)
    starts = cuts(blinking, ShotSettings(min_length=10))
    assert len(starts) > 2
    assert min(np.diff(starts)) >= 10


def test_switched_off_the_film_is_one_shot() -> None:
    assert cuts(film([20] * 20 + [180] * 20), ShotSettings(enabled=False)) == [0]


@pytest.mark.parametrize(
    ("settings", "delay"),
    [
        (ShotSettings(), 19),
        (ShotSettings(dissolves=False), 3),
        (ShotSettings(dissolves=False, flash=0), 0),
        (ShotSettings(enabled=False), 0),
    ],
)
def test_frames_pass_unchanged_with_the_stated_delay_and_the_source_is_closed(
    settings: ShotSettings, delay: int
) -> None:
    frames, taken, closed = film([20] * 20 + [180] * 20), [], []

    def source() -> Iterator[Frame]:
        try:
            for frame in frames:
                taken.append(frame.index)
                yield frame
        finally:
            closed.append(True)

    assert shot_delay(settings) == delay
    marked = mark_shots(source(), settings)
    for count in range(1, 15):
        frame = next(marked)
        assert len(taken) == count + delay
        assert frame.picture is frames[count - 1].picture and frame.time == frames[count - 1].time
    marked.close()
    assert closed


def test_an_error_passes_unchanged() -> None:
    failure = RuntimeError("from upstream")

    def source() -> Iterator[Frame]:
        yield from film([20])
        raise failure

    with pytest.raises(RuntimeError) as caught:
        list(mark_shots(source(), ShotSettings()))
    assert caught.value is failure
