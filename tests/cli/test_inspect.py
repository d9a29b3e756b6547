import json
from pathlib import Path

import pytest

from gpen_video.cli import inspect
from gpen_video.cli.app import main
from tests.cli.films import make_film

Capture = pytest.CaptureFixture[str]


def test_json_is_one_documented_object(tmp_path: Path, capsys: Capture) -> None:
    film = make_film(tmp_path / "film.mkv", frames=7, rate=24)
    assert main(["inspect", str(film), "--json", "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    assert (report["file"], report["container"]) == (str(film), "matroska,webm")
    video = report["video"]
    assert (video["codec"], video["width"], video["height"], video["bits"]) == ("h264", 160, 120, 8)
    assert (video["pixel_format"], video["average_frame_rate"]) == ("yuv420p", "24")
    assert [stream["kind"] for stream in report["streams"]] == ["video"]
    assert (report["frames"], report["chapters"], report["tracks"]) == (7, 0, [])
    assert report["shots"] == [{"first_frame": 0, "frame_count": 7, "first_seconds": 0.0}]
    epilog = inspect.build_parser().epilog or ""
    assert all(name in epilog for part in (report, video, video["colour"], report["streams"][0]) for name in part)


def test_words(tmp_path: Path, capsys: Capture) -> None:
    film = make_film(tmp_path / "film.mkv", frames=7)
    assert main(["inspect", str(film), "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert f"{film}: matroska,webm; h264 160x120 yuv420p, 25 fps" in text
    assert "7 frames, 1 shots, 0 faces followed" in text


def test_a_film_with_people(shared: Path, capsys: Capture) -> None:
    film = shared / "media" / "faces" / "grid_bbaf2n.mpg"
    assert main(["inspect", str(film), "--json", "--device", "cpu", "--set", "detect.long_side=360"]) == 0
    report = json.loads(capsys.readouterr().out)
    longest = max(report["tracks"], key=lambda track: track["faces"])
    assert longest["faces"] > 0.8 * report["frames"], "one speaker, in nearly every frame"
    assert 20 < longest["mean_face_size"] < report["video"]["height"]


def test_what_is_no_film(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "text.mkv").write_text("no film", encoding="utf-8")
    assert main(["inspect", str(tmp_path / "text.mkv")]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("gpen-video: error: ")
    assert len(captured.err.splitlines()) == 1
