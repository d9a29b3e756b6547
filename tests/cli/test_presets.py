import tomllib
from pathlib import Path

import pytest

from gpen_video.cli.app import main
from gpen_video.config import find_presets, load_preset, read_settings_file

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "gpen-video" / "presets"
    folder.mkdir(parents=True)
    return folder


def test_list_has_a_line_for_each(capsys: Capture) -> None:
    assert main(["presets", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in find_presets():
        assert any(line.split()[0] == name and load_preset(name).description in line for line in lines)


def test_list_marks_the_users_own_and_survives_a_broken_one(capsys: Capture, user_folder: Path) -> None:
    (user_folder / "mine.toml").write_text("description = 'for [bold]my[/bold] films'", encoding="utf-8")
    (user_folder / "broken.toml").write_text("[", encoding="utf-8")
    assert main(["presets", "list"]) == 0
    captured = capsys.readouterr()
    assert "for [bold]my[/bold] films (your own)" in captured.out
    assert "master-ffv1" in captured.out
    assert captured.err.startswith("gpen-video: warning: ")
    assert str(user_folder / "broken.toml") in captured.err


def test_show_prints_a_settings_file(capsys: Capture, tmp_path: Path) -> None:
    assert main(["presets", "show", "tape"]) == 0
    text = capsys.readouterr().out
    assert text == load_preset("tape").path.read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    assert read_settings_file(tmp_path / "mine.toml").values == load_preset("tape").layer.values
    assert "description" in tomllib.loads(text)


def test_show_refuses_a_broken_one(capsys: Capture, user_folder: Path) -> None:
    (user_folder / "broken.toml").write_text("[", encoding="utf-8")
    assert main(["presets", "show", "broken"]) == 2
    assert "not a TOML file" in capsys.readouterr().err
