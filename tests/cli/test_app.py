import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from gpen_video.cli import presets
from gpen_video.cli.app import COMMANDS, main
from gpen_video.config import presets as config_presets
from tests.cli.command import gpen_video

Capture = pytest.CaptureFixture[str]

_REPORT = """
import json, resource, sys
from gpen_video.cli.app import main
try:
    code = main(sys.argv[1:])
except SystemExit as leave:
    code = leave.code
usage = resource.getrusage(resource.RUSAGE_SELF)
heavy = [name for name in ("torch", "cv2", "av", "facexlib", "scipy", "numba") if name in sys.modules]
print(json.dumps([code, heavy, usage.ru_utime + usage.ru_stime]), file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="measures with getrusage")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["presets", "--help"],
        ["presets", "list"],
        ["presets", "show", "tape"],
        ["weights", "--help"],
        ["weights", "list"],
        ["weights", "path"],
        ["inspect", "--help"],
    ],
    ids=" ".join,
)
def test_help_and_lists_are_quick_and_import_nothing_heavy(arguments: list[str]) -> None:
    least = 99.0
    for _ in range(5):  # the least of some runs, in processor time: the machine may be busy
        done = subprocess.run([sys.executable, "-c", _REPORT, *arguments], capture_output=True, text=True, check=True)
        code, heavy, seconds = json.loads(done.stderr.splitlines()[-1])
        assert (code or 0, heavy) == (0, [])
        assert done.stdout.strip()
        least = min(least, seconds)
        if least < 0.5:
            return
    pytest.fail(f"{least} seconds of processor time")


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"gpen-video {version('gpen-video')}\n"


def test_help_names_every_command(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"gpen-video {command}" in text for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "the following arguments are required: IN, OUT; see gpen-video --help"),
        (["in"], 2, "the following arguments are required: OUT; see gpen-video --help"),
        (["a", "b", "c"], 2, "unrecognized arguments: c; see gpen-video --help"),
        (["a", "b", "--stren", "1"], 2, "unrecognized arguments: --stren 1; see gpen-video --help"),
        (["presets"], 2, "the following arguments are required: list|show; see gpen-video presets --help"),
        (
            ["a", "b", "-q", "-v"],
            2,
            "argument -v/--verbose: not allowed with argument -q/--quiet; see gpen-video --help",
        ),
        (
            ["a", "b", "--strength", "2"],
            2,
            "restore.strength = 2 (from command line): should be less than or equal to 1",
        ),
        (["a", "b", "--crf", "99"], 2, "encode.crf = 99 (from command line): should be less than or equal to 63"),
        (["a", "b", "--crf", "good"], 2, "encode.crf = 'good' (from command line): should be a valid number"),
        (
            ["a", "b", "--set", "restore.strenght=1"],
            2,
            "restore.strenght (from command line): unknown setting; did you mean restore.strength?",
        ),
        (["a", "b", "--config", "none.toml"], 2, "none.toml: cannot be read: No such file or directory"),
        (
            ["a", "b", "--encoder-option", "x"],
            2,
            "--encoder-option x: write KEY=VALUE, for example --encoder-option tune=grain",
        ),
        (
            ["weights", "path", "gpen-bfr-51"],
            4,
            "gpen-bfr-51: no weights of this name, and no such file; did you mean gpen-bfr-512?",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line_with_the_code_of_their_kind(
    arguments: list[str], code: int, message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"gpen-video: error: {message}\n"


def test_an_unknown_preset_lists_them(capsys: Capture) -> None:
    assert main(["a", "b", "--preset", "tapes"]) == 2
    assert "tapes: unknown preset; did you mean tape? The presets are archival-bw, " in capsys.readouterr().err


@pytest.mark.parametrize("verbose", [False, True])
def test_a_fault_of_our_own_is_one_line_unless_asked(
    verbose: bool, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty() -> None:
        raise KeyError("planted")

    monkeypatch.setattr(config_presets, "find_presets", faulty)
    assert main(["presets", "list", *(["-v"] if verbose else [])]) == 1
    *before, last = capsys.readouterr().err.splitlines()
    assert last == "gpen-video: internal error: KeyError: 'planted'; please report it, with -v for the traceback"
    assert any(line.startswith("Traceback") for line in before) == verbose
    assert bool(before) == verbose


def test_ctrl_c(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(presets, "run", interrupted)
    assert main(["presets", "list"]) == 130
    assert capsys.readouterr().err == "gpen-video: stopped; nothing was written\n"


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
@pytest.mark.parametrize("arguments", [["weights", "list"], ["--help"], ["presets", "show", "tape"]])
def test_a_closed_pipe_is_no_error(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "gpen_video", *arguments]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


def test_names_of_commands_and_names_with_dashes(tmp_path: Path) -> None:
    as_command = gpen_video("presets", "list", cwd=tmp_path)
    assert as_command.returncode == 0
    as_file = gpen_video("./presets", "out.mkv", "--crf", "99", cwd=tmp_path)
    assert (as_file.returncode, "encode.crf" in as_file.stderr) == (2, True)
    dashed = gpen_video("--crf", "99", "--", "-in-.mp4", "-out-.mp4", cwd=tmp_path)
    assert (dashed.returncode, "encode.crf" in dashed.stderr) == (2, True)


def test_an_error_with_a_strange_file_name_stays_one_line(capsys: Capture) -> None:
    assert main(["a", "b", "--config", "two\nlines\udcff.toml"]) == 2
    assert capsys.readouterr().err.startswith("gpen-video: error: two\\nlines\\udcff.toml: cannot be read")
