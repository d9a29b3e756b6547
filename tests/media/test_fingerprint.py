"""Films and results, known again or not."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.errors import InputError, ProbeError
from gpen_video.media.fingerprint import Fingerprint, fingerprint, result_fingerprint

FILM_BYTES = 3_000_000


def images(folder: Path, count: int = 3, stem: str = "f_") -> Path:
    """Files of one size, as uncompressed images are, all of the same time."""
    folder.mkdir()
    for number in range(count):
        file = folder / f"{stem}{number:03}.dpx"
        file.write_bytes(number.to_bytes(1000, "big"))
        os.utime(file, ns=(5, 5))
    return folder


def change(file: Path, at: int, time: int = 5) -> None:
    """Another byte in the same size, and the time that is wanted."""
    with file.open("rb+") as data:
        data.seek(at)
        data.write(b"\xff")
    os.utime(file, ns=(time, time))


@given(st.integers(0, 2**63), st.integers(0, 2**63), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_it_comes_back_from_json(size: int, modified: int, sample: str) -> None:
    print_ = Fingerprint(size, modified, sample)
    assert Fingerprint.of_data(print_.data()) == print_


@pytest.mark.parametrize("of", [fingerprint, result_fingerprint])
def test_of_a_file_it_sees_content_and_time(of: Callable[[Path], Fingerprint], tmp_path: Path) -> None:
    file = tmp_path / "film"
    file.write_bytes(bytes(FILM_BYTES))
    os.utime(file, ns=(5, 5))
    before = of(file)
    assert (before.size, before.modified_ns) == (FILM_BYTES, 5)
    assert of(file) == before
    os.utime(file, ns=(6, 6))
    assert of(file) == replace(before, modified_ns=6), "the same content"
    for at in (0, FILM_BYTES // 2, FILM_BYTES - 1):
        file.write_bytes(bytes(FILM_BYTES))
        change(file, at)
        assert of(file).sample_sha256 != before.sample_sha256, f"start, middle and end are looked at: {at}"
    file.write_bytes(bytes(FILM_BYTES + 1))
    os.utime(file, ns=(5, 5))
    assert of(file).sample_sha256 != before.sample_sha256


def test_a_copy_under_another_name_has_the_same_content(tmp_path: Path) -> None:
    film, folder = tmp_path / "film.mkv", images(tmp_path / "images")
    film.write_bytes(b"film")
    shutil.copyfile(film, tmp_path / "other.mkv")
    copied = images(tmp_path / "other", stem="g_")
    for one, other in ((film, tmp_path / "other.mkv"), (folder, copied)):
        a, b = fingerprint(one), fingerprint(other)
        assert (a.size, a.sample_sha256) == (b.size, b.sample_sha256)


def test_an_empty_file_has_one(tmp_path: Path) -> None:
    (tmp_path / "empty.mkv").touch()
    assert fingerprint(tmp_path / "empty.mkv").size == 0


def test_a_sequence_is_the_same_however_it_is_named(tmp_path: Path) -> None:
    folder = images(tmp_path / "images")
    before = fingerprint(folder)
    named = (folder / "f_%03d.dpx", folder / "f_000.dpx")
    assert before.size == 3000
    assert [fingerprint(name) for name in named] == [before, before]
    (folder / "notes.txt").write_text("not of the film")
    assert fingerprint(folder) == before
    change(folder / "f_002.dpx", 500)
    assert {fingerprint(name).sample_sha256 for name in (folder, *named)} == {fingerprint(folder).sample_sha256}
    assert fingerprint(folder).sample_sha256 != before.sample_sha256
    (folder / "f_003.dpx").write_bytes(b"x")
    assert {fingerprint(name).size for name in (folder, *named)} == {3001}


def test_of_long_sequences_images_from_start_to_end_are_looked_at(tmp_path: Path) -> None:
    folder = images(tmp_path / "images", 100)
    before = fingerprint(folder)
    for number in (0, 99):
        change(folder / f"f_{number:03}.dpx", 0)
        changed = fingerprint(folder)
        assert changed.sample_sha256 != before.sample_sha256
        before = changed
    change(folder / "f_050.dpx", 0, time=9)  # this one is not, but its time is
    assert fingerprint(folder) == replace(before, modified_ns=9)


def test_one_of_two_sequences_in_a_folder(tmp_path: Path) -> None:
    folder = images(tmp_path / "images")
    before = fingerprint(folder)
    (folder / "g_000.dpx").write_bytes(b"x")
    (folder / "g_001.dpx").write_bytes(b"x")
    assert fingerprint(folder / "f_%03d.dpx") == before
    with pytest.raises(ProbeError, match="several image sequences"):
        fingerprint(folder)


def test_what_is_no_film_or_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    folder = images(tmp_path / "images")
    (folder / "f_001.dpx").unlink()
    for path, why in (
        (folder, r"f_001\.dpx is missing"),
        (folder / "g_%03d.dpx", "no such images"),
        (folder / "none.mkv", "cannot be read: No such file"),
        (tmp_path / "none" / "none.mkv", "cannot be read: No such file"),
    ):
        with pytest.raises(InputError, match=why) as told:
            fingerprint(path)
        assert str(path) in str(told.value) and "\n" not in str(told.value)
    with pytest.raises(InputError, match="No such file"):
        result_fingerprint(tmp_path / "none.mkv")


def test_a_result_is_what_lies_at_its_place(tmp_path: Path) -> None:
    folder = images(tmp_path / "images")
    before = result_fingerprint(folder / "f_%03d.dpx")
    assert before == result_fingerprint(folder)
    assert before.size == 3000
    (folder / ".hidden").write_bytes(b"x")
    assert result_fingerprint(folder) == before
    (folder / "f_002.dpx").rename(folder / "f_003.dpx")
    assert result_fingerprint(folder) != before, "an image of another number"
    (folder / "f_003.dpx").rename(folder / "f_002.dpx")
    assert result_fingerprint(folder / "f_%03d.dpx") == before
    (folder / "f_001.dpx").unlink()  # a gap: no film any more, yet a result that was changed
    assert result_fingerprint(folder / "f_%03d.dpx") != before


def test_a_still_that_is_a_result_is_not_its_neighbours(tmp_path: Path) -> None:
    folder = images(tmp_path / "images")
    before = result_fingerprint(folder / "f_000.dpx")
    assert before.size == 1000
    (folder / "f_001.dpx").unlink()
    assert result_fingerprint(folder / "f_000.dpx") == before
