import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpen_video.errors import ChecksumError, ConfigError, DownloadError, UnknownWeightsError, WeightsError
from gpen_video.weights import REGISTRY, Weights, cache_folder, fetch, locate
from gpen_video.weights.cache import location
from gpen_video.weights.locate import verify
from tests.weights.server import BODY, serving

SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPEN_VIDEO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def unvouched(server: str) -> Weights:
    return replace(REGISTRY["gpen-bfr-256"], name="served", url=f"{server}/whole?.pth")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GPEN_VIDEO_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("GPEN_VIDEO_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "gpen-video" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "gpen-video" / "weights"


def test_no_home_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("GPEN_VIDEO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match="set GPEN_VIDEO_CACHE"):
        cache_folder()


def test_a_file_is_fetched_once(cache: Path, unvouched: Weights) -> None:
    first = fetch(unvouched)
    assert first.path == cache / "served.pth"
    assert (first.sha256, first.path.read_bytes()) == (SHA256, BODY)
    changed = replace(unvouched, url="http://127.0.0.1:9/nobody.pth")
    assert fetch(changed, offline=True) == replace(first, weights=changed)


def test_trust_on_first_use_notices_a_changed_file(cache: Path, unvouched: Weights) -> None:
    fetch(unvouched)
    assert (cache / "served.pth.sha256").read_text(encoding="utf-8") == f"{SHA256}  served.pth\n"
    (cache / "served.pth").write_bytes(BODY[:-1])
    with pytest.raises(ChecksumError, match=r"served\.pth: sha256 is .* hash at first use"):
        fetch(unvouched)


def test_trust_on_first_use_holds_for_the_next_fetch(cache: Path, unvouched: Weights) -> None:
    fetch(unvouched)
    (cache / "served.pth").unlink()
    (cache / "served.pth.sha256").write_text(f"{'0' * 64}  served.pth\n", encoding="utf-8")
    with pytest.raises(ChecksumError, match="thrown away"):
        fetch(unvouched)
    assert not (cache / "served.pth").exists()


def test_a_file_put_there_by_hand_is_trusted_from_then_on(cache: Path, unvouched: Weights) -> None:
    cache.mkdir()
    location(unvouched).write_bytes(b"by hand")
    assert fetch(unvouched, offline=True).sha256 == hashlib.sha256(b"by hand").hexdigest()
    location(unvouched).write_bytes(b"another hand")
    with pytest.raises(ChecksumError):
        fetch(unvouched, offline=True)


def test_a_registered_hash_is_not_up_to_the_first_use(cache: Path, unvouched: Weights) -> None:
    vouched = replace(unvouched, sha256=SHA256)
    cache.mkdir()
    location(vouched).write_bytes(b"by hand")
    with pytest.raises(ChecksumError, match=f"not {SHA256} as it should be; delete it"):
        fetch(vouched, offline=True)
    location(vouched).unlink()
    assert fetch(vouched).sha256 == SHA256
    assert [file.name for file in cache.iterdir()] == ["served.pth"]


@pytest.mark.parametrize("content", ["", "garbage\n", f"{SHA256}\n"])
def test_a_damaged_record_is_no_excuse(cache: Path, unvouched: Weights, content: str) -> None:
    fetch(unvouched)
    (cache / "served.pth.sha256").write_text(content, encoding="utf-8")
    if content:
        with pytest.raises(ChecksumError, match=r"served\.pth\.sha256: this list of checksums is damaged"):
            verify(unvouched)
    else:  # empty, as a crash may leave it: nothing was trusted yet
        assert verify(unvouched).sha256 == SHA256


def test_offline_says_where_to_put_the_file(cache: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        locate("gpen-bfr-512", offline=True)
    assert str(caught.value) == (
        "gpen-bfr-512: not here, and fetching is switched off; put the file of "
        "https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models/GPEN-BFR-512.pth "
        f"by hand at {cache / 'gpen-bfr-512.pth'}"
    )
    assert not cache.exists()


def test_a_path_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(BODY)
    found = locate(str(path))
    assert (found.name, found.path, found.sha256, found.weights) == ("mine.pth", path, SHA256, None)


def test_neither_name_nor_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownWeightsError, match="no such file"):
        locate(str(tmp_path / "none.pth"))
    with pytest.raises(UnknownWeightsError):
        locate(str(tmp_path))


def test_a_missing_file_of_the_program(cache: Path) -> None:
    with pytest.raises(WeightsError, match="install the program again"):
        fetch(replace(REGISTRY["gpen-lite-256"], shipped="none.safetensors"))


def test_a_file_of_the_program_that_is_not_listed(cache: Path) -> None:
    with pytest.raises(WeightsError, match="install the program again"):
        verify(replace(REGISTRY["gpen-lite-256"], shipped="../registry.py"))
