"""The batch file: what it comes to, and everything that is wrong with it in one go."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpen_video.config import Layer, Settings, load_preset
from gpen_video.errors import ConfigError, GpenVideoError, JobFileError
from gpen_video.jobs.draft import CHECKSUMS
from gpen_video.jobs.job import Batch
from gpen_video.jobs.job_file import load_batch
from gpen_video.jobs.outputs import SIDE_FILMS
from gpen_video.media import check_side_targets
from gpen_video.pipeline import Extras
from tests.conftest import ROOT


def folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no film, and never opened")
    return root


def load(root: Path, text: str, **options: object) -> Batch:
    path = root / "jobs.toml"
    path.write_text(text, encoding="utf-8")
    return load_batch(path, **options)  # type: ignore[arg-type]


def errors(root: Path, text: str) -> list[str]:
    """All lines of the error, from the line number on."""
    with pytest.raises(JobFileError) as raised:
        load(root, text)
    lines = str(raised.value).split("\n")
    assert all(line.startswith(f"{root}/jobs.toml:") for line in lines)
    return [line.removeprefix(f"{root}/jobs.toml:") for line in lines]


def results(batch: Batch) -> dict[str, str]:
    return {str(job.source.relative_to(batch.root)): str(job.target.relative_to(batch.root)) for job in batch.jobs}


def one_job(inputs: str = "['in/*.mov']", output: str = "out/{stem}.mkv", more: str = "") -> str:
    return f"[[job]]\ninputs = {inputs}\noutput = '{output}'\n{more}\n"


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "jobs.toml").read_text(encoding="utf-8")
    assert text in (ROOT / "docs" / "batch.md").read_text(encoding="utf-8")
    folder(tmp_path, "newsreels/b.mov", "newsreels/1931/a.mov", "newsreels/raw/a.mov", "newsreels/c.mxf", "tapes/x.avi")
    folder(tmp_path, *(f"scans/reel {reel}/frame_{number:06}.dpx" for reel in (1, 2) for number in range(3)))
    batch = load(tmp_path, text)
    assert results(batch) == {
        "newsreels/1931/a.mov": "restored/1931/a.mkv",
        "newsreels/b.mov": "restored/b.mkv",
        "newsreels/c.mxf": "restored/c.mkv",
        "tapes/x.avi": "restored/home-movies/001-x.mp4",
        "scans/reel 1/frame_%06d.dpx": "restored/scans/reel 1.mov",
        "scans/reel 2/frame_%06d.dpx": "restored/scans/reel 2.mov",
    }
    news, *_, tape, _, scan = batch.jobs
    assert (news.name, news.retries, news.overwrite) == ("newsreels", 2, False)
    assert text.splitlines()[news.line - 1] == "[[job]]"
    assert news.extras == Extras(report=tmp_path / "restored/1931/a.mkv.json")
    assert scan.side_files == (
        tmp_path / "restored/scans/reel 2.mov.json",
        tmp_path / "restored/scans/reel 2.mov.matte.mkv",
    )
    assert tape.settings.settings.restore.strength == 0.8
    assert tape.settings.settings.encode.crf == 14
    assert tape.settings.sources["restore.strength"] == "jobs.toml home-movies"
    assert tape.settings.sources["encode.crf"] == "jobs.toml [settings]"
    assert news.settings.sources["restore.strength"] == "preset archival-bw"
    assert scan.settings.settings.encode.codec == "prores_ks"
    assert batch.warnings == ()


def test_layers_lie_over_one_another_in_their_order(tmp_path: Path) -> None:
    folder(tmp_path, "a.mov", "b.mov")
    (tmp_path / "mine.toml").write_text("restore.strength = 0.1\ntrack.lag = 3\nshots.flash = 1\n", encoding="utf-8")
    (tmp_path / "file.toml").write_text("track.lag = 4\nshots.flash = 4\n", encoding="utf-8")
    text = (
        "[defaults]\npreset = 'tape'\nconfig = 'file.toml'\noutput = '{preset}-{stem}.mkv'\nreport = 'r/{stem}.json'\n"
        "[settings]\nshots.flash = 5\nblend.fade = 5\ndetect.every = 5\n"
        "[[job]]\ninputs = 'a.mov'\npreset = ['draft', './mine.toml']\nreport = 'none'\n"
        "settings = { blend = { fade = 6 }, detect = { every = 6 } }\n"
        "[[job]]\ninputs = 'b.mov'\npreset = 'none'\nconfig = 'none'\n"
    )
    a, b = load(tmp_path, text, overrides=[Layer("command line", {"detect": {"every": 7}})]).jobs
    settings, draft = a.settings.settings, load_preset("draft").layer.values
    assert settings.detect.long_side == draft["detect"]["long_side"]
    assert settings.restore.strength == 0.1
    assert (settings.track.lag, settings.shots.flash, settings.blend.fade, settings.detect.every) == (4, 5, 6, 7)
    assert [a.settings.sources[key] for key in ("track.lag", "shots.flash", "blend.fade", "detect.every")] == [
        "file.toml", "jobs.toml [settings]", "jobs.toml job-1", "command line",
    ]  # fmt: skip
    assert (a.target.name, b.target.name) == ("draft+mine-a.mkv", "default-b.mkv")
    assert (a.extras.report, b.extras.report) == (None, tmp_path / "r/b.json")
    assert b.settings.settings.track == Settings().track
    with pytest.raises(ConfigError, match=r"detect\.evry"):
        load(tmp_path, text, overrides=[Layer("command line", {"detect": {"evry": 7}})])


def test_inputs_are_sorted_found_once_and_hidden_ones_left_out(tmp_path: Path) -> None:
    folder(tmp_path, "in/b.mov", "in/a/c.mov", "in/a/d/e.mov", "in/.part.mov", "in/.hid/f.mov", "in/a/raw/g.mov")
    (tmp_path / "in/a/round").symlink_to(tmp_path / "in")
    text = "['in/**/*.mov', 'in/b.mov', '!in/a/raw']"
    batch = load(tmp_path, one_job(text, "out/{relative}/{index:02}_{stem}.mkv"))
    assert results(batch) == {
        "in/a/c.mov": "out/a/01_c.mkv",
        "in/a/d/e.mov": "out/a/d/02_e.mkv",
        "in/b.mov": "out/03_b.mkv",
    }
    assert load(tmp_path, one_job(text, "out/{relative}/{index:02}_{stem}.mkv")).jobs == batch.jobs
    assert results(load(tmp_path, one_job("['in/**', '!**/[cefg].mov', '!in/a/round']"))) == {
        "in/b.mov": "out/b.mkv",
    }


def test_an_exclusion_without_effect_is_told(tmp_path: Path) -> None:
    folder(tmp_path, "in/a.mov")
    batch = load(tmp_path, one_job("['in/*.mov',\n'!in/rwa/**']"))
    assert batch.warnings == (f"{tmp_path}/jobs.toml:3: !in/rwa/** takes nothing out",)


def test_awkward_names_work(tmp_path: Path) -> None:
    names = (
        "a b.mov",
        'it\'s "one".mov',
        "new\nline.mov",
        "reel [1].mov",
        "{stem}.mov",
        "50%.mov",
        "été.mov",
        "-x.mov",
    )
    folder(tmp_path, *(f"in/{name}" for name in names))
    assert set(results(load(tmp_path, one_job()))) == {f"in/{name}" for name in names}
    assert results(load(tmp_path, one_job("'in/reel [1].mov'"))) == {"in/reel [1].mov": "out/reel [1].mkv"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_keeps_its_bytes(tmp_path: Path) -> None:
    folder(tmp_path, "in/good.mov")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/caf\xe9.mov")).touch()
    names = {os.fsencode(job.target.name) for job in load(tmp_path, one_job()).jobs}
    assert names == {b"good.mkv", b"caf\xe9.mkv"}


def test_image_sequences_are_one_input_each(tmp_path: Path) -> None:
    folder(tmp_path, *(f"s/{reel}/x_{number:04}.png" for reel in "ab" for number in (5, 6, 7)))
    (tmp_path / "s/c").mkdir()
    out = "out/{parent}-{stem}-{ext}.mkv"
    assert results(load(tmp_path, one_job("'s/*/x_%04d.png'", out))) == {
        "s/a/x_%04d.png": "out/a-x-png.mkv",
        "s/b/x_%04d.png": "out/b-x-png.mkv",
    }
    assert results(load(tmp_path, one_job("'s/**/x_%04d.png'", "out/{relative}.mkv"))) == {
        "s/a/x_%04d.png": "out/a.mkv",
        "s/b/x_%04d.png": "out/b.mkv",
    }
    assert results(load(tmp_path, one_job("['s/a/x_%04d.png', 's/b']", "out/{stem}.mkv"))) == {
        "s/a/x_%04d.png": "out/x.mkv",
        "s/b": "out/b.mkv",
    }
    (job,) = load(tmp_path, one_job("'s/a'", "new/{stem}/y_%05d.dpx", "report = '{output}.json'")).jobs
    assert (job.target, job.extras.report) == (tmp_path / "new/a/y_%05d.dpx", tmp_path / "new/a.json")
    (tmp_path / "s/b/x_0006.png").unlink()
    assert "image x_0006.png is missing" in errors(tmp_path, one_job("'s/*/x_%04d.png'", out))[0]
    assert "name a sequence as a whole" in errors(tmp_path, one_job("'s/*/*.png'", out))[0]


def test_a_hot_folder_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert load(tmp_path, one_job("'in/**/*.mov'"), hot=tmp_path / "in").jobs == ()
    with pytest.raises(JobFileError, match="no file is called so"):
        load(tmp_path, one_job("['in/*.mov', 'elsewhere/*.mov']"), hot=tmp_path / "in")


def test_existing_results_and_missing_folders_are_left_to_the_run(tmp_path: Path) -> None:
    folder(tmp_path, "in/a.mov", "out/a.mkv")
    (job,) = load(tmp_path, one_job(more="report = 'reports/{parent}/{stem}.json'")).jobs
    assert not (tmp_path / "reports").exists()
    job.make_folders()
    assert (tmp_path / "reports/in").is_dir()


def test_jobs_can_be_sent_to_another_process(tmp_path: Path) -> None:
    folder(tmp_path, "in/a.mov")
    batch = load(tmp_path, one_job(more="preset = 'tape'\nfaces = 'not:2'\nretries = 0"), overwrite=True)
    again = pickle.loads(pickle.dumps(batch))
    assert again == batch
    (job,) = again.jobs
    assert (job.retries, job.overwrite, 2 in job.extras.faces) == (0, True, False)


WRONG = """\
[defaults]
presett = "tape"
name = "all"
framemd5 = "yes"
[settings]
restore.strenght = 1
encode.crf = 99
restore.batch = "two"
shots = 3

