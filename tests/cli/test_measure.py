import json
from pathlib import Path

import cv2
import pytest

from gpen_video.cli import measure
from gpen_video.cli.app import main
from gpen_video.measure import FIGURES
from tests.pipeline.test_measure import FRAMES, brighter, film

Capture = pytest.CaptureFixture[str]
QUICK = ("--device", "cpu", "--set", "track.lag=2", "--set", "track.min_hits=1")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A film and one that flickers."""
    folder = tmp_path_factory.mktemp("films")
    source = film(folder / "source.mkv", lambda rgb, _: brighter(rgb, 0))
    return str(source), str(film(folder / "result.mkv", brighter))


def test_json_plot_and_a_condition_that_is_met(films: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    source, result = films
    report, plot = tmp_path / "figures.json", tmp_path / "plot.png"
    written = ("--json", str(report), "--plot", str(plot))
    asked = ("--fail-if", "flicker>0.02", "--fail-if", "any.flicker_source>0.5", "--fail-if", "flicker_result>=0.01")
    assert main(["measure", source, result, *written, *asked, *QUICK]) == 7
    captured = capsys.readouterr()
    warning, error = captured.err.splitlines()
    assert warning.startswith("gpen-video: warning: ")
    assert "flicker_result>=0.01" in warning
    assert error.startswith(f"gpen-video: error: {result}: flicker>0.02: it is 0.03")
    assert f"worst in track 0 (frames 0 to {FRAMES - 1})" in error
    assert captured.out.splitlines()[0].split()[:3] == ["track", "frames", "jitter"]
    document = json.loads(report.read_text(encoding="utf-8"))
    assert (document["source"], document["result"], document["reference"]) == (source, result, None)
    assert document["frames"] == FRAMES
    assert [failure.split(":")[0] for failure in document["failures"]] == ["flicker>0.02", "flicker_result>=0.01"]
    assert list(document["overall"]) == [figure.name for figure in FIGURES]
    assert document["tracks"][0].keys() == {"track_id", "first_frame", "last_frame", "faces", "figures"}
    picture = cv2.imread(str(plot))
    assert picture.shape[1] == 1000
    assert picture.std() > 5, "something is drawn"


def test_json_on_standard_output_and_a_vector_plot(films: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    source, _ = films
    plot = tmp_path / "plot.svg"
    arguments = (
        "--reference",
        source,
        "--json",
        "-",
        "--plot",
        str(plot),
        "--fail-if",
        "psnr<90",
        "--fail-if",
        "ssim<0.99",
    )
    assert main(["measure", source, source, *arguments, *QUICK]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["overall"]["psnr"], document["failures"], captured.err) == (100, [], "")
    assert "<svg" in plot.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fail-if", "flikker>0.1"), "no figure is called 'flikker'; there is jitter"),
        (("--fail-if", "flicker"), "write NAME>NUMBER"),
        (("--fail-if", "psnr<30"), "psnr needs --reference"),
        (("--plot", "plot.pdf"), "a plot's name must end in .png or .svg"),
        (("--set", "track.lagg=1"), "track.lagg"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused_before_a_film_is_opened(
    arguments: tuple[str, ...], said: str, capsys: Capture
) -> None:
    assert main(["measure", "no_such_film.mkv", "nor_this.mkv", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gpen-video: error: ")
    assert said in line


def test_a_film_that_is_not_there(films: tuple[str, str], capsys: Capture) -> None:
    assert main(["measure", films[0], "no_such_film.mkv"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "no_such_film.mkv" in line


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_where_nothing_can_be_written(option: str, films: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    source, _ = films
    target = tmp_path / "no_such_folder" / "file.png"
    assert main(["measure", source, source, option, str(target), *QUICK]) == 5
    assert f"{target}: cannot be written" in capsys.readouterr().err


def test_the_help_names_every_figure_and_the_options_are_these() -> None:
    parser = measure.build_parser()
    text = parser.format_help()
    assert all(figure.name in text for figure in FIGURES)
    options = {action.option_strings[-1] for action in parser._actions if action.option_strings}
    assert options == {
        *("--reference", "--json", "--plot", "--fail-if", "--help", "--verbose", "--quiet"),
        *("--preset", "--config", "--set", "--device", "--tolerant", "--offline"),
    }
