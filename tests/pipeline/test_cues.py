"""Cue sheets: as they are written, as spreadsheets hand them back, and what is refused."""

import csv
import io
import json
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.config import Settings
from gpen_video.errors import ConfigError, UsageError
from gpen_video.media import probe
from gpen_video.pipeline.cue_files import COLUMNS, CuesFormat, cue_sheet_text, read_cue_sheet
from gpen_video.pipeline.cues import Cue
from gpen_video.pipeline.observe import Track
from gpen_video.pipeline.track_basis import TrackBasis, track_basis
from gpen_video.pipeline.track_numbers import TrackNumbers
from tests.cli.films import make_film

BASIS = TrackBasis("gpen-video 1", 'reel "2", ä\x7f.mov', 10**10, "ab" * 32, {"media.filters": "a,b;c", "track.lag": 8})
TRACKS = [Track(0, 0, 99, 90, 63.24, 0), Track(1, 20, 60, 41, 120.0, 0), Track(2, 100, 299, 200, 20.5, 1)]
HEADER = ",".join(COLUMNS)


def written(path: Path, *, tracks: list[Track] = TRACKS, frames: int = 300) -> Path:
    kind: CuesFormat = "toml" if path.suffix == ".toml" else "csv"
    path.write_text(cue_sheet_text(kind, BASIS, frames, tracks), encoding="utf-8", newline="\n")
    return path


def basis_line(path: Path) -> str:
    return written(path).read_text(encoding="utf-8").splitlines()[-1]


