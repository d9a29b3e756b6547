"""Templates for names: what is refused, and that no name of a film leads anywhere else."""

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.errors import ConfigError
from gpen_video.jobs.template import FIELDS, Template

VALUES: dict[str, str | int] = {
    "stem": "reel 1",
    "name": "reel 1.mov",
    "ext": "mov",
    "parent": "1931",
    "relative": "a/1931",
    "root": "/films",
    "job": "news",
    "preset": "tape",
    "index": 7,
}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("out/{stem}.mkv", "out/reel 1.mkv"),
        ("{stem}.{ext}.mkv", "reel 1.mov.mkv"),
        ("out/{relative}/{stem}.mkv", "out/a/1931/reel 1.mkv"),
        ("{root}/restored/{parent}/{stem}.mkv", "/films/restored/1931/reel 1.mkv"),
        ("/else/where/{name}.mkv", "/else/where/reel 1.mov.mkv"),
        ("../{job}/{preset}/{index:04}.mkv", "../news/tape/0007.mkv"),
        ("{index}_{index:3}.mkv", "7_  7.mkv"),
        ("{stem:.4}{{x}}.mkv", "reel{x}.mkv"),
        ("out//./{stem}.mkv", "out/reel 1.mkv"),
    ],
)
def test_fields_are_filled_in(text: str, name: str) -> None:
    assert Template.parse(text).render(VALUES) == name


def test_side_files_follow_the_result() -> None:
    template = Template.parse("{output}.{job}.json", side_file=True)
    assert template.render({**VALUES, "output": "/films/out/a b.mkv"}) == "/films/out/a b.mkv.news.json"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{stm}.mkv", "unknown field {stm}; did you mean {stem}?"),
        ("{stem.__class__}.mkv", "unknown field"),
        ("{stem[0]}.mkv", "unknown field"),
        ("{}.mkv", "unknown field"),
        ("{0}.mkv", "unknown field"),
        ("{output}.mkv", "unknown field {output}"),
        ("{stem!r}.mkv", "the format of {stem} is not understood"),
        ("{index:{stem}}.mkv", "the format of {index} is not understood"),
        ("{index:999999999}.mkv", "the format of {index} is not understood"),
        ("{index:c}.mkv", "the format of {index} is not understood"),
        ("{index:.2f}.mkv", "the format of {index} is not understood"),
        ("{stem:99999}.mkv", "the format of {stem} is not understood"),
        ("{stem", "a brace is left open or closed"),
        ("stem}.mkv", "a brace is left open or closed"),
        ("out/", "names no file"),
        ("", "names no file"),
        ("a\nb.mkv", "names no file"),
        ("~/{stem}.mkv", "~ is not understood here"),
        ("out/{root}/{stem}.mkv", "{root} is a whole path"),
        ("x{root}/{stem}.mkv", "{root} is a whole path"),
    ],
)
def test_a_wrong_template_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Template.parse(text)
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_empty_field_makes_no_absolute_path() -> None:
    assert Template.parse("{relative}/{stem}.mkv").render({**VALUES, "relative": ""}) == "reel 1.mkv"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("out/{stem}/x.mkv", {"stem": ".."}),
        ("out/.{ext}/x.mkv", {"ext": "."}),
        ("out/{relative}/x.mkv", {"relative": "a/../.."}),
        ("out/{relative}", {"relative": ""}),
        ("{stem}{stem}.mkv", {"stem": "x" * 130}),
        ("{stem}.mkv", {"stem": "\u00e9" * 126}),
    ],
)
def test_names_of_films_that_lead_elsewhere_are_refused(text: str, values: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Template.parse(text).render({**VALUES, **values})


pieces = st.sampled_from(["out", "/", "..", ".", *(f"{{{field}}}" for field in FIELDS), ".mkv"])
name = st.text(st.sampled_from(".. a\u00e9'\"\n{}[]%"), min_size=1, max_size=6)


@given(st.lists(pieces, max_size=6), st.fixed_dictionaries(dict.fromkeys(("stem", "name", "parent"), name)), name)
def test_no_film_gets_its_result_out_of_the_folder_that_is_written_out(
    parts: list[str], values: dict[str, str], extension: str
) -> None:
    text = "fixed/" + "".join(parts).replace("{root}", "") + "end"
    if ".." in text:
        return  # the user's own will
    rendered = {**VALUES, **values, "ext": extension, "relative": "/".join(values.values()).strip(".")}
    try:
        made = Template.parse(text).render(rendered)
    except ConfigError:
        return
    path = PurePosixPath(os.path.normpath(PurePosixPath("/root", made)))
    assert path.is_relative_to("/root/fixed")
    assert path.name != ""
