import pytest

from gpen_video.errors import UsageError
from gpen_video.measure import FIGURES, MeasuredTrack, Measurement, failures, parse_condition
from gpen_video.measure.curve import Curve

NOTHING = {figure.name: None for figure in FIGURES}


def _measurement(overall: float | None, *tracks: float) -> Measurement:
    measured = tuple(
        MeasuredTrack(number, 10 * number, 10 * number + 9, 10, NOTHING | {"flicker": value, "psnr": value})
        for number, value in enumerate(tracks)
    )
    return Measurement(30, measured, NOTHING | {"flicker": overall, "psnr": overall}, Curve(), "looks")


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("flicker>0.02", True),
        ("flicker > 2.9e-2", True),
        ("flicker>0.03", False),
        ("flicker>=0.03", True),
        ("flicker<0.03", False),
        ("flicker<=0.03", True),
        ("any.flicker>0.05", True),
        ("any.flicker>0.06", False),
        ("any.flicker<0.011", True),
        ("seam>0", False),
    ],
)
def test_conditions(text: str, fails: bool) -> None:
    assert bool(failures([parse_condition(text)], _measurement(0.03, 0.01, 0.06, 0.02))) is fails


def test_the_failure_names_the_worst_track() -> None:
    measurement = _measurement(0.03, 0.01, 0.06, 0.02)
    (more,) = failures([parse_condition("flicker>0.02")], measurement)
    assert more == "flicker>0.02: it is 0.03 over all faces, worst in track 1 (frames 10 to 19): 0.06"
    (less,) = failures([parse_condition("psnr<30")], measurement)
    assert "worst in track 0 (frames 0 to 9): 0.01" in less


def test_nothing_measured_fails_nothing() -> None:
    assert failures([parse_condition("flicker>0.02"), parse_condition("any.flicker>0")], _measurement(None)) == []


@pytest.mark.parametrize(
    "text", ["", "flicker", "flicker=1", "flicker>", "flicker>x", "flicker>nan", "flicker>0.1>0.2", "any.>1"]
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(UsageError, match="write NAME>NUMBER"):
        parse_condition(text)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no figure is called 'flikker'; there is jitter, .*ssim_source"):
        parse_condition("flikker>0.1")


def test_only_figures_against_the_truth_need_a_reference() -> None:
    needing = {figure.name for figure in FIGURES if parse_condition(f"{figure.name}<1").needs_reference}
    assert needing == {"psnr", "psnr_source", "ssim", "ssim_source"}
