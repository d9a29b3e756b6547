"""What the system and FFmpeg say, as users read it."""

import errno
import os

import av
import pytest

from gpen_video.errors import system_reason


@pytest.mark.parametrize("kind", [OSError, av.error.OSError])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_so(kind: type[Exception], number: int) -> None:
    assert system_reason(kind(number, os.strerror(number))).startswith("the disk is full; free some space")


@pytest.mark.parametrize("kind", [PermissionError, av.error.PermissionError, av.error.ArgumentError])
def test_the_systems_own_words_are_used(kind: type[Exception]) -> None:
    number = errno.EINVAL if kind is av.error.ArgumentError else errno.EACCES
    assert system_reason(kind(number, os.strerror(number), "film.mkv")) == os.strerror(number)


def test_what_has_no_number_of_the_system_says_all_it_knows() -> None:
    assert system_reason(OSError("the cable is out")) == "the cable is out"
    number = int(av.error.ErrorType.INVALIDDATA)
    error = av.error.InvalidDataError(number, "Invalid data", "film.mkv", (16, "mov", "no frame header"))
    assert "no frame header" in system_reason(error)
