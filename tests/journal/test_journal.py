"""The journal: what was appended is there, whatever happened to the end of the file."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpen_video.errors import JournalError, OutputError
from gpen_video.journal import go_on, read_journal, start_journal
from gpen_video.journal.journal import FORMAT

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ENTRIES = st.lists(
    st.dictionaries(st.text(), VALUES | st.lists(VALUES) | st.dictionaries(st.text(), VALUES)), max_size=6
)


def made(path: Path, entries: list[dict[str, Any]]) -> Path:
    with start_journal(path, {"what": "test"}) as journal:
        for entry in entries:
            journal.append(entry)
    return path


def line(text: str) -> bytes:
    """A line as the format's description has it."""
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


@given(entries=ENTRIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_appended_is_read(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    written = read_journal(made(tmp_path / "journal", entries))
    assert written is not None
    assert written.header == {"format": FORMAT, "what": "test"}
    assert list(written.entries) == entries
    assert not written.is_cut_off


@given(entries=ENTRIES, data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_off_anywhere_whole_entries_stay_and_writing_goes_on(
    tmp_path: Path, entries: list[dict[str, Any]], data: st.DataObject
) -> None:
    path = made(tmp_path / "journal", entries)
    whole = path.read_bytes()
    kept = data.draw(st.integers(0, len(whole)))
    tail = data.draw(st.sampled_from([b"", b"\0" * 5, b"\0" * 600]))  # zeros: a file that was longer than its data
    path.write_bytes(whole[:kept] + tail)
    count = whole[:kept].count(b"\n")
    written = read_journal(path)
    if count == 0:
        assert written is None
        return
    assert written is not None
    assert list(written.entries) == entries[: count - 1]
    with go_on(path, written) as journal:
        journal.append({"after": 1})
    again = read_journal(path)
    assert again is not None
    assert list(again.entries) == [*entries[: count - 1], {"after": 1}]


def test_the_format_is_what_its_description_says(tmp_path: Path) -> None:
    path = made(tmp_path / "journal", [{"a": [1, "é"]}])
    header = json.dumps({"format": "gpen-video/journal/1", "what": "test"}, separators=(",", ":"))
    assert path.read_bytes() == line(header) + line('{"a":[1,"\\u00e9"]}')


def test_a_line_that_is_damaged_within_is_told(tmp_path: Path) -> None:
    path = made(tmp_path / "journal", [{"n": n} for n in range(4)])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"n":1', b'"n":7'), *lines[3:]]))
    with pytest.raises(JournalError, match=r"journal: line 3 .* damaged.*--resume never"):
        read_journal(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (line('{"format":"gpen-video/journal/2"}'), "newer gpen-video"),
        (line('{"format":"other/1"}'), "no journal"),
        (line("{}"), "no journal"),
        (b"Dear diary,\ntoday\n", "no journal"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no journal"),
    ],
)
def test_what_is_no_journal_of_ours_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=says) as caught:
        read_journal(path)
    assert "\n" not in str(caught.value)


def test_none_where_there_is_nothing(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal") is None
    (tmp_path / "journal").touch()
    assert read_journal(tmp_path / "journal") is None


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        start_journal(tmp_path / "none" / "journal", {})


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    with pytest.raises(OutputError, match="the disk is full"):
        start_journal(Path("/dev/full"), {})
