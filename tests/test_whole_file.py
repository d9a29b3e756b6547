"""Files under their name whole, or as they were."""

import os
import sys
from pathlib import Path

import pytest

from gpen_video.errors import OutputError
from gpen_video.whole_file import whole_file


@pytest.mark.parametrize("name", ["file", "f" * 255, "ü" * 127, os.fsdecode(b"caf\xe9")])
@pytest.mark.parametrize("sync", [True, False])
def test_what_was_written_is_there_and_nothing_else(tmp_path: Path, name: str, sync: bool) -> None:
    with whole_file(tmp_path / name, overwrite=False, sync=sync) as file:
        file.write(b"old")
        assert not (tmp_path / name).exists()
    with whole_file(tmp_path / name, overwrite=True, sync=sync) as file:
        file.write(b"new")
        assert (tmp_path / name).read_bytes() == b"old"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"new"}


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_one(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(stop), whole_file(path, overwrite=True) as file:
        file.write(b"half")
        raise stop
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_two_writers_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with whole_file(path, overwrite=True) as one, whole_file(path, overwrite=True) as two:
        one.write(b"one")
        two.write(b"second")
    assert path.read_bytes() == b"one", "the one that ended last"


def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OutputError, match="appeared meanwhile"), whole_file(path, overwrite=False) as file:
        file.write(b"ours")
        path.write_bytes(b"theirs")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"theirs"}


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    for path, overwrite, said in (
        (tmp_path / "folder", True, "cannot be written"),
        (tmp_path / "none" / "file", True, "cannot be written: No such file or directory"),
        (tmp_path / "file", False, "exists already"),
    ):
        with pytest.raises(OutputError, match=f"{path}.* {said}"), whole_file(path, overwrite=overwrite) as file:
            file.write(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").is_char_device() or sys.platform != "linux", reason="needs a full disk")
def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"), whole_file(tmp_path / "file", overwrite=True) as file:
        file.write(b"new")
    assert list(tmp_path.iterdir()) == []
