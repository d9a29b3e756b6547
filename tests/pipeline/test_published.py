"""Runs that are killed while outputs get their names: the same command ends as an uninterrupted one does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpen_video.config import Settings
from gpen_video.errors import OutputError
from gpen_video.journal import work_folder_of
from gpen_video.pipeline import Extras, restore_video
from gpen_video.report import read_record
from tests.pipeline.clips import sample_greys, write

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")

SETTINGS = {"encode": {"preset": "ultrafast"}, "detect": {"long_side": 160}, "restore": {"device": "cpu"}}
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tests.pipeline.test_published import restored
torch.set_num_threads(2)  # as all tests do; to the last bit the result depends on it
folder, name, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def giving(rename):
    def given(part, place):
        if Path(place).name != name:
            return rename(part, place)
        if when == "after":
            rename(part, place)
        os.kill(os.getpid(), signal.SIGKILL)
    return given
Path.replace, Path.rename, os.replace = giving(Path.replace), giving(Path.rename), giving(os.replace)
restored(folder, "{target}")
"""


def restored(folder: Path, target: str, **options: str) -> list[str]:
    extras = Extras(matte=folder / "matte.mkv", report=folder / "out.json", framemd5=True)
    settings = Settings.model_validate(SETTINGS | options)
    restore_video(folder.parent / "film.mkv", folder / target, settings, extras=extras)
    return sorted(path.name for path in folder.iterdir())


def killed(folder: Path, name: str, when: str, target: str = "out.mp4") -> None:
    code = KILLED.replace("{target}", target)
    process = subprocess.run([sys.executable, "-c", code, folder, name, when], capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert work_folder_of(folder / target.split("/")[0]).is_dir()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("films") / "film.mkv", sample_greys(6), 24)


@pytest.fixture
def folder(film: Path, tmp_path: Path) -> Path:
    (tmp_path / "film.mkv").symlink_to(film)
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.fixture(scope="module")
def whole(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "results"
    folder.mkdir()
    (folder.parent / "film.mkv").symlink_to(film)
    restored(folder, "out.mp4")
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("out.mp4", "after"),
        pytest.param("matte.mkv", "after", marks=pytest.mark.slow),
        pytest.param("out.mp4", "before", marks=pytest.mark.slow),
        pytest.param("out.json", "after", marks=pytest.mark.slow),
        pytest.param("out.mp4.framemd5", "after", marks=pytest.mark.slow),
    ],
)
def test_killed_while_names_are_given_it_ends_as_ever(
    folder: Path, whole: dict[str, bytes], name: str, when: str
) -> None:
    killed(folder, name, when)
    assert (folder / name).exists() == (when == "after")
    names = restored(folder, "out.mp4")
    assert contents(folder) == whole
    assert names == sorted((*whole, "out.json"))  # no work folder
    read_record(folder / "out.json")


@pytest.mark.slow
def test_an_image_sequence_too(folder: Path) -> None:
    killed(folder, "scans", "after", "scans/scan_%03d.png")
    names = restored(folder, "scans/scan_%03d.png")
    assert "scans" in names and not [name for name in names if name.startswith(".")]
    assert len(list((folder / "scans").iterdir())) == 6


def test_what_somebody_else_put_there_stays(folder: Path) -> None:
    killed(folder, "out.mp4", "after")
    (folder / "out.mp4").write_bytes((folder / "out.mp4").read_bytes())  # the same content, by another hand
    before = (folder / "out.mp4").stat()
    with pytest.raises(OutputError, match=r"out\.mp4 exists already"):
        restored(folder, "out.mp4")
    (folder / "out.mp4").unlink()
    (folder / "out.json").write_text("somebody's")
    with pytest.raises(OutputError, match=r"exists already"):
        restored(folder, "out.mp4")
    assert (folder / "out.json").read_text() == "somebody's"
    assert before.st_size > 0


@pytest.mark.slow
def test_with_other_settings_a_finished_result_stays(folder: Path) -> None:
    killed(folder, "out.mp4", "after")
    content = (folder / "out.mp4").read_bytes()
    with pytest.raises(OutputError, match=r"out\.mp4 exists already"):
        restored(folder, "out.mp4", restore={"device": "cpu", "strength": 0.5})
    assert (folder / "out.mp4").read_bytes() == content
