"""The treatment record on disk: exact, checked, and refused in one line where it is not what it should be."""

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpen_video.config import Layer, resolve
from gpen_video.errors import InputError, OutputError, RecordError
from gpen_video.report import (
    FACE_COLUMNS,
    Column,
    FilmFile,
    TrackRecord,
    film_file,
    json_schema,
    read_record,
    runs_of,
    settings_of,
    shipped_schema,
    tool_used,
    write_record,
)
from gpen_video.report.record import LANDMARKS
from tests.report.records import record, rows

Json = dict[str, Any]


def written(path: Path) -> Json:
    value: Json = json.loads(path.read_text(encoding="utf-8"))
    return value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "film.json"
    write_record(record(), path)
    return path


def test_what_is_written_is_read_again(file: Path) -> None:
    before, after = record(), read_record(file)
    for one, other in zip(before.tracks, after.tracks, strict=True):
        assert (one.id, one.shot, one.frames) == (other.id, other.shot, other.frames)
        np.testing.assert_allclose(one.faces, other.faces, atol=0.005 + 1e-4)
        exact = [Column.FRAME, Column.REGION_LEFT, Column.REGION_BOTTOM, Column.LARGEST_CHANGE]
        np.testing.assert_array_equal(one.faces[:, exact], other.faces[:, exact])
        np.testing.assert_allclose(one.faces[:, Column.MEAN_CHANGE], other.faces[:, Column.MEAN_CHANGE], rtol=1e-6)
    for name in set(asdict(before)) - {"tracks"}:
        assert getattr(before, name) == getattr(after, name), name


def test_writing_what_was_read_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    write_record(read_record(file), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def test_points_are_rounded_to_a_hundredth_of_a_pixel_and_unknown_ones_are_null(file: Path) -> None:
    faces = written(file)["tracks"][0]["faces"]
    want = rows([0, 1, 2, 5, 6])
    assert faces[0][LANDMARKS] == [round(float(number), 2) for number in want[0, LANDMARKS]]
    assert faces[-1][Column.BOX_LEFT] is None and faces[-1][Column.REGION_TOP] is None
    assert isinstance(faces[0][Column.REGION_LEFT], int)


def test_a_face_takes_one_line_and_is_named_once(file: Path) -> None:
    value = written(file)
    assert value["face_columns"] == list(FACE_COLUMNS)
    assert all(len(face) == len(FACE_COLUMNS) for track in value["tracks"] for face in track["faces"])
    assert len(file.read_text(encoding="utf-8").splitlines()) < 200


def test_a_name_that_is_not_text_does_not_spoil_the_file(tmp_path: Path) -> None:
    path = tmp_path / "film.json"
    write_record(record(source=FilmFile("caf\udce9.mkv", 1, "0" * 64, 1)), path)
    assert read_record(path).source.path == "caf\\udce9.mkv"


def test_the_shipped_schema_is_that_of_the_dataclasses() -> None:
    assert shipped_schema() == json_schema()


def test_the_schema_is_one_and_takes_records(file: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = shipped_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(written(file))
    for harm in HARM.values():
        value = written(file)
        harm(value)
        if harm not in BEYOND_THE_SCHEMA:
            assert not validator.is_valid(value)


def short_row(value: Json) -> None:
    value["tracks"][0]["faces"][1].pop()


def text_in_row(value: Json) -> None:
    value["tracks"][0]["faces"][1][Column.NOSE_X] = "12"


def null_landmark(value: Json) -> None:
    value["tracks"][0]["faces"][1][Column.NOSE_X] = None


def unknown_key(value: Json) -> None:
    value["source"]["colour"] = "red"


def bad_hash(value: Json) -> None:
    value["result"]["sha256"] = "nothing"


def negative_frame(value: Json) -> None:
    value["shots"][0]["first_frame"] = -1


def number_as_text(value: Json) -> None:
    value["source"]["frames"] = "12"


def no_settings(value: Json) -> None:
    del value["settings"]


def other_runs(value: Json) -> None:
    value["tracks"][0]["frames"] = [[0, 6]]


def swapped_columns(value: Json) -> None:
    value["face_columns"][1:3] = value["face_columns"][2:0:-1]


HARM: dict[str, Callable[[Json], None]] = {
    harm.__name__: harm
    for harm in (
        short_row,
        text_in_row,
        null_landmark,
        unknown_key,
        bad_hash,
        negative_frame,
        number_as_text,
        no_settings,
        other_runs,
        swapped_columns,
    )
}
BEYOND_THE_SCHEMA = (other_runs, swapped_columns)


@pytest.mark.parametrize("name", HARM)
def test_a_damaged_record_is_refused_in_one_line(file: Path, name: str) -> None:
    value = written(file)
    HARM[name](value)
    file.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(RecordError, match="damaged") as caught:
        read_record(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "no treatment record of gpen-video"),
        (b'{"schema": "someone/else/1"}', "no treatment record of gpen-video"),
        (b'{"schema": 7}', "no treatment record of gpen-video"),
        (b'{"schema": "gpen-video/treatment/2", "new": 1}', "newer gpen-video"),
        (b'{"schema": "gpen-video/treatment/1"}', "damaged"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=says) as caught:
        read_record(path)
    assert "\n" not in str(caught.value)


def test_a_record_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(RecordError, match="cannot be read"):
            read_record(path)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_damage_gives_a_record_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damage") / "film.json"
    write_record(record(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=3))
    path.write_bytes(content)
    try:
        read_record(path)
    except RecordError as error:
        assert "\n" not in str(error)


def test_a_record_is_written_whole_or_not_at_all(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(TypeError):
        write_record(record(tracks=(None, object())), file.with_name("film.json"))  # type: ignore[arg-type]
    assert file.read_bytes() == before
    with pytest.raises(OutputError, match="cannot be written"):
        write_record(record(), tmp_path / "nowhere" / "film.json")
    assert [path.name for path in tmp_path.iterdir()] == ["film.json"]


def test_rows_must_be_those_of_the_frames() -> None:
    with pytest.raises(ValueError, match="track 4"):
        TrackRecord(4, 0, ((0, 1),), rows([0, 2]))


@given(st.sets(st.integers(0, 60)))
def test_runs_cover_exactly_their_frames(frames: set[int]) -> None:
    runs = runs_of(sorted(frames))
    assert [frame for first, last in runs for frame in range(first, last + 1)] == sorted(frames)
    assert all(b - a > 1 for (_, a), (b, _) in pairwise(runs))


def test_settings_keep_their_sources() -> None:
    found = settings_of(resolve(Layer("preset x", {"restore": {"strength": 0.5}})))
    by_name = {setting.name: setting for setting in found}
    assert (by_name["restore.strength"].value, by_name["restore.strength"].source) == (0.5, "preset x")
    assert by_name["track.lag"].source == "default"


def test_files_and_folders_are_measured(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    have = film_file(film, 3, called=Path("other.mkv"))
    assert (have.path, have.bytes, have.frames) == ("other.mkv", 3, 3)
    assert have.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("b.dpx", "a.dpx"):
        (folder / name).write_bytes(b"abc")
    first = film_file(folder, 2)
    (folder / "b.dpx").rename(folder / "c.dpx")
    assert first.bytes == 6 and film_file(folder, 2).sha256 != first.sha256
    with pytest.raises(InputError, match="cannot be read"):
        film_file(tmp_path / "none", 0)


def test_the_tool_says_what_it_ran_on() -> None:
    tool = tool_used({"libavcodec": "1.2.3"})
    assert tool.libraries["numpy"] == np.__version__
    assert tool.libraries["libavcodec"] == "1.2.3"
