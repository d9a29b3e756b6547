import errno

import pytest

from gpen_video import errors
from gpen_video.jobs.retry import Pauses, failure_of, worth_retrying


def caused(error: Exception, cause: BaseException, *, hidden: bool = False) -> Exception:
    try:
        try:
            raise cause
        except BaseException as inner:
            raise error from (None if hidden else inner)
    except Exception as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (errors.OutputError("the disk is full"), True),
        (errors.EncodeError("x"), False),
        (errors.JournalError("x"), False),
        (errors.ProbeError("x"), False),
        (errors.DecodeError("x"), False),
        (errors.ConfigError("x"), False),
        (errors.ChecksumError("x"), False),
        (errors.DeviceError("no such device"), False),
        (errors.VerificationError("x"), False),
        (caused(errors.DeviceError("not enough memory for one face"), RuntimeError("CUDA out of memory")), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shapes do not fit"), False),
        (MemoryError(), True),
        (OSError(errno.ESTALE, "Stale file handle"), True),
        (caused(errors.DecodeError("breaks off"), OSError(errno.EIO, "Input/output error")), True),
        (caused(errors.ProbeError("cannot be opened"), OSError(errno.EIO, "x"), hidden=True), True),
        (caused(errors.ProbeError("cannot be opened"), OSError(errno.ENOENT, "x")), False),
        (KeyError("ours"), False),
    ],
    ids=repr,
)
def test_what_is_worth_retrying(error: Exception, retried: bool) -> None:
    assert worth_retrying(error) == retried
    assert failure_of(error).worth_retrying == retried


def test_words() -> None:
    own = failure_of(caused(KeyError("ours"), ValueError("x")))
    assert own.line == "internal error: KeyError: 'ours'; please report it"
    assert own.trace.startswith("Traceback")
    assert failure_of(errors.ProbeError("a line")).line == "a line"
    assert failure_of(MemoryError()).line == "MemoryError"


def test_pauses_grow_to_a_limit() -> None:
    pauses = Pauses(first=2, factor=3, longest=50)
    assert [pauses.after(attempts) for attempts in (1, 2, 3, 4, 5000)] == [2, 6, 18, 50, 50]
