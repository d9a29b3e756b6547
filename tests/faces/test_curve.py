"""HDR: the curves against the standards' own figures, and that nothing is lost on the way there and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpen_video.colour import yuv_from_rgb
from gpen_video.faces.align import Aligner
from gpen_video.faces.curve import Curve, curve_of, hlg_light, pq_light
from gpen_video.faces.mask import face_mask
from gpen_video.faces.paste import paste
from gpen_video.faces.planes import plane_groups
from gpen_video.types import ColourSpec, PixelFormat
from tests.faces.scenes import carrier, frame_of, frozen, masked, noise_picture, painted, ramps, tracked_at
from tests.faces.test_paste import reachable

HDR = ["smpte2084", "arib-std-b67"]
TEN_BITS = np.arange(1024) / 1023
ALPHA = frozen(face_mask(Aligner(64)._template_5xy, 64, 0.12))
FORMATS = [
    PixelFormat("yuv420p10le", "yuv", 10, 1, 1),
    PixelFormat("yuv422p12le", "yuv", 12, 1, 0),
    PixelFormat("yuv444p16le", "yuv", 16),
    PixelFormat("gbrp10le", "rgb", 10),
    PixelFormat("gray16le", "gray", 16),
]


def curve(transfer: str) -> Curve:
    found = curve_of(transfer)
    assert found is not None
    return found


# The inverse EOTF of SMPTE ST 2084 at round figures, to four places as commonly tabled; 203 cd/m2 is ITU-R BT.2408's
# reference white at 58 %.
@pytest.mark.parametrize(
    ("signal", "light"),
    [(0.0, 0.0), (0.1499, 1), (0.5081, 100), (0.5807, 203), (0.7518, 1000), (0.9026, 4000), (1.0, 10000)],
)
def test_light_of_pq(signal: float, light: float) -> None:
    assert float(pq_light(np.array(signal))) == pytest.approx(light, rel=2e-3)


# BT.2100-2, table 5: E' = 0.5 is E = 1/12, E' = 1 is E = 1; 75 % is 203 cd/m2 (BT.2408), 38 % is 26 cd/m2.
@pytest.mark.parametrize(
    ("signal", "light"), [(0.0, 0.0), (0.38, 26), (0.5, 1000 * 12**-1.2), (0.75, 203), (1.0, 1000)]
)
def test_light_of_hlg(signal: float, light: float) -> None:
    assert float(hlg_light(np.array(signal))) == pytest.approx(light, rel=0.01)


@pytest.mark.parametrize("light_of", [pq_light, hlg_light])
def test_light_is_mirrored_below_black(light_of: Any) -> None:
    signal = np.linspace(0.01, 0.5, 9)
    np.testing.assert_array_equal(light_of(-signal), -light_of(signal))


@pytest.mark.parametrize(("transfer", "light_of"), [("smpte2084", pq_light), ("arib-std-b67", hlg_light)])
def test_up_to_the_knee_the_curve_is_the_inverse_eotf_of_bt1886(transfer: str, light_of: Any) -> None:
    expected = (light_of(TEN_BITS) / 203) ** (1 / 2.4)
    low = expected <= 0.75
    assert low.sum() > 500
    np.testing.assert_allclose(curve(transfer).shown_from_signal(TEN_BITS)[low], expected[low], atol=2e-5)


@pytest.mark.parametrize("transfer", HDR)
def test_black_and_peak_are_0_and_1_and_paper_white_is_bright(transfer: str) -> None:
    paper = {"smpte2084": 0.5807, "arib-std-b67": 0.75}[transfer]
    found = curve(transfer).shown_from_signal(np.array([0, 1, paper], np.float32))
    assert found[:2] == pytest.approx([0, 1], abs=1e-5)
    assert 0.8 < found[2] < 0.9


@pytest.mark.parametrize("transfer", HDR)
def test_curve_rises_everywhere_without_a_jump(transfer: str) -> None:
    signal = np.linspace(-0.07, 1.09, 20001).astype(np.float32)  # limited range of 10 bits has -64/876 to 1023/876
    shown = curve(transfer).shown_from_signal(signal)
    steps = np.diff(shown) / np.diff(signal)
    assert steps.min() > 0.1
    assert steps.max() < 4.5


@pytest.mark.parametrize("transfer", HDR)
def test_inverse_is_good_to_a_tenth_of_a_16_bit_code(transfer: str) -> None:
    signal = np.arange(65536) / 65535
    there = curve(transfer).shown_from_signal(signal.astype(np.float32))
    np.testing.assert_allclose(curve(transfer).signal_from_shown(there), signal, atol=0.1 / 65535, rtol=0)


@pytest.mark.parametrize("transfer", [None, "bt709", "bt2020-10", "smpte170m", "iec61966-2-1", "unknown"])
def test_sdr_has_no_curve(transfer: str | None) -> None:
    assert curve_of(transfer) is None


@given(st.sampled_from(HDR), st.floats(-0.25, 1.25, width=32), st.floats(-1, 1, width=32))
def test_change_of_the_signal_follows_and_never_exceeds(transfer: str, shown: float, change: float) -> None:
    at, by = np.array([shown], np.float32), np.array([change], np.float32)
    found = float(curve(transfer).signal_change(at, by)[0])
    assert abs(found) <= abs(change)
    assert found * change >= 0
    more = float(curve(transfer).signal_change(at, by + np.float32(1e-3))[0])
    assert -1e-6 < more - found < 1e-2  # the inverse is nowhere steeper than 10
    assert float(curve(transfer).signal_change(at, np.zeros(1, np.float32))[0]) == 0


@pytest.mark.parametrize("transfer", HDR)
def test_mid_tones_change_by_the_inverse_curve(transfer: str) -> None:
    """Where faces are, from 5 to 100 cd/m2, no limit is felt."""
    light_of = {"smpte2084": pq_light, "arib-std-b67": hlg_light}[transfer]
    signal = np.linspace(0.3, 0.5, 21).astype(np.float32)
    there = curve(transfer)
    shown = there.shown_from_signal(signal)
    after = signal + there.signal_change(shown, np.full_like(shown, 0.02))
    expected = 203 * ((light_of(signal.astype(float)) / 203) ** (1 / 2.4) + 0.02) ** 2.4
    np.testing.assert_allclose(light_of(after.astype(float)), expected, rtol=2e-3)


def test_glint_stays_a_glint() -> None:
    """At 1000 cd/m2, three hundredths more or less are not thrice the light, nor a third."""
    at = curve("smpte2084").shown_from_signal(np.array([0.7518, 0.7518], np.float32))
    change = curve("smpte2084").signal_change(at, np.array([0.03, -0.03], np.float32))
    more, less = pq_light(0.7518 + change.astype(float))
    assert 1100 < more < 1500
    assert 700 < less < 900


@pytest.mark.parametrize("transfer", HDR)
def test_crop_is_the_curve_of_the_sdr_crop(transfer: str) -> None:
    fmt = FORMATS[0]
    sdr = ColourSpec("bt2020nc", False, "bt2020", None, "topleft")
    hdr = ColourSpec("bt2020nc", False, "bt2020", transfer, "topleft")
    face = tracked_at(160, 120, 100, 0.3)
    plain, shown = (Aligner(64).crop(frame_of(painted(fmt, spec, ramps)), face).rgb_hwc for spec in (sdr, hdr))
    np.testing.assert_array_equal(shown, curve(transfer).shown_from_signal(plain))
    assert np.abs(shown - plain).max() > 0.01


places = st.tuples(st.floats(-30, 130), st.floats(-30, 100), st.floats(12, 200), st.floats(-3.2, 3.2))
hdr_specs = st.builds(
    ColourSpec,
    matrix=st.sampled_from(["bt2020nc", None]),
    full_range=st.sampled_from([None, True, False]),
    transfer=st.sampled_from(HDR),
    chroma_location=st.sampled_from([None, "left"]),
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FORMATS), hdr_specs, places)
def test_outside_the_mask_and_without_change_hdr_keeps_its_bits(
    fmt: PixelFormat, spec: ColourSpec, place: tuple[float, float, float, float]
) -> None:
    frame = frame_of(noise_picture(fmt, 101, 77, spec))
    crop = Aligner(64).crop(frame, tracked_at(*place))
    assert paste(carrier(frame, masked(crop, crop.rgb_hwc.copy(), ALPHA)), "restore") is frame
    random = np.random.default_rng(3).normal(0, 0.3, crop.rgb_hwc.shape).astype(np.float32)
    face = masked(crop, crop.rgb_hwc + random, ALPHA)
    after = paste(carrier(frame, face), "restore").picture
    for group in plane_groups(frame.picture):
        for index in group.indices:
            before = frame.picture.planes[index]
            outside = ~reachable(frame.picture, face, group, before)
            np.testing.assert_array_equal(after.planes[index][outside], before[outside])


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("transfer", HDR)
def test_a_change_is_written_as_light(transfer: str, fmt: PixelFormat) -> None:
    """A flat picture of one colour, on which the restorer makes another: the middle has the colour of the curve."""
    spec = ColourSpec("bt2020nc" if fmt.family == "yuv" else None, None, "bt2020", transfer)
    colour = np.full(3, 0.4) if fmt.family == "gray" else np.array([0.45, 0.38, 0.34])
    change = np.full(3, 0.05) if fmt.family == "gray" else np.array([0.06, -0.04, 0.05])

    def flat(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(colour[:, None, None], (3, *x.shape))

    frame = frame_of(painted(fmt, spec, flat))
    crop = Aligner(64).crop(frame, tracked_at(160, 120, 100))
    result = paste(carrier(frame, masked(crop, (crop.rgb_hwc + change).astype(np.float32), ALPHA)), "restore").picture
    there = curve(transfer)
    wanted = there.signal_from_shown((there.shown_from_signal(colour) + change).astype(np.float32))
    samples = yuv_from_rgb(spec, fmt, 240)
    expected = samples.matrix @ wanted + samples.offset
    for group in plane_groups(result):
        x, y = (160 >> fmt.log2_chroma_w, 120 >> fmt.log2_chroma_h) if 0 not in group.indices else (160, 120)
        for index in group.indices:
            # The source's own rounding, the result's, and 1e-4 of the range for the curve between two codes.
            assert abs(int(result.planes[index][y, x]) - expected[index]) <= 1.3 + 1e-4 * 2**fmt.bits


@pytest.mark.parametrize("transfer", HDR)
def test_neutral_hdr_stays_neutral(transfer: str) -> None:
    spec = ColourSpec("bt2020nc", False, "bt2020", transfer)
    frame = frame_of(painted(FORMATS[2], spec, lambda x, y: np.broadcast_to(0.3 + x / 900, (3, *x.shape))))
    crop = Aligner(64).crop(frame, tracked_at(160, 120, 100))
    change = np.array([0.1, -0.05, 0.2], np.float32)
    result = paste(carrier(frame, masked(crop, crop.rgb_hwc + change, ALPHA))).picture
    assert (result.planes[0] != frame.picture.planes[0]).any()
    for index in (1, 2):
        np.testing.assert_array_equal(result.planes[index], frame.picture.planes[index])