def with_rows(path: Path, *rows: str, header: str = HEADER) -> Path:
    """A sheet with these rows and the line that says what its numbers hold for."""
    last = basis_line(path)
    path.write_text("\n".join([header, *rows, last]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["cues.csv", "cues.toml"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    sheet = read_cue_sheet(written(tmp_path / name))
    assert sheet.basis == BASIS
    assert (sheet.frames, sheet.tracks) == (300, 3)
    assert list(sheet.cues.values()) == [Cue(0, first_frame=0), Cue(1, first_frame=20), Cue(2, first_frame=100)]
    assert read_cue_sheet(written(tmp_path / name, tracks=[])).cues == {}


def test_csv_is_what_a_spreadsheet_expects(tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(written(tmp_path / "cues.csv").read_text(encoding="ascii"))))
    assert rows[0] == list(COLUMNS)
    assert rows[1] == ["0", "0", "0", "99", "90", "63.2", "1.0", ""]
    assert len(rows) == 5 and len(rows[4]) == 1 and rows[4][0].startswith("# gpen-video/cues/1 {")


def test_toml_is_toml(tmp_path: Path) -> None:
    content = tomllib.loads(written(tmp_path / "cues.toml").read_text(encoding="utf-8"))
    assert content["track"][2] == dict(zip(COLUMNS, (1, 2, 100, 299, 200, 20.5, 1.0, ""), strict=True))
    assert content["sheet"]["film"] == BASIS.film
    assert content["sheet"]["settings"] == BASIS.settings


def test_strengths_and_keyframes(tmp_path: Path) -> None:
    rows = ("0,0,,,,,0.5,", "0,1,20,60,41,120,,20:0 30:1.0 60:.25", "1,2,100,,,,0,")
    cues = read_cue_sheet(with_rows(tmp_path / "cues.csv", *rows)).cues
    assert cues[0] == Cue(0, 0.5)
    assert cues[1] == Cue(1, 1.0, ((20, 0.0), (30, 1.0), (60, 0.25)), 20)
    assert not cues[2].restores and cues[1].restores
    assert not Cue(0, 1.0, ((1, 0.0), (5, 0.0))).restores

    toml = written(tmp_path / "cues.toml")
    text = toml.read_text(encoding="utf-8").replace('keyframes = ""', 'keyframes = "20:0 30:1.0 60:.25"')
    toml.write_text(text.replace("strength = 1.0", "strength = 1"), encoding="utf-8")
    assert read_cue_sheet(toml).cues[1] == cues[1]


KEYFRAMES = st.lists(st.tuples(st.integers(0, 100), st.floats(0, 1)), min_size=1, max_size=6, unique_by=lambda k: k[0])


@given(KEYFRAMES, st.floats(0, 1), st.integers(0, 110))
def test_between_keyframes_lie_straight_lines(keyframes: list[tuple[int, float]], strength: float, frame: int) -> None:
    keyframes.sort()
    frames, levels = zip(*keyframes, strict=True)
    expected = strength * np.interp(frame, frames, levels)
    assert Cue(0, strength, tuple(keyframes)).strength_at(frame) == pytest.approx(expected, abs=1e-12)


def test_as_spreadsheets_hand_it_back(tmp_path: Path) -> None:
    """German: semicolons, decimal commas, byte order mark, every cell quoted, rows padded, sorted and blank."""
    path = tmp_path / "cues.csv"
    last = next(csv.reader([basis_line(path)]))[0]
    rows = [
        list(COLUMNS),
        [last, *[""] * 7],
        ["0", "1", "20", "60", "41", "120,0", "0,5", "20:0,25 60:1"],
        [""] * 8,
        ["0", "0", "0", "99", "90", "63,2", "1", "", "", ""],
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL).writerows(rows)
    sheet = read_cue_sheet(path)
    assert sheet.basis == BASIS
    assert dict(sheet.cues) == {1: Cue(1, 0.5, ((20, 0.25), (60, 1.0)), 20), 0: Cue(0, 1.0, (), 0)}


def test_columns_for_orientation_may_go(tmp_path: Path) -> None:
    sheet = read_cue_sheet(with_rows(tmp_path / "cues.csv", "0.5\t2", header="Strength\tTrack"))
    assert dict(sheet.cues) == {2: Cue(2, 0.5)}


@pytest.mark.parametrize(
    ("row", "line", "why"),
    [
        ("0,3,,,,,1,", 2, "no track 3; the last is 2"),
        ("0,1,,,,,1.01,", 2, "strength is 1.01"),
        ("0,1,,,,,-0.1,", 2, "strength is -0.1"),
        ("0,1,,,,,nan,", 2, "no number"),
        ("0,1,,,,,inf,", 2, "no number"),
        ("0,1,,,,,full,", 2, "'full', which is no number"),
        ("0,1,,,,,1e999,", 2, "no number"),
        ("0,,,,,,1,", 2, "number is missing"),
        ("0,one,,,,,1,", 2, "track is 'one'"),
        ("0,1.5,,,,,1,", 2, "whole number"),
        ("0,-1,,,,,1,", 2, "whole number"),
        ("0,1,20,sixty,,,1,", 2, "last_frame is 'sixty'"),
        ("0,1,,,,,1,10", 2, "'10' is no keyframe"),
        ("0,1,,,,,1,10:2", 2, "not within 0 to 1"),
        ("0,1,,,,,1,20:1 10:0", 2, "frames must rise"),
        ("0,1,,,,,1,20:1 20:0", 2, "frames must rise"),
        ("0,1,,,,,1,300:1", 2, "its last frame is 299"),
        ("0,1,,,,,1,-5:1", 2, "no keyframe"),
        ("0,1,,,,,1,,surplus", 2, "9 cells"),
        ("0,0,,,,,1,\n\n0,1,,,,,1,\n0,1,,,,,1,", 5, "track 1 is there twice; see .*line 4"),
        ('0,0,,,,,1,"10:1\n20:1"\n0,9,,,,,1,', 4, "no track 9"),
        ('0,"0,,,,,1,', 2, "not CSV"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: str, line: int, why: str) -> None:
    path = with_rows(tmp_path / "cues.csv", row)
    with pytest.raises(ConfigError, match=why) as caught:
        read_cue_sheet(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (HEADER + ",mood", "unknown column 'mood'"),
        (HEADER + ",track", "'track' is there twice"),
        (HEADER.replace(",track", ""), "'track' is missing"),
        ("shot;track;strenght", "unknown column 'strenght'"),
    ],
)
def test_a_bad_header(tmp_path: Path, header: str, why: str) -> None:
    path = with_rows(tmp_path / "cues.csv", header=header)
    with pytest.raises(ConfigError, match=why) as caught:
        read_cue_sheet(path)
    assert str(caught.value).startswith(f"{path}, line 1: ")


@pytest.mark.parametrize(
    ("old", "new", "place", "why"),
    [
        ("strength = 1.0", 'strength = "x"', ", line 3", "no number"),
        ("strength = 1.0", "strength = true", ", line 3", "no number"),
        ("strength = 1.0", "strength = nan", ", line 3", "no number"),
        ("strength = 1.0", f"strength = 1{'0' * 400}", ", line 3", "no number"),
        ('keyframes = ""', "keyframes = [[1, 2]]", ", line 3", "keyframes are text"),
        ("shot = 1", "mood = 1", ", line 23", "unknown column 'mood'"),
        ("track = 2", "track = 1", ", line 23", "track 1 is there twice; see .*line 13"),
        ("track = 2", "", ", line 23", "'track' is missing"),
        ("[sheet]", "[sheets]", "", "unknown key 'sheets'"),
        ("cues/1", "cues/2", "", "of version 'gpen-video/cues/2'"),
        ("bytes = ", 'bytes = "x"\nbytes_ = ', "", "damaged: bytes"),
        ("[sheet]", "sheet", "", "not a TOML file.*line 3[0-9]"),
    ],
)
def test_a_bad_toml_sheet(tmp_path: Path, old: str, new: str, place: str, why: str) -> None:
    path = written(tmp_path / "cues.toml")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=why) as caught:
        read_cue_sheet(path)
    assert str(caught.value).startswith(f"{path}{place}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no header"),
        (b"\n\n", "no header"),
        (HEADER.encode() + b"\n0,1,,,,,1,\n", "is missing; copy it"),
        (HEADER.encode() + b"\n# gpen-video/cues/1 {}\n", "damaged: program"),
        (HEADER.encode() + b"\n# gpen-video/cues/1 {\n", "line 2.*damaged"),
        (HEADER.encode() + b"\n# gpen-video/cues/1 []\n", "is missing"),
        ("\ufeff".encode("utf-16"), "not UTF-8"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'track\n"a', "not CSV"),
        (b"x" * 200_000, "not CSV|unknown column"),
    ],
)
def test_what_is_no_sheet(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "cues.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=why) as caught:
        read_cue_sheet(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_of_another_kind_or_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"called \.csv or \.toml"):
        read_cue_sheet(tmp_path / "cues.xlsx")
    with pytest.raises(ConfigError, match="No such file"):
        read_cue_sheet(tmp_path / "cues.csv")


@given(st.binary(max_size=60))
def test_no_content_ends_in_a_traceback(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cues.csv", "cues.toml"):
            path = Path(folder, name)
            path.write_bytes(content)
            with pytest.raises(ConfigError):
                read_cue_sheet(path)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mkv")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"track": {"lag": 3}}, "track.lag = 8 (now 3)"),
        ({"media": {"filters": "hqdn3d"}}, "media.filters =  (now hqdn3d)"),
        ({"shots": {"threshold": 30}}, "shots.threshold = 27.0 (now 30.0)"),
        ({"detect": {"long_side": 480, "min_face": 20}}, "detect.long_side = 960 (now 480), detect.min_face"),
        ({"blend": {"fade": 0}}, "blend.fade = 4 (now 0)"),
    ],
)
def test_settings_that_decide_tracks_are_named(film: Path, change: dict[str, object], said: str) -> None:
    info = probe(film)
    inspected = track_basis(info, Settings())
    now = track_basis(info, Settings.model_validate(change))
    difference = inspected.difference(now)
    assert difference is not None and said in difference


