"""The result appears whole or not at all."""

import os
from pathlib import Path

import pytest

from gpen_video.errors import OutputError, UsageError
from gpen_video.media import staged_output


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_target_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "film.mkv"
    with staged_output(target, overwrite=False) as staged:
        staged.part.write_bytes(b"whole")
        assert not target.exists()
        assert staged.part.parent == target.parent
        assert all(name.startswith(".") for name in files(tmp_path))
    assert files(tmp_path) == ["film.mkv"]
    assert target.read_bytes() == b"whole"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_is_left_of_a_failure(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "film.mkv"
    target.write_bytes(b"old")
    with pytest.raises(error), staged_output(target, overwrite=True) as staged:
        staged.part.write_bytes(b"half")
        raise error
    assert files(tmp_path) == ["film.mkv"]
    assert target.read_bytes() == b"old"


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    with (
        staged_output(tmp_path / "film.mkv", overwrite=True) as one,
        staged_output(tmp_path / "film.mkv", overwrite=True) as two,
    ):
        assert one.part != two.part


def test_an_existing_file_is_only_replaced_on_request(tmp_path: Path) -> None:
    target = tmp_path / "film.mkv"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="--overwrite"), staged_output(target, overwrite=False):
        pytest.fail("work began")
    with staged_output(target, overwrite=True) as staged:
        staged.part.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "film.mkv"
    with pytest.raises(OutputError, match="appeared"), staged_output(target, overwrite=False) as staged:
        staged.part.write_bytes(b"ours")
        target.write_bytes(b"theirs")
    assert files(tmp_path) == ["film.mkv"]
    assert target.read_bytes() == b"theirs"


def test_wrong_targets_are_refused_first(tmp_path: Path) -> None:
    source = tmp_path / "source.mkv"
    source.write_bytes(b"film")
    (tmp_path / "link.mkv").symlink_to(source)
    (tmp_path / "folder.mkv").mkdir()
    before = files(tmp_path)
    for target, error, says in [
        (source, UsageError, "is the source itself"),
        (tmp_path / "link.mkv", UsageError, "is the source itself"),
        (tmp_path / "folder.mkv", OutputError, "is a folder"),
        (tmp_path / "nowhere" / "film.mkv", OutputError, "does not exist"),
        (tmp_path / "film.xyz", UsageError, "no film format"),
    ]:
        with pytest.raises(error, match=says) as caught, staged_output(target, overwrite=True, source=source):
            pytest.fail("work began")
        assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"), staged_output(tmp_path / "a.mkv", overwrite=False):
            pytest.fail("work began")
    finally:
        tmp_path.chmod(0o700)


def test_a_long_name_still_fits(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 240 + ".mkv")
    with staged_output(target, overwrite=False) as staged:
        staged.part.write_bytes(b"whole")
    assert files(tmp_path) == [target.name]
