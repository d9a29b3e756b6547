"""What reports say of outcomes, whatever films are called."""

import csv
import json
import os
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpen_video.jobs.outcome import BatchResult, Failure, Figures, Outcome
from gpen_video.jobs.report import BatchReports, batch_data, film_report_name
from gpen_video.jobs.report_html import html_report

FIGURES = Figures(frames=1200, faces=340, tracks=3, shots=4, seconds=60.0)
FOLDER = Path("/collection/jobs-report")


def outcome(name: str = "film.mkv", **changes: object) -> Outcome:
    base = Outcome(
        job="all",
        line=3,
        source=Path("/collection/in") / name,
        target=Path("/collection/out") / name,
        status="done",
        attempts=1,
        figures=FIGURES,
        record=Path("/collection/out") / f"{name}.json",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def result(*outcomes: Outcome, finished: bool = True) -> BatchResult:
    return BatchResult(
        path=Path("/collection/jobs.toml"),
        outcomes=outcomes,
        started="2026-11-22T12:00:00+00:00",
        seconds=3661.0,
        finished=finished,
    )


class Page(HTMLParser):
    """Text, tags and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.links += [given["href"] or ""] if tag == "a" else []
        self.loaded += [given[name] or "" for name in ("src", "srcset", "data") if name in given]
        self.loaded += ["<link>"] if tag in ("link", "script", "iframe") else []

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_the_page_at_a_glance() -> None:
    broken = Failure(kind="ProbeError", line="/collection/in/b.mkv: no film", worth_retrying=False)
    some = result(
        outcome("a.mkv", warnings=("colours are not stated",)),
        outcome("b.mkv", status="failed", figures=None, failure=broken, attempts=2, record=None),
        outcome("c.mkv", status="skipped"),
    )
    text = html_report(some, FOLDER)
    page = Page(text)
    assert "2 of 3 films done, 1 failed" in page.words
    for said in ("b.mkv: no film", "after 2 attempts", "colours are not stated", "1,200", "1:01:01", "20", "2,400"):
        assert said in page.words
    assert page.loaded == [] and "://" not in text and "url(" not in text, "nothing is fetched"
    assert page.links == ["../out/a.mkv.json", "../out/c.mkv.json"]
    assert '<header class="bad">' in text
    assert '<header class="good">' in html_report(result(outcome()), FOLDER)
    assert '<header class="open">' in html_report(result(outcome(status="running"), finished=False), FOLDER)
    assert "No film so far." in html_report(result(), FOLDER)


BYTES = st.lists(st.integers(1, 255).filter(lambda byte: byte != ord("/")), min_size=1, max_size=30).map(bytes)
"""Names as POSIX has them."""


@settings(max_examples=60, deadline=None)
@example('"><script>alert(1)<&lt;')
@example("two\nlines\u202e\udcff")
@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=30) | BYTES.map(os.fsdecode))
def test_any_name_is_shown_and_nothing_but_shown(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    if name in (".", ".."):
        return
    folder = tmp_path_factory.mktemp("reports")
    strange = outcome(name, failure=Failure(kind="x", line=name, worth_retrying=False), warnings=(name,), job=name)
    reports = BatchReports(folder, pytest.fail)
    reports.make_folder()
    reports.write_film(strange)
    reports.write(lambda: result(strange))
    plain = Page(html_report(result(outcome("plain", failure=strange.failure, warnings=("x",))), FOLDER))
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.tags == plain.tags
    data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert data["films"][0]["source"].encode() == str(strange.source).encode("utf-8", "backslashreplace")
    film = json.loads((folder / film_report_name(strange)).read_text(encoding="utf-8"))
    assert film == {key: value for key, value in data["films"][0].items() if key != "report"}
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["source"] == data["films"][0]["source"]


@pytest.mark.skipif(b"\xff".decode("utf-8", "surrogateescape") != "\udcff", reason="POSIX names")
def test_links_lead_to_names_of_any_bytes() -> None:
    name = 'a b#?%"\udcff.json'
    (link,) = Page(html_report(result(outcome(record=Path("/collection/out") / name)), FOLDER)).links
    assert unquote_to_bytes(link) == b"../out/" + name.encode("utf-8", "surrogateescape")


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    reports = BatchReports(tmp_path, pytest.fail)
    reports.make_folder()
    reports.write(lambda: result(outcome(job="=1+1", warnings=("@x",))))
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["job"], row["warnings"]) == ("'=1+1", "'@x")


def test_films_of_one_name_have_reports_of_their_own() -> None:
    one, two = outcome(), outcome(target=Path("/collection/other/film.mkv"))
    assert film_report_name(one) != film_report_name(two)
    assert film_report_name(one) == film_report_name(outcome(status="failed"))


def test_counts_agree_with_the_films() -> None:
    data = batch_data(result(outcome("a"), outcome("b", status="busy"), outcome("c", status="waiting"), finished=False))
    assert data["counts"] == {"films": 3, "done": 1, "busy": 1, "waiting": 1}
    assert (data["finished"], data["succeeded"]) == (False, False)


def test_reports_that_cannot_be_written_stop_nothing_and_are_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    reports = BatchReports(tmp_path / "gone", told.append)
    reports.write_film(outcome())
    reports.write(lambda: result(outcome()))
    assert len(told) == 1
