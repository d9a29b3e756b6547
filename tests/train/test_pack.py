"""Packed faces are the crops of the portraits, jittered alike; a pack is whole or not at all, and says what ails it."""

import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.errors import InputError, OutputError
from gpen_video.geometry import TEMPLATES
from gpen_video.train.data import Crops, Jitter, Portrait
from gpen_video.train.pack import PackedFaces, pack

resource = pytest.importorskip("resource", reason="needs a limit on file sizes, which Windows has not")
SIZE = 96
COUNT = 6


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> list[Portrait]:
    """Smooth colour clouds of 200 pixels; the face takes the middle 140."""
    folder = tmp_path_factory.mktemp("portraits")
    rng = np.random.default_rng(1)
    made = []
    for number in range(COUNT):
        cloud = cv2.resize(rng.integers(0, 255, (14, 14, 3), np.uint8), (200, 200), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), cloud)
        landmarks = TEMPLATES["gpen"] * 140 + 30
        made.append(Portrait(folder / f"{number}.png", f"person {number}", landmarks, held_out=number in (1, 4)))
    return made


@pytest.fixture(scope="module")
def packed(portraits: list[Portrait], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "faces.pack"
    pack(portraits, path, size=SIZE, margin=8)
    return path


def psnr(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(-10 * np.log10(np.square(a - b).mean()))


def test_both_parts_of_the_split_come_back_as_the_crops(portraits: list[Portrait], packed: Path) -> None:
    for held_out, numbers in {False: [0, 2, 3, 5], True: [1, 4]}.items():
        faces, crops = PackedFaces(packed, held_out=held_out), Crops([portraits[n] for n in numbers], SIZE)
        assert (len(faces), faces.size) == (len(numbers), SIZE)
        assert faces.identities == tuple(f"person {number}" for number in numbers)
        for index in range(len(faces)):
            crop = faces.crop(index)
            assert crop.shape == (SIZE, SIZE, 3) and crop.dtype == np.float32
            assert psnr(crop, crops.crop(index)) > 33
        assert psnr(faces.crop(0), crops.crop(1)) < 20


def test_they_are_jittered_and_mirrored_as_the_crops_are(portraits: list[Portrait], packed: Path) -> None:
    faces, crops = PackedFaces(packed, held_out=True), Crops([portraits[1], portraits[4]], SIZE)
    for seed in range(8):
        ours, theirs = (source.crop(seed % 2, np.random.default_rng(seed)) for source in (faces, crops))
        assert psnr(ours, theirs) > 30
        assert psnr(ours, np.roll(theirs, 2, axis=1)) < psnr(ours, theirs) - 3  # it would show two pixels


def test_the_generator_is_left_where_crops_leave_it(portraits: list[Portrait], packed: Path) -> None:
    after = []
    for source in (PackedFaces(packed, held_out=True), Crops(portraits, SIZE)):
        rng = np.random.default_rng(9)
        source.crop(0, rng)
        after.append(rng.random())
    assert after[0] == after[1]


def test_the_margin_shows_what_is_really_there(portraits: list[Portrait], tmp_path: Path) -> None:
    crops = Crops(portraits[1:2], SIZE)
    off = {}
    for margin in (0, 12):
        pack(portraits[1:2], tmp_path / f"{margin}", size=SIZE, margin=margin)
        faces = PackedFaces(tmp_path / f"{margin}", held_out=True)
        off[margin] = np.mean([psnr(*(s.crop(0, np.random.default_rng(n)) for s in (faces, crops))) for n in range(12)])
    assert off[12] > off[0] + 2


def test_smaller_crops_are_averages(packed: Path) -> None:
    half, whole = (PackedFaces(packed, held_out=True, size=size) for size in (SIZE // 2, None))
    averaged = whole.crop(0).reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean(axis=(1, 3))
    assert half.size == SIZE // 2
    np.testing.assert_allclose(half.crop(0), averaged, atol=1.01 / 255)
    assert half.crop(1, np.random.default_rng(1)).shape == (SIZE // 2, SIZE // 2, 3)
    with pytest.raises(ValueError, match="holds faces of 96 pixels"):
        PackedFaces(packed, held_out=True, size=SIZE + 1)


def test_a_worker_process_gets_the_same(packed: Path) -> None:
    faces = PackedFaces(packed, held_out=False)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(faces)).crop(2), faces.crop(2))


def test_the_same_faces_give_the_same_file(portraits: list[Portrait], packed: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    pack(portraits, tmp_path / "again", size=SIZE, margin=8, on_image=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "again").read_bytes() == packed.read_bytes()
    assert seen == [(number, COUNT) for number in range(1, COUNT + 1)]
    assert list(tmp_path.iterdir()) == [tmp_path / "again"]


def test_any_tool_can_open_it(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("pack.json"))["size"] == SIZE
        assert archive.read("index.csv").decode().splitlines()[2] == "000001.webp,person 1,1"


def _other_archive(path: Path, whole: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", whole)


def _other_format(path: Path, _: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pack.json", '{"format": "gpen-video faces/99", "size": 8}')


FAULTS = {
    "gone": lambda path, whole: None,
    "text": lambda path, whole: path.write_text("no pack of faces at all\n"),
    "empty": lambda path, whole: path.write_bytes(b""),
    "cut off": lambda path, whole: path.write_bytes(whole[:-5]),
    "half": lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
    "damaged": lambda path, whole: path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:]),
    "folder": lambda path, whole: path.mkdir(),
    "other archive": _other_archive,
    "other format": _other_format,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_whole_pack_is_one_clear_line(packed: Path, tmp_path: Path, fault: str) -> None:
    FAULTS[fault](tmp_path / "bad.pack", packed.read_bytes())
    with pytest.raises(InputError, match=r"bad\.pack: ") as caught:
        PackedFaces(tmp_path / "bad.pack", held_out=False)
    assert "\n" not in str(caught.value)


def test_a_pack_without_the_part_asked_for_says_so(portraits: list[Portrait], tmp_path: Path) -> None:
    pack(portraits[:1], tmp_path / "a", size=SIZE)
    with pytest.raises(InputError, match="holds no held-out faces"):
        PackedFaces(tmp_path / "a", held_out=True)
    with pytest.raises(InputError, match="no portraits to pack"):
        pack([], tmp_path / "b")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to let any file grow further, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.filterwarnings("error")
def test_a_full_disk_leaves_what_was_there(portraits: list[Portrait], packed: Path, tmp_path: Path) -> None:
    path = tmp_path / "faces.pack"
    path.write_bytes(b"as it was")
    with files_of_at_most(2500), pytest.raises(OutputError, match=r"faces\.pack: cannot be written: ") as caught:
        pack(portraits, path, size=SIZE, overwrite=True)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_broken_image_is_named_and_nothing_is_left(portraits: list[Portrait], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    broken = Portrait(tmp_path / "broken.jpg", "b", portraits[0].landmarks_5xy)
    with pytest.raises(InputError, match=r"broken\.jpg: not a readable image"):
        pack([*portraits, broken], tmp_path / "faces.pack", size=SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.jpg"]


def test_a_file_is_replaced_only_when_asked(portraits: list[Portrait], packed: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        pack(portraits, tmp_path / "a", size=SIZE)
    pack(portraits, tmp_path / "a", size=SIZE, margin=8, overwrite=True)
    assert (tmp_path / "a").read_bytes() == packed.read_bytes()


def test_it_is_read_without_the_heavy_libraries(packed: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np; from gpen_video.train.pack import PackedFaces;"
        "PackedFaces(Path(sys.argv[1]), held_out=False).crop(0, np.random.default_rng(0)); print(*sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(packed)], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in said.stdout.split()}
    assert not loaded & {"av", "pydantic", "safetensors", "facexlib", "filterpy", "scipy", "rich", "torchvision"}


def test_jitter_stays_within_the_default_margin_mostly() -> None:
    corners = np.array([[0.0, 0.0], [255.0, 0.0], [255.0, 255.0], [0.0, 255.0]])
    beyond = []
    for seed in range(400):
        linear = Jitter.draw(np.random.default_rng(seed)).in_pixels(np.array([[256.0, 0, 0], [0, 256.0, 0]]))
        seen = (corners - linear[:, 2]) @ np.linalg.inv(linear[:, :2]).T
        beyond.append((seen < -16).any() or (seen > 271).any())
    assert np.mean(beyond) < 0.08
