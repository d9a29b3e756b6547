import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpen_video.errors import ChecksumError, DownloadError
from gpen_video.weights.download import download
from tests.weights.server import BODY, serving

SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.mark.parametrize("path", ["whole", "moved", "no-length"])
def test_a_whole_file_arrives_under_its_name(server: str, tmp_path: Path, path: str) -> None:
    target = tmp_path / "new" / "file.pth"
    seen: list[tuple[int, int | None]] = []
    digest = download(
        f"{server}/{path}",
        target,
        size=len(BODY),
        sha256=SHA256,
        progress=lambda count, whole: seen.append((count, whole)),
    )
    assert digest == SHA256
    assert target.read_bytes() == BODY
    assert [file.name for file in target.parent.iterdir()] == ["file.pth"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert [count for count, _ in seen] == sorted(count for count, _ in seen)


def test_the_file_is_as_readable_as_any_other(server: str, tmp_path: Path) -> None:
    download(f"{server}/whole", tmp_path / "file")
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("path", "size", "sha256", "error", "message"),
    [
        ("whole", None, "0" * 64, ChecksumError, "it was thrown away"),
        ("whole", len(BODY) + 1, None, ChecksumError, "were expected"),
        ("whole", len(BODY) - 1, None, ChecksumError, "more than the"),
        ("broken", None, None, DownloadError, "broke off after"),
        ("absent", None, None, DownloadError, "answers 404"),
    ],
)
def test_what_is_not_the_whole_file_leaves_nothing(
    server: str, tmp_path: Path, path: str, size: int | None, sha256: str | None, error: type, message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        download(f"{server}/{path}", tmp_path / "file", size=size, sha256=sha256)
    assert f"{server}/{path}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(server: str, tmp_path: Path) -> None:
    def interrupt(count: int, whole: int | None) -> None:
        assert [file.suffix for file in tmp_path.iterdir()] == [".part"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{server}/whole", tmp_path / "file", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_fetch_leaves_the_old_file(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ChecksumError):
        download(f"{server}/whole", tmp_path / "file", sha256="0" * 64)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(DownloadError, match=r"cannot be fetched: .*refused"):
            download(f"http://127.0.0.1:{taken.getsockname()[1]}/x", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://", "nonsense", "http://exa mple.invalid/x", "http://[::1/x"])
def test_what_is_no_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="cannot be fetched"):
        download(url, tmp_path / "file")


def test_a_folder_that_cannot_be_made(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot be made"):
        download(f"{server}/whole", tmp_path / "file" / "x")
