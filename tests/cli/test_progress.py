import io
from pathlib import Path

import pytest

from gpen_video.cli.console import Console, _Stream
from gpen_video.cli.progress import CountDisplay, RunDisplay, TrainingDisplay, TransferDisplay, clock, headline, shares
from gpen_video.pipeline.observe import Progress
from gpen_video.train.recipes import by_name
from gpen_video.train.training import Report


def _progress(frames: int, total: int | None, seconds: float) -> Progress:
    spent = {"decode": 1.0, "detect": 2.0, "restore": 5.0}
    return Progress(frames=frames, total_frames=total, faces=7, seconds=seconds, stage_seconds=spent)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"), (7384.2, "2:03:04")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_headline_counts_and_predicts() -> None:
    assert headline(_progress(50, 200, 25.0)) == "50/200 frames, 7 faces, 2 fps, 1:15 left"
    assert headline(_progress(50, None, 25.0)) == "50 frames, 7 faces, 2 fps"
    assert headline(_progress(0, 200, 0.0)) == "0/200 frames, 7 faces"
    assert headline(_progress(201, 200, 201.0)) == "201/200 frames, 7 faces, 1 fps, 0:00 left"


def test_shares_are_parts_of_the_whole() -> None:
    assert shares({"decode": 1.0, "detect": 2.0, "restore": 5.0}) == "restore 62%, detect 25%, decode 12%"
    assert shares({}) == ""
    assert shares({"decode": 0.0}) == ""


def _console(terminal: bool) -> tuple[Console, io.StringIO]:
    console, written = Console(), io.StringIO()
    console.err = _Stream(file=written, force_terminal=terminal, width=100, highlight=False)
    return console, written


def test_on_a_terminal_the_run_is_drawn() -> None:
    console, written = _console(terminal=True)
    with RunDisplay(console) as display:
        display.progressed(_progress(50, 200, 25.0))
    assert "50/200 frames, 7 faces, 2 fps, 1:15 left" in written.getvalue()
    assert "restore 62%" in written.getvalue()


@pytest.mark.parametrize("quiet_terminal", [True, False])
def test_elsewhere_only_warnings_come_out_each_once(quiet_terminal: bool) -> None:
    console, written = _console(terminal=quiet_terminal)
    console.quiet = quiet_terminal
    with RunDisplay(console) as display:
        display.progressed(_progress(50, 200, 25.0))
        display.warned("the film breaks off")
        display.warned("the film breaks off")
    with TransferDisplay(console, "gpen-bfr-512") as transfer:
        transfer.advanced(10, 100)
    assert written.getvalue() == "gpen-video: warning: the film breaks off\n"


def test_a_download_is_drawn() -> None:
    console, written = _console(terminal=True)
    with TransferDisplay(console, "gpen-bfr-512") as transfer:
        transfer.advanced(100, 100)
    assert "gpen-bfr-512" in written.getvalue()
    assert "100/100 bytes" in written.getvalue()


def test_counted_things_are_drawn() -> None:
    console, written = _console(terminal=True)
    with CountDisplay(console, "faces found") as display:
        display.advanced(3, 40)
    assert "faces found" in written.getvalue() and "3/40" in written.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_training_is_drawn_or_told_line_by_line(terminal: bool) -> None:
    console, written = _console(terminal=terminal)
    console.verbose = True
    with TrainingDisplay(console) as display:
        display.entered(by_name("gpen-lite-256")[0])
        display.resumed(320)
        display.reported(Report(640, 640_000, 12.5, {"generator": 0.71234}))
    assert "after 320 images" in written.getvalue()
    assert "12.5 images/s, generator 0.7123" in written.getvalue()
    assert ("640/640000:" in written.getvalue()) != terminal


def test_the_console_takes_markup_and_width_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.line("[red]x[/red] :smile: " + "y" * 300)
    console.table(("a",), [("[b]z[/b] " + "w" * 300,)])
    console.warning(str(Path("a\x1b[31mb\nc")))
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "[red]x[/red] :smile: " + "y" * 300
    assert captured.out.splitlines()[2].rstrip() == "[b]z[/b] " + "w" * 300
    assert captured.err == "gpen-video: warning: a\\x1b[31mb\\nc\n"
