import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from gpen_video.cli.app import main
from gpen_video.config import Settings, resolve
from tests.cli.films import make_film

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path / "in.mkv")


def test_a_film_goes_in_and_a_film_comes_out(film: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "out.mkv"
    assert main([str(film), str(target), "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "", "nobody watches: nothing but warnings is printed"
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


def test_verbose_sums_up(film: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main([str(film), str(tmp_path / "out.mkv"), "--device", "cpu", "-v"]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'out.mkv'}: 8 frames, 0 faces in 0 tracks and 1 shots, 0:")


def test_a_dry_run_tells_everything_and_writes_nothing(film: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = [str(film), str(tmp_path / "out.mkv"), "--dry-run", "--preset", "archival-bw", "--set", "track.lag=3"]
    assert main([*arguments, "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines()]
    assert ["track.lag", "3", "command", "line"] in rows
    assert ["blend.chroma", "keep", "preset", "archival-bw"] in rows
    assert ["media.tolerant", "false", "default"] in rows
    assert ["encode.options.tune", "grain", "preset", "archival-bw"] in rows
    assert {row[0] for row in rows if row} >= {key for key, _, _ in resolve().items()}
    assert ["0", "video", "(restored)", "h264"] in [row[:4] for row in rows]
    assert any(row[:2] == ["encoder:", "libx264"] for row in rows)
    assert any(row[:1] == ["networks:"] and Settings().restore.weights in row for row in rows)
    assert any(row[:1] == ["lost:"] for row in rows)
    assert not (tmp_path / "out.mkv").exists()


def test_a_result_is_not_overwritten_unasked(film: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "out.mkv"
    target.write_bytes(b"precious")
    assert main([str(film), str(target), "--device", "cpu"]) == 5
    assert str(target) in capsys.readouterr().err
    assert target.read_bytes() == b"precious"
    assert main([str(film), str(target), "--device", "cpu", "--overwrite"]) == 0
    assert target.read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("none.mkv", [], 3),
        ("text.mkv", [], 3),
        ("in.mkv", ["--weights", "none.pth"], 4),
        ("in.mkv", ["--weights", "text.mkv"], 4),
        ("in.mkv", ["--weights", "gpen-bfr-512", "--offline"], 4),
        ("in.mkv", ["--device", "quantum"], 2),
        ("in.mkv", ["--codec", "nonsense"], 2),
        ("in.mkv", ["--encoder-option", "nonsense=1"], 2),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    film: Path,
    tmp_path: Path,
    name: str,
    options: list[str],
    code: int,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPEN_VIDEO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mkv").write_text("this is no film, and these are no weights", encoding="utf-8")
    assert main([name, "out.mkv", *options]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("gpen-video: error: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "text.mkv"]


def heed_sigint() -> None:
    """A shell's background jobs, of which this test may be one, start with SIGINT ignored, and so would theirs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    film = make_film(tmp_path / "in.mkv", frames=150, width=320, height=240)
    command = [sys.executable, "-m", "gpen_video", str(film), str(tmp_path / "out.mkv"), "--device", "cpu", "-v"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_sigint) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the plan: the run has begun
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)  # in impatience
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "gpen-video: stopped; nothing was written"
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
