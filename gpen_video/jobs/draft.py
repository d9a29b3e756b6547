"""One ``[[job]]`` on its way to films: found, and every file that they become named."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gpen_video.config import Layer, resolve
from gpen_video.errors import ConfigError, GpenVideoError
from gpen_video.jobs.inputs import FoundFilm, Inputs
from gpen_video.jobs.job import Job
from gpen_video.jobs.job_table import Stated
from gpen_video.jobs.outputs import Kind, Output, check_side_file, target_place
from gpen_video.jobs.problems import Problems
from gpen_video.jobs.template import Template, Value

if TYPE_CHECKING:
    from gpen_video.pipeline import TrackNumbers

_RETRIES: Final = 1
_NAMED: Final[tuple[Kind, ...]] = ("report", "matte", "layer")
CHECKSUMS: Final = (".source.framemd5", ".framemd5")
"""What `Extras.sidecars` adds to the result's name."""


@dataclass(frozen=True, slots=True)
class NamedFilm:
    """A film, and where what is made of it goes."""

    found: FoundFilm
    target: Path
    place: Path
    """The result's file; of an image sequence, its folder."""
    beside: Mapping[Kind, Path]
    """Report, matte and layer, as far as they are wanted."""
    cues: Path | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A ``[[job]]`` whose keys are each right by themselves."""

    name: str
    line: int
    stated: Mapping[str, Stated]
    """Its own words over the defaults."""
    presets: tuple[str, ...]
    """Their names."""
    layers: tuple[Layer, ...]
    """Of settings, in rising order."""
    inputs: Inputs
    faces: "TrackNumbers | None" = None

    def named(self, root: Path, problems: Problems) -> Iterator[NamedFilm]:
        """The films with all names; what is wrong is told, and that film left out.

        Args:
            root: The folder of the batch file.
            problems: Are told.
        """
        templates = dict(self._templates(problems))
        if "output" not in templates:  # which has been told
            return
        for index, found in enumerate(self.inputs.films, 1):
            values: dict[str, Value] = {
                **found.fields,
                "root": str(root),
                "job": self.name,
                "preset": "+".join(self.presets) or "default",
                "index": index,
            }
            key = "output"
            try:
                target = _path(root, templates[key], values)
                place = target_place(target, found)
                beside: dict[Kind, Path] = {}
                for key in _NAMED:
                    if key in templates:
                        beside[key] = _path(root, templates[key], {**values, "output": str(place)})
                        check_side_file(key, beside[key])
                key = "cues"
                cues = _path(root, templates[key], values) if key in templates else None
            except GpenVideoError as error:
                problems.add(self.line_of(key), f"{found.source}: {error}", kind=key)
                continue
            yield NamedFilm(found, target, place, beside, cues)

    def outputs(self, film: NamedFilm) -> Iterator[Output]:
        """All files that are written for a film."""
        line, source = self.line_of("output"), film.found.source
        yield Output("result", film.target, film.place, line, source)
        for kind, path in film.beside.items():
            yield Output(kind, path, path, self.line_of(kind), source)
        if self.is_on("framemd5"):
            for ending in CHECKSUMS:
                path = film.place.with_name(film.place.name + ending)
                yield Output("checksums", path, path, line, source)

    def jobs(self, films: Sequence[NamedFilm], overrides: Sequence[Layer], *, overwrite: bool) -> Iterator[Job]:
        """The films as jobs; `films` are those of `named`."""
        from gpen_video.pipeline import Extras  # not at the top: it loads the networks' library

        settings = resolve(*self.layers, *overrides)
        for film in films:
            yield Job(
                name=self.name,
                line=self.line,
                source=film.found.source,
                target=film.target,
                settings=settings,
                extras=Extras(
                    faces=self.faces,
                    cues=film.cues,
                    report=film.beside.get("report"),
                    matte=film.beside.get("matte"),
                    layer=film.beside.get("layer"),
                    framemd5=self.is_on("framemd5"),
                    verify=self.is_on("verify"),
                ),
                overwrite=overwrite or self.is_on("overwrite"),
                retries=self.stated["retries"].value if "retries" in self.stated else _RETRIES,
            )

    def line_of(self, key: str) -> int:
        """On which line a key is stated, else that of the table."""
        return self.stated[key].line if key in self.stated else self.line

    def is_on(self, key: str) -> bool:
        """Whether a key that is true or false is true."""
        return key in self.stated and bool(self.stated[key].value)

    def _templates(self, problems: Problems) -> Iterator[tuple[str, Template]]:
        for key in ("output", *_NAMED, "cues"):
            if key not in self.stated:
                continue
            try:
                yield key, Template.parse(self.stated[key].value, side_file=key in _NAMED)
            except ConfigError as error:
                problems.add(self.line_of(key), str(error))


def _path(root: Path, template: Template, values: Mapping[str, Value]) -> Path:
    return Path(os.path.normpath(root / template.render(values)))
