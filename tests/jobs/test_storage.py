"""What machines leave for one another: files come back as they were, films are read from afar as from the disk."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpen_video.config import Settings
from gpen_video.errors import ClusterError, OutputError, UsageError
from gpen_video.jobs.deposit import Deposit, StoredFilm
from gpen_video.jobs.storage import Storage
from gpen_video.media import decode, place_of, probe
from gpen_video.pipeline import restore_video
from gpen_video.pipeline.models import Models, load_models
from gpen_video.pipeline.segment_files import Finished, Seal
from gpen_video.pipeline.segment_work import FilmOrder, SegmentWork, adopt_segment
from gpen_video.types import FilmBytes, Frame, VideoInfo
from tests.jobs import object_store
from tests.media.factories import ffmpeg
from tests.pipeline.clips import sample_greys, write


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with object_store.object_store() as endpoint:
        yield endpoint


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "s3":
        request.getfixturevalue("store")
        return object_store.place()
    (tmp_path / "store").mkdir()
    return Storage(f"file://{tmp_path}/store/")


def test_files_come_back_as_they_were(storage: Storage, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "film").write_bytes(content)
    storage.check()
    assert (storage.size("one.film"), storage.names("one")) == (None, [])
    storage.put(tmp_path / "film", "one.film")
    storage.put(tmp_path / "film", "two.film")
    assert (storage.size("one.film"), storage.names("one")) == (len(content), ["one.film"])
    file = storage.open("two.film")
    assert (file.seek(-10, 2), file.read(100)) == (len(content) - 10, content[-10:])
    assert (file.seek(1_000_000), file.read(5), file.tell()) == (1_000_000, content[1_000_000:1_000_005], 1_000_005)
    file.close()
    storage.remove("one.film", "never-there")
    assert (storage.size("one.film"), storage.names("")) == (None, ["two.film"])


def test_what_is_not_there_is_one_line(storage: Storage) -> None:
    with pytest.raises(ClusterError, match="cannot be read from") as raised:
        storage.open("x").read(1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [("nosuch://x", "nosuch"), ("s3+x://b", "s3[+]x")],
)
def test_a_storage_that_nobody_knows_is_wrong_use(url: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Storage(url).check()


def test_a_storage_that_is_not_there_is_said(store: str, tmp_path: Path) -> None:
    for url in (f"{tmp_path}/nowhere", "s3://no-such-bucket/x"):
        with pytest.raises(ClusterError, match="cannot be written to") as raised:
            Storage(url).check()
        assert url in str(raised.value) and "\n" not in str(raised.value)


FILMS = {
    "mp4": ("-c:v", "libx264", "-g", "12"),
    "mkv": ("-c:v", "ffv1"),
    "avi": ("-c:v", "mpeg4", "-g", "12", "-bf", "0"),
    "ts": ("-c:v", "libx264", "-g", "12", "-bf", "2"),
    "mpg": ("-c:v", "mpeg2video", "-g", "12", "-bf", "2"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, store: str) -> dict[str, tuple[VideoInfo, VideoInfo]]:
    """Each as it lies on the disk, and in the store."""
    folder, storage = tmp_path_factory.mktemp("films"), object_store.place()
    found = {}
    for ending, options in FILMS.items():
        film = folder / f"film.{ending}"
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-frames:v", "60", *options, film)
        storage.put(film, f"{ending}.film")
        info = probe(film)
        away = replace(info, path=Path("/nowhere") / film.name, reader=StoredFilm(storage, f"{ending}.film"))
        found[ending] = (info, away)
    return found


def same(one: list[Frame], other: list[Frame]) -> bool:
    return [place_of(frame) for frame in one] == [place_of(frame) for frame in other] and len(one) > 0


@pytest.mark.parametrize("ending", FILMS)
def test_a_film_decodes_from_afar_as_from_the_disk(films: dict[str, tuple[VideoInfo, VideoInfo]], ending: str) -> None:
    here, away = films[ending]
    frames = list(decode(here))
    assert same(frames, list(decode(away)))
    since = tuple(place_of(frame) for frame in frames[45:48])
    assert same(frames[45:], list(decode(away, since=since)))


class Failing:
    """A storage that goes away after some bytes."""

    def __init__(self, path: Path, after: int) -> None:
        self.path, self.left = path, after

    def open(self) -> FilmBytes:
        file, reader = self.path.open("rb"), self

        class Bytes:
            def read(self, size: int, /) -> bytes:
                reader.left -= size
                if reader.left < 0:
                    raise ClusterError("the storage went away")
                return file.read(size)

            def seek(self, offset: int, whence: int = 0, /) -> int:
                return file.seek(offset, whence)

            def tell(self) -> int:
                return file.tell()

            def close(self) -> None:
                file.close()

        return Bytes()


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_storage_that_goes_away_is_no_damaged_film(
    films: dict[str, tuple[VideoInfo, VideoInfo]], part: float
) -> None:
    here, _ = films["avi"]
    reader = Failing(here.path, int(here.path.stat().st_size * part))
    with pytest.raises(ClusterError, match="the storage went away"):
        list(decode(replace(here, reader=reader)))


class ThroughStorage:
    """Restores each segment as a machine that sees the storage alone: film and work folder are hidden meanwhile."""

    def __init__(self, storage: Storage, models: Models, spoil: Callable[[Storage], None] = lambda _: None) -> None:
        self.storage, self.models, self.spoil = storage, models, spoil
        self.done: list[Finished] = []
        self.deposit: Deposit | None = None

    def takes(self, order: FilmOrder) -> bool:
        return True

    def submit(self, order: FilmOrder, work: SegmentWork) -> None:
        film, folder = order.reading.info.path, order.folder
        if self.deposit is None:
            self.deposit = Deposit.of(self.storage, order)
            self.deposit.bring_film(film)
        hidden = [path.rename(path.with_name(f"hidden-{path.name}")) for path in (film, folder)]
        try:
            finished = self.deposit.restored(order, work, self.models, "a")
        finally:
            for path in hidden:
                path.rename(path.with_name(path.name.removeprefix("hidden-")))
        self.spoil(self.storage)
        self.deposit.fetch(finished, "a", folder)
        adopt_segment(order, finished, "a")
        self.done.append(finished)

    def finished(self, order: FilmOrder, *, wait: bool = False) -> Iterator[Finished]:
        while self.done:
            yield self.done.pop()


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with load_models(SETTINGS) as loaded:
        yield loaded


SETTINGS = Settings.model_validate(
    {
        "encode": {"preset": "ultrafast"},
        "segments": {"shortest": 3, "longest": 16},
        "restore": {"device": "cpu", "strength": 0.7},
    }
)


@pytest.fixture(scope="module")
def here(models: Models, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A film of two segments, and what is made of it without a storage."""
    folder = tmp_path_factory.mktemp("here")
    film = write(folder / "film.mkv", sample_greys(18), 24)
    restore_video(film, folder / "out.mp4", SETTINGS, models=models)
    return film, (folder / "out.mp4").read_bytes()


