"""``inspect --tracks``: a folder that appears whole or not at all, and a run that reads its sheet."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from gpen_video.cli import restore
from gpen_video.cli.app import main
from gpen_video.pipeline import portraits
from tests.cli.films import make_film
from tests.pipeline.clips import two_people

Capture = pytest.CaptureFixture[str]
OPTIONS = ("--device", "cpu", "--set", "detect.long_side=384")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_people(tmp_path_factory.mktemp("film") / "two.mkv", 5)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_row_and_a_picture_for_each_face(film: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "tracks"
    assert main(["inspect", str(film), "--tracks", str(folder), "--json", *OPTIONS]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    assert names(tmp_path) == ["tracks"]
    assert names(folder) == ["contact-sheet.png", "cues.csv", "track_0000.png", "track_0001.png"]
    assert report["files"] == [str(folder / "cues.csv"), str(folder / "contact-sheet.png")]
    with (folder / "cues.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, track in zip(rows, report["tracks"], strict=False):
        assert track["shot"] == 0
        assert row["mean_size"] == f"{track['mean_face_size']:.1f}"
        for column, key in (
            ("track", "track_id"),
            ("shot", "shot"),
            ("first_frame", "first_frame"),
            ("faces", "faces"),
        ):
            assert int(row[column]) == track[key]
    for name in names(folder):
        if name.endswith(".png"):
            with Image.open(folder / name) as picture:
                picture.load()


def test_words_say_the_shot(film: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "tracks"
    options = ["--tracks", str(folder), "--cues-format", "toml"]
    assert main(["inspect", str(film), *options, *OPTIONS]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["shot", "from", "frame", "frames", "at"] in rows and ["0", "0", "5", "0:00"] in rows
    assert ["track", "shot", "frames", "faces", "mean", "size"] in rows
    assert any(row[:6] == ["1", "0", "0", "to", "4", "5"] for row in rows)
    assert ["written:", f"{folder / 'cues.toml'},", str(folder / "contact-sheet.png")] in rows
    assert names(folder)[:2] == ["contact-sheet.png", "cues.toml"]


def test_a_film_without_faces(tmp_path: Path) -> None:
    make_film(tmp_path / "film.mkv", frames=3)
    assert main(["inspect", str(tmp_path / "film.mkv"), "--tracks", str(tmp_path / "tracks"), *OPTIONS]) == 0
    assert names(tmp_path / "tracks") == ["contact-sheet.png", "cues.csv"]
    cues = str(tmp_path / "tracks" / "cues.csv")
    target = tmp_path / "out.mkv"
    assert main([str(tmp_path / "film.mkv"), str(target), "--cues", cues, "--dry-run", *OPTIONS]) == 0


def test_what_is_there_is_not_lost(film: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "tracks"
    arguments = ["inspect", str(film), "--tracks", str(folder), *OPTIONS]
    folder.mkdir()
    assert main(arguments) == 0, "an empty folder"
    (folder / "track_0099.png").touch()
    (folder / "cues.csv").write_text("edited for hours", encoding="utf-8")
    assert main(arguments) == 5
    assert "is not empty" in capsys.readouterr().err
    assert (folder / "cues.csv").read_text(encoding="utf-8") == "edited for hours"
    assert main([*arguments, "--overwrite"]) == 0
    assert names(folder) == ["contact-sheet.png", "cues.csv", "track_0000.png", "track_0001.png"]
    (folder / "thesis.txt").touch()
    capsys.readouterr()
    assert main([*arguments, "--overwrite"]) == 5
    said = capsys.readouterr().err
    assert "holds thesis.txt, which was not written by this command" in said and len(said.splitlines()) == 1
    assert names(tmp_path) == ["tracks"]


@pytest.mark.parametrize(
    ("source", "folder", "code", "said"),
    [
        ("film.mkv", "no/where", 5, "does not exist; create it first"),
        ("film.mkv", "film.mkv", 5, "is a file; name a folder"),
        ("none.mkv", "tracks", 3, "no such file"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    tmp_path: Path, source: str, folder: str, code: int, said: str, capsys: Capture
) -> None:
    make_film(tmp_path / "film.mkv", frames=3)
    assert main(["inspect", str(tmp_path / source), "--tracks", str(tmp_path / folder), *OPTIONS]) == code
    captured = capsys.readouterr()
    assert said in captured.err and len(captured.err.splitlines()) == 1
    assert names(tmp_path) == ["film.mkv"]


def test_a_failure_on_the_way_leaves_what_was_there(
    film: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tracks"
    folder.mkdir()
    (folder / "cues.csv").write_text("edited for hours", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(portraits.Path, "write_bytes", full)
    assert main(["inspect", str(film), "--tracks", str(folder), "--overwrite", *OPTIONS]) == 5
    assert "No space left" in capsys.readouterr().err
    assert (folder / "cues.csv").read_text(encoding="utf-8") == "edited for hours"
    assert names(tmp_path) == ["tracks"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--faces", "5-3"], "runs backwards"),
        (["--faces", "-2"], "write 1,3-5, or not:2 for all but one"),
        (["--faces", "first"], "no track number"),
        (["--cues", "none.csv"], "No such file"),
        (["--cues", "film.mkv"], "called .csv or .toml"),
        (["--cues", "bad.csv"], "bad.csv, line 1: unknown column 'a'"),
    ],
)
def test_a_bad_choice_is_one_line(
    tmp_path: Path, options: list[str], said: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_film(Path("film.mkv"), frames=3)
    Path("bad.csv").write_text("a,b\n", encoding="utf-8")
    assert main(["film.mkv", "out.mkv", *options]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and len(captured.err.splitlines()) == 1
    assert names(tmp_path) == ["bad.csv", "film.mkv"]


def test_the_choice_is_in_the_help() -> None:
    text = " ".join(restore.build_parser().format_help().split())
    assert "--faces 1,3-5" in text and "not:2 restores all but these" in text
    assert "gpen-video inspect IN --tracks DIR" in text