[[job]]
inputs = [
  "in/*.mov",
  "in/*.mpg",
  "nowhere/x.mov",
]
output = "out/{stm}.mkv"
preset = ["tape", "tapee", "missing.toml"]
retries = 200
[job.settings]
blend.fade = -1
blend.grain = "noise"
[[job]]
inputs = []
output = 7
overwrite = 1
[[job]]
name = "a/b"
[[jobs]]
"""


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    folder(tmp_path, "in/a.mov")
    told = errors(tmp_path, WRONG)
    starts = [
        "2: presett: unknown key; did you mean preset?",
        "3: name cannot be a default; each job has its own",
        "4: framemd5 = 'yes': should be true or false",
        "6: restore.strenght: unknown setting; did you mean restore.strength?",
        "7: encode.crf = 99: should be less than or equal to 63",
        "8: restore.batch = 'two': should be a valid integer",
        "9: shots: is a section, not a setting; shots has ",
        "14: in/*.mpg: no file is called so",
        "15: nowhere/x.mov: there is no such file",
        "17: out/{stm}.mkv: unknown field {stm}; did you mean {stem}?",
        f"18: {tmp_path}/missing.toml: cannot be read: No such file or directory",
        "18: tapee: unknown preset; did you mean tape?",
        "19: retries = 200: should be a whole number from 0 to 100",
        "21: blend.fade = -1: should be greater than or equal to 0",
        "22: blend.grain = 'noise': should be 'match' or 'none'",
        "24: inputs takes nothing in, or takes everything out again",
        "25: output = 7: should be text",
        "26: overwrite = 1: should be true or false",
        "27: job-3 has no inputs: which films?",
        "27: job-3 has no output, nor has [defaults]: where do its results go?",
        "28: name = 'a/b': should be a name",
        "29: jobs: unknown key; did you mean job?",
    ]
    assert len(told) == len(starts)
    for line, start in zip(told, starts, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "1: there is no [[job]]"),
        (b"# nothing\n", "1: there is no [[job]]"),
        (b"[defaults]\n\nx = [1,\n", "3: not TOML: "),
        (b"a = 1\nb = = 2\n", "2: not TOML: Invalid value"),
        (b"a = 1\na = 2\n", "2: not TOML: Cannot overwrite a value"),
        (b"a = 1\nb = 'caf\xe9'\n", "2: not UTF-8 text"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "1: lists or tables lie too deep"),
        (b"\n[job]\ninputs = 'x'\n", "2: job is a list of tables: begin each with [[job]]"),
        (b"job = [1]\n", "1: job is a list of tables"),
        (b"settings = 3\n[[job]]\ninputs='jobs.toml'\noutput='x.mkv'", "1: settings is a table"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "jobs.toml"
    path.write_bytes(content)
    with pytest.raises(JobFileError) as raised:
        load_batch(path)
    assert f"{path}:{complaint}" in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JobFileError, match=r"^/.*/jobs\.toml: cannot be read: No such file or directory$"):
        load_batch(tmp_path / "jobs.toml")


CLASHES = [
    (one_job(output="out/all.mkv"), r"3: .*/out/all.mkv: the result of .*/in/B.mov and the result of .*/in/A.mov"),
    (one_job(output="out/x/../{parent}.mkv"), "3: .*/out/in.mkv: the result"),
    (one_job("['in/A.mov', 'other/a.mov']"), "3: .*/out/a.mkv, which is .*/out/A.mkv where case does not count"),
    (one_job("'in/A.mov'") + one_job("'other/a.mov'", "out/A.mkv"), "7: .*/out/A.mkv: the result"),
    (one_job(more="report = 'out/report.json'"), "4: .*/out/report.json: the report of .*B.mov and the report"),
    (one_job("'in/A.mov'", more="matte = '{output}'"), "4: .*/out/A.mkv: the matte of .* and the result"),
    (one_job("'in/A.mov'", more="matte='out/m.mkv'\nlayer='out/n/../m.mkv'"), "5: .*/out/m.mkv: the layer of .* and"),
    (
        one_job("'in/A.mov'", more="framemd5 = true\nreport = '{output}.framemd5'"),
        "3: .*the checksums of .* and the report",
    ),
    (one_job("'in/A.mov'", "other/a.mov"), None),
    (one_job("'in/A.mov'", "in/A.mov"), "3: .*in/A.mov is the source itself"),
    (one_job("['in/A.mov', 'other/a.mov']", "in/{parent}.mov") + one_job("'in/B.mov'", "other/A.mov"), "7: .*an input"),
    (one_job("'in/A.mov'", more="report = 'jobs.toml'"), "4: .*would be written over the batch file"),
    (one_job("'in/A.mov'", "link/A.mov"), "3: .*link/A.mov is the source itself"),
    (one_job("'in/A.mov'", "link/B.mov") + one_job("'in/B.mov'"), "3: .*would be written over a film that is an input"),
    (
        one_job("'in/A.mov'", more="matte = 'link/a.mkv'") + one_job("'in/B.mov'", "in/A.mkv"),
        "7: .*where case does not",
    ),
    (one_job("'in/A.mov'", "out/x.mkv") + one_job("'in/B.mov'", "out/x.mkv/b.mkv"), "7: .*b.mkv lies within .*x.mkv"),
    (one_job("'in/A.mov'", "out/x/%04d.png") + one_job("'in/B.mov'", "out/x/b.mkv"), "7: .*b.mkv lies within .*out/x,"),
    (
        one_job(output="in/{stem}.r.mov"),
        r"3: .*in/A.r.mov: the result would be an input of the next run, by 'in/\*.mov'",
    ),
    (one_job("'**/*.mov'", "out/{parent}/{stem}.mov"), "3: .*would be an input of the next run"),
    (one_job("['**/*.mov', '!out']", "out/{parent}/{stem}.mov"), None),
    (one_job("'in/A.mov'", "other/new.mov") + one_job("'other/*'"), r"3: .*new.mov: .* by 'other/\*' of line 6"),
    (one_job("'in/A.mov'", more="report = 'in/{stem}.json'"), None),
    (one_job("'in/A.mov'", "in/A.mov/x.mkv"), "3: .*/in/A.mov cannot be made: .*/in/A.mov is a file"),
    (one_job("'in/A.mov'", "in"), "3: .*/in"),
    (one_job("'in/A.mov'", "out/x"), "3: .*out/x: no ending is no film format"),
    (one_job("'in/A.mov'", "out/x.xyz"), "3: .*out/x.xyz: .xyz is no film format"),
    (one_job("'in/A.mov'", more="matte = 'out/m.mp4'"), "4: .*the name of a matte ends in .mkv"),
    (one_job("'in/A.mov'", more="report = 'in'"), "4: .*in is a folder"),
    (one_job("'in/A.mov'", more="framemd5 = true", output="x" * 250 + ".mkv"), "3: .*longer than 255 bytes"),
    (one_job(more="faces = '1,3'"), "4: faces: numbers of tracks hold for one film, not for 2"),
    (one_job("'in/A.mov'", more="faces = 'three'"), "4: faces: 'three' is no track number"),
    (one_job("'in/A.mov'", more="cues = 'cues/{stem}.csv'"), "4: .*cues/A.csv: cannot be read"),
    (one_job("'in/A.mov'", more="cues = 'in/A.mov'"), "4: .*a cue sheet is called .csv or .toml"),
    (one_job("'in/*/../*.mov'"), "2: in/.*: '..' cannot stand behind a wildcard"),
    (one_job("'in/*.{mov,mp4}'"), "2: .*no file is called so; braces are not understood"),
    (one_job("'!in/*'"), "2: inputs takes nothing in"),
    (one_job("['in/*.mov', '!in/*']"), "2: inputs takes nothing in"),
    (one_job(more="name='x'") + one_job("'other/*'", more="name='x'"), "8: the job of line 1 is called 'x' already"),
]


@pytest.mark.parametrize(("text", "complaint"), CLASHES)
def test_nothing_is_written_twice_or_over_what_is_read(tmp_path: Path, text: str, complaint: str | None) -> None:
    folder(tmp_path, "in/A.mov", "in/B.mov", "other/a.mov")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    if complaint is None:
        if "other/a.mov" in text:
            (tmp_path / "other/a.mov").unlink()
        load(tmp_path, text)
    else:
        assert any(re.match(complaint, line) for line in errors(tmp_path, text)), errors(tmp_path, text)


def test_many_mistakes_of_one_kind_are_counted(tmp_path: Path) -> None:
    folder(tmp_path, *(f"in/{number}.mov" for number in range(30)))
    told = errors(tmp_path, one_job(output="out/{parent}.mkv"))
    assert len(told) == 6
    assert told[-1] == "3: … and 24 more like these"


def test_an_error_needs_no_networks(tmp_path: Path) -> None:
    folder(tmp_path, "in/a.mov")
    (tmp_path / "jobs.toml").write_text(one_job("'in/*.mpg'"), encoding="utf-8")
    code = (
        "import sys\nfrom gpen_video.errors import JobFileError\nfrom gpen_video.jobs.job_file import load_batch\n"
        f"try: load_batch({str(tmp_path / 'jobs.toml')!r})\nexcept JobFileError: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("kind", ["matte", "layer"])
@pytest.mark.parametrize("ending", [".mkv", ".mov", ".mp4", ".MKV", ""])
def test_endings_of_side_films_are_those_of_media(tmp_path: Path, kind: str, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    names = {"matte": None, "layer": None, kind: path}
    try:
        check_side_targets(**names, source=tmp_path / "a.mov", target=tmp_path / "b.mkv")
        allowed = True
    except GpenVideoError:
        allowed = False
    assert (path.suffix.lower() in SIDE_FILMS[kind]) == allowed  # type: ignore[index]


def test_checksum_files_are_those_of_a_run(tmp_path: Path) -> None:
    target = tmp_path / "a.mkv"
    beside = tuple(target.with_name("a.mkv" + end) for end in CHECKSUMS)
    assert Extras(framemd5=True).sidecars(target) == beside
    assert Extras(framemd5=True).sidecars(target / "scan_%04d.png") == beside
