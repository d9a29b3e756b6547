"""A film in a storage, for the machines that restore its segments; and the segments, on their way back."""

import hashlib
import os
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from gpen_video.errors import ClusterError
from gpen_video.jobs.storage import BLOCK, Storage, StoredFile
from gpen_video.media.fingerprint import fingerprint
from gpen_video.pipeline.models import Models
from gpen_video.pipeline.segment_files import Finished, Seal, sealed, segment_name, told
from gpen_video.pipeline.segment_work import FilmOrder, SegmentWork, restore_segment


@dataclass(frozen=True, slots=True)
class StoredFilm:
    """Reads a film from a storage (a `FilmReader`)."""

    storage: Storage
    name: str

    def open(self) -> StoredFile:
        """The film from its first byte on; see `Storage.open`."""
        return self.storage.open(self.name)


@dataclass(frozen=True, slots=True)
class Deposit:
    """What a storage holds for one film and one result; can be pickled."""

    storage: Storage
    film: str
    """With which all its names begin."""

    @classmethod
    def of(cls, storage: Storage, order: FilmOrder) -> Self:
        """For a film that is a file; nothing is put there yet.

        Raises:
            InputError: The film cannot be read.
        """
        film = fingerprint(order.reading.info.path)
        known_by = f"{film.size} {film.modified_ns} {film.sample_sha256} {os.fspath(order.folder)}"
        return cls(storage, hashlib.sha256(known_by.encode("utf-8", "surrogateescape")).hexdigest()[:24])

    def bring_film(self, film: Path) -> None:
        """Put the film there, unless it is there from an earlier run; take away what that run left of its segments.

        Raises:
            ClusterError: The storage cannot be used.
        """
        self.clear(with_film=False)
        if self.storage.size(self._film_name) != film.stat().st_size:
            self.storage.put(film, self._film_name)

    def restored(self, order: FilmOrder, work: SegmentWork, models: Models, attempt: str) -> Finished:
        """Restore a segment on a machine that sees neither the film nor its work folder.

        Args:
            order: As on the machine that follows the film.
            work: The segment.
            models: Of the order's settings.
            attempt: See `restore_segment`.

        Raises:
            GpenVideoError: See `restore_segment`; and `ClusterError` where the storage cannot be used.
        """
        with tempfile.TemporaryDirectory(prefix="gpen-video-") as folder:
            finished = restore_segment(self._elsewhere(order, Path(folder)), work, models, attempt)
            for name in _names(finished, attempt):
                self.storage.put(Path(folder) / name, self._name(name))
        return finished

    def fetch(self, finished: Finished, attempt: str, folder: Path) -> None:
        """Take a segment's files out of the storage, into the film's work folder, and see that they are whole.

        Raises:
            ClusterError: They are not there, or not those that were made.
            OutputError: The folder cannot be written to.
        """
        names = _names(finished, attempt)
        for name, seal in names.items():
            # Copied here, not by fsspec, so that a full disk of this machine is not taken for a fault of the storage.
            with (
                told(folder),
                closing(self.storage.open(self._name(name))) as source,
                (folder / name).open("wb") as file,
            ):
                shutil.copyfileobj(source, file, BLOCK)
            with told(folder):
                arrived = sealed(folder / name)
            if arrived != seal:
                raise ClusterError(f"{self.storage.url}: {self._name(name)} came back other than it was made")
        self.storage.remove(*map(self._name, names))

    def clear(self, *, with_film: bool) -> None:
        """Take away what the storage holds for the film.

        Args:
            with_film: Also the film itself, which another run could use.

        Raises:
            ClusterError: The storage cannot be used.
        """
        names = self.storage.names(self.film)
        self.storage.remove(*(name for name in names if with_film or name != self._film_name))

    def _elsewhere(self, order: FilmOrder, folder: Path) -> FilmOrder:
        """The order for a machine that reads the film from the storage, and has a folder of its own."""
        reader = StoredFilm(self.storage, self._film_name)
        files = {kind: replace(file, like=replace(file.like, reader=reader)) for kind, file in order.files.items()}
        reading = replace(order.reading, info=replace(order.reading.info, reader=reader))
        return replace(order, folder=folder, reading=reading, files=files)

    @property
    def _film_name(self) -> str:
        return f"{self.film}.film"

    def _name(self, name: str) -> str:
        return f"{self.film}.{name}"


def _names(finished: Finished, attempt: str) -> dict[str, Seal]:
    """Of a segment's files, with what makes sure that they are whole."""
    return {segment_name(finished.number, kind, attempt): seal for kind, seal in finished.files.items()}