def test_segments_through_a_storage_make_the_same_film(
    storage: Storage, models: Models, here: tuple[Path, bytes], tmp_path: Path
) -> None:
    film, content = here
    through = ThroughStorage(storage, models)
    restore_video(film, tmp_path / "there.mp4", SETTINGS, models=models, executor=through)
    assert (tmp_path / "there.mp4").read_bytes() == content
    assert through.deposit is not None
    assert storage.names("") == [f"{through.deposit.film}.film"]  # segments are gone, the film would serve another run
    through.deposit.clear(with_film=True)
    assert storage.names("") == []


def test_a_segment_that_comes_back_changed_is_not_believed(
    models: Models, here: tuple[Path, bytes], tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()

    def spoil(storage: Storage) -> None:
        (video,) = (tmp_path / "store").glob("*.00000.video.a")
        content = bytearray(video.read_bytes())
        content[len(content) // 2] ^= 1
        video.write_bytes(content)

    through, (film, _) = ThroughStorage(Storage(str(tmp_path / "store")), models, spoil), here
    with pytest.raises(ClusterError, match=r"00000\.video\.a came back other than it was made"):
        restore_video(film, tmp_path / "there.mp4", SETTINGS, models=models, executor=through)
    assert not (tmp_path / "there.mp4").exists()


def test_a_work_folder_that_cannot_be_written_to_is_no_fault_of_the_storage(tmp_path: Path) -> None:
    (tmp_path / "film.00000.video.a").write_bytes(b"a segment")
    finished = Finished(0, 0, 1, True, {"video": Seal.of(tmp_path / "film.00000.video.a")})
    deposit = Deposit(Storage(str(tmp_path)), "film")
    with pytest.raises(OutputError, match="nowhere cannot be written to"):
        deposit.fetch(finished, "a", tmp_path / "nowhere")
    (tmp_path / "work").mkdir()
    deposit.fetch(finished, "a", tmp_path / "work")
    assert (tmp_path / "work" / "00000.video.a").read_bytes() == b"a segment"
    assert not (tmp_path / "film.00000.video.a").exists()