def test_settings_that_decide_no_track_are_free(film: Path) -> None:
    free = {
        "media": {"prefetch": 3, "tolerant": True},
        "detect": {"batch": 1},
        "restore": {"strength": 0.2, "device": "cpu", "batch": 3},
        "blend": {"feather": 0.3, "grain": "none"},
        "encode": {"codec": "ffv1", "crf": None, "preset": None},
    }
    info = probe(film)
    assert track_basis(info, Settings()).difference(track_basis(info, Settings.model_validate(free))) is None


def test_another_film_is_told_and_a_new_name_is_not(film: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed.mkv"
    copy.write_bytes(film.read_bytes())
    basis = track_basis(probe(film), Settings())
    assert basis.difference(track_basis(probe(copy), Settings())) is None
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    changed = basis.difference(track_basis(replace(probe(film), path=copy), Settings()))  # it may no longer decode
    assert changed is not None and "another film (film.mkv" in changed


def test_an_image_sequence_is_known_again(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    for index in range(5):
        cv2.imwrite(str(folder / f"scan_{index:04d}.png"), np.full((16, 16), 40 * index, np.uint8))
    info = probe(folder, "24")
    basis = track_basis(info, Settings())
    assert basis.bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert basis.difference(track_basis(probe(folder / "scan_%04d.png", "24"), Settings())) is None
    cv2.imwrite(str(folder / "scan_0004.png"), np.full((16, 16), 77, np.uint8))
    assert "another film" in str(basis.difference(track_basis(info, Settings())))


def test_another_version_of_the_program() -> None:
    assert "made by gpen-video 1, and this is gpen-video 2" in str(
        BASIS.difference(replace(BASIS, program="gpen-video 2"))
    )


def test_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    sheet = read_cue_sheet(written(tmp_path / "cues.csv"))
    sheet.require(BASIS, Path("film.mov"))
    with pytest.raises(UsageError, match=r"inspect again .*gpen-video inspect film\.mov --tracks DIR") as caught:
        sheet.require(replace(BASIS, settings={**BASIS.settings, "track.lag": 9}), Path("film.mov"))
    assert str(caught.value).startswith(f"{tmp_path / 'cues.csv'} was made with track.lag = 8 (now 9)")


def test_numbers_that_the_sheet_does_not_have(tmp_path: Path) -> None:
    sheet = read_cue_sheet(with_rows(tmp_path / "cues.csv", "0,0,,,,,1,", "0,2,,,,,1,"))
    sheet.require_tracks(TrackNumbers.parse("0,2"))
    sheet.require_tracks(TrackNumbers.parse("not:1"))
    with pytest.raises(UsageError, match=r"has no track 1,3;"):
        sheet.require_tracks(TrackNumbers.parse("0-3"))


def test_the_basis_is_plain_json(tmp_path: Path) -> None:
    cell = next(csv.reader([basis_line(tmp_path / "cues.csv")]))[0]
    assert json.loads(cell.split(" ", 2)[2])["settings"]["track.lag"] == 8
