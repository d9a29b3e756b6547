"""Lines of keys: against lines that were counted by hand, and against what `tomllib` reads."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpen_video.jobs.toml_lines import Key, key_lines

AWKWARD = '''\
# [not.a.table]
top = "= [x] # no comment"   # a comment = 3
"quoted key" . 'b c' = 1
[defaults]
long = """
[fake]
fake = 1 \\""" still inside
four quotes end it""""
lines = \'\'\'
[[fake]]
\'\'\'
after = 2
[[job]]
inputs = [
  "a,]", # "b"
  'c#', [1,
    2],
  { x = 1, "y.z" = [3] },
]
[job.settings]
restore.strength = 0.5
[[job]]   # the second
when = 1979-05-27 07:32:00
[job.settings.encode]
options = { tune = "grain", g = "12" }
'''


def test_lines_are_those_that_an_editor_shows() -> None:
    lines = key_lines(AWKWARD)
    expected: dict[Key, int] = {
        ("top",): 2,
        ("quoted key",): 3,
        ("quoted key", "b c"): 3,
        ("defaults",): 4,
        ("defaults", "long"): 5,
        ("defaults", "lines"): 9,
        ("defaults", "after"): 12,
        ("job",): 13,
        ("job", 0): 13,
        ("job", 0, "inputs"): 14,
        ("job", 0, "inputs", 0): 15,
        ("job", 0, "inputs", 1): 16,
        ("job", 0, "inputs", 2): 16,
        ("job", 0, "inputs", 2, 0): 16,
        ("job", 0, "inputs", 2, 1): 17,
        ("job", 0, "inputs", 3): 18,
        ("job", 0, "inputs", 3, "x"): 18,
        ("job", 0, "inputs", 3, "y.z"): 18,
        ("job", 0, "inputs", 3, "y.z", 0): 18,
        ("job", 0, "settings"): 20,
        ("job", 0, "settings", "restore"): 21,
        ("job", 0, "settings", "restore", "strength"): 21,
        ("job", 1): 22,
        ("job", 1, "when"): 23,
        ("job", 1, "settings"): 24,
        ("job", 1, "settings", "encode"): 24,
        ("job", 1, "settings", "encode", "options"): 25,
        ("job", 1, "settings", "encode", "options", "tune"): 25,
        ("job", 1, "settings", "encode", "options", "g"): 25,
    }
    assert lines == expected
    assert set(lines) == keys_of(tomllib.loads(AWKWARD))


def test_line_ends_of_windows_count_once() -> None:
    assert key_lines("a = 1\r\n\r\n[b]\r\nc = '''\r\n'''\r\nd = 2\r\n") == {
        ("a",): 1, ("b",): 3, ("b", "c"): 4, ("b", "d"): 6,
    }  # fmt: skip


texts = st.text(st.sampled_from("ab.\"'#=[]{},\n\\ é"), max_size=8)
names = st.one_of(st.sampled_from(["a", "b-c", "1"]), texts)
scalars = st.one_of(texts, st.integers(-9, 9), st.booleans(), st.floats(allow_nan=False), st.dates(), st.datetimes())
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
tables = st.dictionaries(names, values, max_size=4)


@given(st.data(), tables, st.dictionaries(names, st.lists(tables, min_size=1, max_size=3), max_size=3))
def test_every_key_that_tomllib_reads_has_a_line(
    data: st.DataObject, top: dict[str, Any], lists: dict[str, list[dict[str, Any]]]
) -> None:
    written = Written(data)
    for key, value in top.items():
        if key not in lists:
            written.pair((key,), key, value)
    for key, members in lists.items():
        for index, table in enumerate(members):
            written.header(key, index)
            for inner, value in table.items():
                written.pair((key, index, inner), inner, value)
    assert tomllib.loads(written.text) == {**top, **lists}
    assert key_lines(written.text) == written.lines


class Written:
    """TOML with blank lines, comments and lists over several lines here and there; knows its lines."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw, self.text, self.lines = data.draw, "", dict[Key, int]()

    def line(self) -> int:
        return self.text.count("\n") + 1

    def gap(self) -> None:
        self.text += self.draw(st.sampled_from(["", "", " ", "\n", ' # it\'s "a" [comment]\n', "\t\r\n"]))

    def header(self, key: str, index: int) -> None:
        self.gap()
        self.lines.setdefault((key,), self.line())
        self.lines[key, index] = self.line()
        self.text += f"[[ {basic(key)} ]]\n"

    def pair(self, path: Key, key: str, value: object, end: str = "\n") -> None:
        if end == "\n":
            self.gap()
        self.lines[path] = self.line()
        self.text += f"{basic(key)} = "
        self.value(path, value)
        self.text += end

    def value(self, path: Key, value: object) -> None:
        if isinstance(value, list):
            self.text += "["
            for index, each in enumerate(value):
                self.gap()
                self.lines[*path, index] = self.line()
                self.value((*path, index), each)
                self.gap()
                self.text += ","
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for index, (key, each) in enumerate(value.items()):
                self.text += ", " if index else " "
                self.pair((*path, key), key, each, end="")
            self.text += "}"
        elif isinstance(value, str):
            self.text += self.draw(st.sampled_from(written_texts(value)))
        elif isinstance(value, bool | float):
            self.text += str(value).lower()
        else:
            self.text += str(value)


def basic(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'


def written_texts(text: str) -> list[str]:
    """All ways to write a text."""
    ways = [basic(text), '"""\n' + basic(text)[1:-1].replace("\\n", "\n") + '"""']
    if "'" not in text:
        ways.append(f"'''\n{text}'''")
        ways += [f"'{text}'"] if "\n" not in text else []
    return ways


def keys_of(value: object, path: Key = ()) -> set[Key]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {key for name, each in inside for key in ({(*path, name)} | keys_of(each, (*path, name)))}
