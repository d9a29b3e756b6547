"""The batch file: from TOML to films, everything checked before anything starts.

No film is opened: names of files and folders are all that is looked at. The networks' library is loaded last, when the
file is right; earlier only where ``faces`` or ``cues`` are stated. docs/batch.md describes the format.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gpen_video.config import Layer, Preset, load_preset, read_settings_file, resolve
from gpen_video.errors import GpenVideoError, JobFileError
from gpen_video.jobs.draft import Draft, NamedFilm
from gpen_video.jobs.inputs import Inputs, find_films
from gpen_video.jobs.job import Batch
from gpen_video.jobs.job_table import Stated, merged, unknown, wrong
from gpen_video.jobs.outputs import Outputs
from gpen_video.jobs.problems import Problems, printable
from gpen_video.jobs.toml_lines import Key, key_lines

if TYPE_CHECKING:
    from gpen_video.pipeline import TrackNumbers

T = TypeVar("T")

_TABLES: Final = ("defaults", "settings", "job")
_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load_batch(
    path: str | os.PathLike[str],
    *,
    overrides: Sequence[Layer] = (),
    overwrite: bool = False,
    hot: str | os.PathLike[str] | None = None,
) -> Batch:
    """Read a batch file and check all that can be checked without opening a film.

    Results that exist already are no error here: whether one is finished or in the way is seen when its turn comes.
    Nor are folders that do not exist: they are made then (`Job.make_folders`).

    Args:
        path: The file; paths in it are relative to its folder.
        overrides: Settings over the file's, for every job: the command line's.
        overwrite: Replace results that exist, also where the file does not say so.
        hot: A folder to which films are yet to come: patterns that look into it may find nothing.

    Raises:
        JobFileError: Something is wrong; the message has a line for each error, with the line of the file.
        ConfigError: Something is wrong with the overrides.
    """
    path = Path(path)
    resolve(*overrides)
    problems = Problems(path)
    reader = _Reader.of(path, problems, Path(hot) if hot is not None else None)
    named = [(draft, list(draft.named(reader.root, problems))) for draft in reader.drafts()]
    _check_cue_sheets(named, problems)
    _check_outputs(reader.root / path.name, named, problems)
    problems.raise_if_any()
    jobs = (job for draft, films in named for job in draft.jobs(films, overrides, overwrite=overwrite))
    return Batch(reader.root / path.name, tuple(jobs), tuple(reader.warnings))


@dataclass(slots=True)
class _Reader:
    """Understands the tables of a batch file; what it does not understand it tells, and goes on."""

    path: Path
    root: Path
    """Its folder, absolute and without symbolic links."""
    data: Mapping[str, Any]
    lines: Mapping[Key, int]
    problems: Problems
    hot: Path | None = None
    warnings: list[str] = field(default_factory=list)
    presets: dict[str, Preset] = field(default_factory=dict)
    """Those that were read; a thousand jobs name the same few."""

    @classmethod
    def of(cls, path: Path, problems: Problems, hot: Path | None) -> "_Reader":
        """Read the file as TOML.

        Raises:
            JobFileError: It cannot be read, or is not TOML.
        """
        text = _text(path, problems)
        try:
            return cls(path, path.parent.resolve(), tomllib.loads(text), key_lines(text), problems, hot)
        except RecursionError:
            problems.add(1, "lists or tables lie too deep within one another")
        except ValueError as error:  # TOMLDecodeError, an integer of thousands of digits
            place = _TOML_PLACE.search(str(error))
            line = int(place[1]) if place and place[1] else 1 + text.rstrip().count("\n")
            problems.add(line, f"not TOML: {_TOML_PLACE.sub('', str(error))}")
        raise problems.error()

    def drafts(self) -> Iterator[Draft]:
        """The jobs, as far as each can be understood."""
        for key in self.data:
            if key not in _TABLES:
                self.problems.add(self.lines[key,], unknown(key, _TABLES))
        defaults = self._stated(("defaults",), self._table("defaults"), in_defaults=True)
        shared = self._settings(("settings",), self._table("settings"), f"{self.path.name} [settings]")
        tables = self.data.get("job", [])
        if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
            self.problems.add(self.lines["job",], "job is a list of tables: begin each with [[job]]")
            return
        if not tables:
            self.problems.add(1, "there is no [[job]]; nothing would be done")
        names: dict[str, int] = {}
        for index, table in enumerate(tables):
            draft = self._draft(index, table, defaults, shared)
            first = names.setdefault(draft.name, draft.line)
            if first != draft.line:
                self.problems.add(draft.line_of("name"), f"the job of line {first} is called {draft.name!r} already")
            yield draft

    def _draft(self, index: int, table: Mapping[str, Any], defaults: Mapping[str, Stated], shared: Layer) -> Draft:
        key: Key = ("job", index)
        own = self._stated(key, table)
        stated = merged(defaults, own)
        name = str(own["name"].value) if "name" in own else f"job-{index + 1}"
        if "inputs" not in table:
            self.problems.add(self.lines[key], f"{name} has no inputs: which films?")
        if "output" not in table and "output" not in self._table("defaults"):
            self.problems.add(self.lines[key], f"{name} has no output, nor has [defaults]: where do its results go?")
        presets = self._loaded(stated["preset"], self._preset) if "preset" in stated else []
        layers = [preset.layer for preset in presets]
        if "config" in stated:
            layers += self._loaded(stated["config"], self._settings_file)
        mine = own["settings"].value if "settings" in own else {}
        layers += [shared, self._settings((*key, "settings"), mine, f"{self.path.name} {name}")]
        inputs = self._inputs(key, own["inputs"]) if "inputs" in own else Inputs()
        faces = self._faces(stated["faces"], len(inputs.films)) if "faces" in stated else None
        names = tuple(preset.name for preset in presets)
        return Draft(name, self.lines[key], stated, names, tuple(layers), inputs, faces)

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self.data.get(name, {})
        if isinstance(table, Mapping):
            return table
        self.problems.add(self.lines[name,], f"{name} is a table: begin it with [{name}]")
        return {}

    def _stated(self, key: Key, table: Mapping[str, Any], *, in_defaults: bool = False) -> dict[str, Stated]:
        """The keys of a table that are right."""
        stated: dict[str, Stated] = {}
        for name, value in table.items():
            line = self.lines[*key, name]
            complaint = wrong(name, value, in_defaults=in_defaults)
            if complaint is None:
                stated[name] = Stated(value, line)
            else:
                self.problems.add(line, complaint)
        return stated

    def _settings(self, key: Key, values: Mapping[str, Any], name: str) -> Layer:
        """Settings as a layer; each is checked by itself, so that each error has its line."""
        right: dict[str, Any] = {}
        for section, fields in values.items():
            if not isinstance(fields, Mapping):
                self._check_setting(Layer(name, {section: fields}), (*key, section))
                continue
            for setting, value in fields.items():
                if self._check_setting(Layer(name, {section: {setting: value}}), (*key, section, setting)):
                    right.setdefault(section, {})[setting] = value
        return Layer(name, right)

    def _check_setting(self, layer: Layer, key: Key) -> bool:
        try:
            resolve(layer)
        except GpenVideoError as error:
            self.problems.add(self.lines[key], str(error).replace(f" (from {layer.name})", "", 1))
            return False
        return True

    def _loaded(self, stated: Stated, load: Callable[[str], T]) -> list[T]:
        loaded: list[T] = []
        for text in stated.texts:
            try:
                loaded.append(load(text))
            except GpenVideoError as error:
                self.problems.add(stated.line, str(error))
        return loaded

    def _preset(self, text: str) -> Preset:
        if text not in self.presets:
            is_file = text.endswith(".toml") or Path(text).name != text  # as `load_preset` sees it
            preset = load_preset(self.root / text if is_file else text)
            resolve(preset.layer)
            self.presets[text] = preset
        return self.presets[text]

    def _settings_file(self, text: str) -> Layer:
        layer = read_settings_file(self.root / text)
        resolve(layer)
        return layer

    def _inputs(self, key: Key, stated: Stated) -> Inputs:
        def line(index: int) -> int:
            return self.lines.get((*key, "inputs", index), stated.line)

        right = True

        def tell(index: int, message: str) -> None:
            nonlocal right
            right = False
            self.problems.add(line(index), message)

        inputs = find_films(self.root, stated.texts, tell, hot=self.hot)
        if right and not inputs.films and self.hot is None:
            self.problems.add(stated.line, "inputs takes nothing in, or takes everything out again")
        for index in inputs.idle:
            said = f"{self.path}:{line(index)}: {stated.texts[index]} takes nothing out"
            self.warnings.append(printable(said))
        return inputs

    def _faces(self, stated: Stated, films: int) -> "TrackNumbers | None":
        from gpen_video.pipeline import TrackNumbers  # not at the top: it loads the networks' library

        text = str(stated.value)
        try:
            numbers = TrackNumbers.parse(text)
        except GpenVideoError as error:
            self.problems.add(stated.line, f"faces: {str(error).removeprefix(f'--faces {text}: ')}")
            return None
        if films > 1:
            self.problems.add(
                stated.line, f"faces: numbers of tracks hold for one film, not for {films}; see cues, one sheet a film"
            )
        return numbers


def _text(path: Path, problems: Problems) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JobFileError(f"{printable(str(path))}: cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add(1 + content.count(b"\n", 0, error.start), "not UTF-8 text; save it as UTF-8")
        raise problems.error() from None


def _check_cue_sheets(named: Sequence[tuple[Draft, Sequence[NamedFilm]]], problems: Problems) -> None:
    """Each must be there and right; and since its numbers hold for one film, no two films have one in common."""
    owners: dict[Path, Path] = {}
    for draft, films in named:
        for film in films:
            if film.cues is None:
                continue
            from gpen_video.pipeline.cue_files import read_cue_sheet

            owner = owners.setdefault(film.cues, film.found.source)
            try:
                if owner != film.found.source:
                    raise JobFileError(f"{film.cues} is the cue sheet of {owner}; each film has its own")
                read_cue_sheet(film.cues)
            except GpenVideoError as error:
                problems.add(draft.line_of("cues"), f"{film.found.source}: {error}", kind="cues")


def _check_outputs(path: Path, named: Sequence[tuple[Draft, Sequence[NamedFilm]]], problems: Problems) -> None:
    outputs = Outputs(problems, _read(path, named))
    for draft, films in named:
        for film in films:
            for output in draft.outputs(film):
                outputs.add(output)
    outputs.check_folders()
    outputs.check_inputs((draft.inputs, draft.line_of("inputs")) for draft, _ in named)


def _read(path: Path, named: Sequence[tuple[Draft, Sequence[NamedFilm]]]) -> Iterator[tuple[Path, str]]:
    """All files that must not be written."""
    yield path, "the batch file"
    for draft, films in named:
        for found in draft.inputs.films:
            yield found.source, "a film that is an input"
            if found.images is not None:
                yield found.place, "the images of an input"
        for film in films:
            if film.cues is not None:
                yield film.cues, "a cue sheet"
