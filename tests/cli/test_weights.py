import hashlib
from pathlib import Path

import pytest

from gpen_video.cli.app import main
from gpen_video.weights import REGISTRY

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPEN_VIDEO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_list_says_what_is_here_and_under_what_terms(capsys: Capture, cache: Path) -> None:
    (cache / "gpen-bfr-1024.pt").write_bytes(b"x" * 100_000)
    assert main(["weights", "list"]) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.split()[:1]}
    assert set(REGISTRY) <= set(rows)
    assert rows["gpen-bfr-1024"][2:5] == ["yes", "0.1", "MB"]
    assert rows["gpen-bfr-512"][2:5] == ["no", "284.1", "MB"]
    assert all(f"  {weights.terms}\n" in text for weights in REGISTRY.values())


def test_path_of_the_cache_and_of_a_file(capsys: Capture, cache: Path) -> None:
    assert main(["weights", "path"]) == 0
    assert main(["weights", "path", "gpen-bfr-512", "gpen-bfr-2048"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [str(cache), str(cache / "gpen-bfr-512.pth"), str(cache / "gpen-bfr-2048.pt")]


def test_verify_records_then_notices_a_change(capsys: Capture, cache: Path) -> None:
    (cache / "gpen-bfr-256.pth").write_bytes(b"first")
    assert main(["weights", "verify", "gpen-bfr-256"]) == 0
    digest = hashlib.sha256(b"first").hexdigest()
    assert capsys.readouterr().out == f"gpen-bfr-256: sha256 {digest}, as when it was first used\n"
    (cache / "gpen-bfr-256.pth").write_bytes(b"second")
    assert main(["weights", "verify"]) == 4
    captured = capsys.readouterr()
    assert "gpen-bfr-256.pth: sha256 is" in captured.err
    assert len(captured.err.splitlines()) == 1


def test_verify_holds_a_file_to_the_registry(capsys: Capture, cache: Path) -> None:
    (cache / "gpen-bfr-512.pth").write_bytes(b"something else")
    assert main(["weights", "verify", "gpen-bfr-512"]) == 4
    assert "not f1002c41add95b0decad69604d80455576f7187dd99ca16bd611bcfd44c10b51" in capsys.readouterr().err


def test_verify_without_names_takes_those_that_are_here(capsys: Capture) -> None:
    assert main(["weights", "verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [w.name for w in REGISTRY.values() if w.shipped]
    assert all(line.endswith("as in the program's list") for line in lines)


def test_verify_of_what_is_not_here(capsys: Capture) -> None:
    assert main(["weights", "verify", "gpen-bfr-512"]) == 4
    assert "fetch it with gpen-video weights fetch gpen-bfr-512" in capsys.readouterr().err


def test_fetch_prints_the_path_of_what_is_here(capsys: Capture, cache: Path) -> None:
    (cache / "gpen-bfr-256.pth").write_bytes(b"by hand")
    assert main(["weights", "fetch", "gpen-bfr-256", "-v"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{cache / 'gpen-bfr-256.pth'}\n"
    assert "no licence granted by the authors" in captured.err
