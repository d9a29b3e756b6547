"""A folder of images becomes a portrait folder, with the shipped detector; what is left out is accounted for."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpen_video.errors import GpenVideoError, InputError, OutputError, UsageError
from gpen_video.faces import RetinaFaceDetector
from gpen_video.train.data import Crops, read_index
from gpen_video.train.prepare import Progress, Reason, prepare, sharpness
from gpen_video.weights import load_detector

Image = NDArray[np.uint8]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def detector() -> RetinaFaceDetector:
    net = load_detector("retinaface-mobile0.25").net
    return RetinaFaceDetector(net, device=torch.device("cpu"), score=0.5, min_face=8)


@pytest.fixture(scope="module")
def face() -> Image:
    """The astronaut of scikit-image, 320 pixels, B'G'R'; her eyes are 61 pixels apart."""
    data = pytest.importorskip("skimage.data")
    return cv2.resize(np.asarray(data.astronaut())[0:220, 115:335, ::-1], (320, 320), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def folder(face: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four usable images of three people, and one of each kind that is not."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "anna" / "deeper").mkdir(parents=True)
    (folder / "anna" / "deeper" / "ben").mkdir()
    images = {
        "anna/one.png": face,
        "anna/two.JPG": face[:, ::-1],
        "anna/deeper/ben/three.webp": cv2.convertScaleAbs(face, alpha=0.8),
        "cara.tiff": np.repeat(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2),
        "small.png": cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "soft.png": cv2.GaussianBlur(face, (0, 0), 4),
        "nobody.bmp": np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8),
        "two.png": np.hstack([face, face]),
        ".hidden.png": face,
    }
    for name, image in images.items():
        coded = cv2.imencode(Path(name).suffix.lower(), image)[1].tobytes()
        (folder / name).write_bytes(coded)
    (folder / "text.jpg").write_text("a picture was here")
    whole = (folder / "anna" / "two.JPG").read_bytes()
    (folder / "cut.jpeg").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("notes")
    return folder


@pytest.fixture(scope="module")
def prepared(folder: Path, detector: RetinaFaceDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "new" / "faces"
    seen: list[Progress] = []
    account = prepare(folder, out, detector=detector, on_image=seen.append)
    assert {skip.file.relative_to(folder).as_posix(): skip.reason for skip in account.skipped} == {
        "cut.jpeg": Reason.UNREADABLE,
        "text.jpg": Reason.UNREADABLE,
        "nobody.bmp": Reason.NO_FACE,
        "two.png": Reason.SEVERAL,
        "small.png": Reason.SMALL,
        "soft.png": Reason.SOFT,
    }
    assert account.counts[Reason.UNREADABLE] == 2
    assert (account.portraits, account.identities, account.held_out) == (4, 3, account.held_out)
    assert [progress.done for progress in seen] == list(range(1, 11))
    assert {progress.total for progress in seen} == {10}
    assert [progress.skipped for progress in seen if progress.skipped] == list(account.skipped)
    return out


def test_the_account_names_every_image_left_out(prepared: Path) -> None:
    assert sorted(path.name for path in prepared.iterdir()) == ["held-out.txt", "index.csv"]


def test_people_are_named_after_their_folder_else_the_file(prepared: Path) -> None:
    assert [(p.path.name, p.identity) for p in read_index(prepared)] == [
        ("three.webp", "ben"),
        ("one.png", "anna"),
        ("two.JPG", "anna"),
        ("cara.tiff", "cara"),
    ]


def test_landmarks_agree_between_copies_of_one_face(prepared: Path) -> None:
    three, one, two, grey = (portrait.landmarks_5xy for portrait in read_index(prepared))
    mirrored = (np.array([319.0, 0.0]) + np.array([-1.0, 1.0]) * two)[[1, 0, 2, 4, 3]]
    for other in (three, mirrored, grey):
        assert np.linalg.norm(other - one, axis=1).mean() < 0.1 * np.linalg.norm(one[1] - one[0])


def test_the_index_holds_what_training_reads(prepared: Path) -> None:
    crops = Crops(read_index(prepared), 64)
    assert crops.crop(0).shape == (64, 64, 3)
    with (prepared / "index.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row, portrait in zip(rows, read_index(prepared), strict=True):
        assert Path(row["file"]).is_absolute()
        assert portrait.box_xyxy is not None
        assert (portrait.landmarks_5xy > portrait.box_xyxy[:2]).all()
        assert (portrait.landmarks_5xy < portrait.box_xyxy[2:]).all()
        apart = np.linalg.norm(portrait.landmarks_5xy[1] - portrait.landmarks_5xy[0])
        assert float(row["eye_distance"]) == pytest.approx(apart, abs=0.1)
        assert (row["width"], row["height"]) == ("320", "320")
        assert 0.8 <= float(row["score"]) <= 1


def test_of_few_people_the_one_with_the_least_hash_is_held_out(prepared: Path) -> None:
    least = min(["anna", "ben", "cara"], key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert (prepared / "held-out.txt").read_text() == f"{least}\n"
    assert {p.identity for p in read_index(prepared) if p.held_out} == {least}


def test_an_index_is_read_as_it_is(prepared: Path, tmp_path: Path) -> None:
    """No detector is needed; a broken image is left out, every column is kept, and so is the split."""
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    rows = list(csv.DictReader((prepared / "index.csv").read_text().splitlines()))
    for number, row in enumerate(rows):
        content = Path(row["file"]).read_bytes()
        (source / "images" / f"{number}.png").write_bytes(content if number != 2 else content[:900])
        row |= {"file": f"{number}.png", "identity": f"p{number}", "source": "test"}
    with (source / "index.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (source / "held-out.txt").write_text("1.png\n")
    before = (source / "index.csv").read_bytes()
    account = prepare(source, tmp_path / "out", detector=NotNeeded())
    assert [(skip.file, skip.reason) for skip in account.skipped] == [(source / "images/2.png", Reason.UNREADABLE)]
    assert [(p.identity, p.held_out) for p in read_index(tmp_path / "out")] == [
        ("p0", False),
        ("p1", True),
        ("p3", False),
    ]
    written = list(csv.DictReader((tmp_path / "out/index.csv").read_text().splitlines()))
    assert [row["source"] for row in written] == ["test"] * 3
    assert [row["nose_x"] for row in written] == [rows[number]["nose_x"] for number in (0, 1, 3)]
    assert (source / "index.csv").read_bytes() == before
    with pytest.raises(UsageError, match="has an index"):
        prepare(source, source, detector=NotNeeded())


def test_a_list_that_stands_there_is_kept(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "held-out.txt").write_text("ben\nsomebody else\n")
    prepare(prepared, tmp_path, detector=NotNeeded())
    assert [p.identity for p in read_index(tmp_path) if p.held_out] == ["ben"]
    with pytest.raises(OutputError, match=r"index\.csv exists already"):
        prepare(prepared, tmp_path, detector=NotNeeded())
    (tmp_path / "held-out.txt").write_text("nobody here\n")
    assert prepare(prepared, tmp_path, detector=NotNeeded(), overwrite=True).held_out > 0
    assert "nobody here" in (tmp_path / "held-out.txt").read_text().splitlines()
    (tmp_path / "held-out.txt").write_text("anna\nben\ncara\n")
    with pytest.raises(InputError, match="lists everybody"):
        prepare(prepared, tmp_path, detector=NotNeeded(), overwrite=True)


class NotNeeded:
    """A detector that must not be asked."""

    def detect(self, rgb_nhwc: NDArray[np.uint8]) -> list[tuple[object, ...]]:
        raise AssertionError("a folder with an index needs no detector")


def test_images_of_one_person_are_split_by_file(face: Image, detector: RetinaFaceDetector, tmp_path: Path) -> None:
    (tmp_path / "in" / "her").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / "in" / "her" / name), face)
    account = prepare(tmp_path / "in", tmp_path / "out", detector=detector)
    least = min(["a.png", "b.png", "c.png"], key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert (account.identities, account.held_out) == (1, 1)
    assert [p.path.name for p in read_index(tmp_path / "out") if p.held_out] == [least]


def test_close_ups_larger_than_the_detector_knows_are_found(
    face: Image, detector: RetinaFaceDetector, tmp_path: Path
) -> None:
    for name, zoom in {"a": 1, "b": 5}.items():
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), cv2.resize(face, None, fx=zoom, fy=zoom))
    assert prepare(tmp_path, tmp_path / "out", detector=detector).portraits == 2
    near, far = (portrait.landmarks_5xy for portrait in read_index(tmp_path / "out")[::-1])
    assert np.linalg.norm((near + 0.5) / 5 - 0.5 - far, axis=1).mean() < 0.06 * np.linalg.norm(far[1] - far[0])


def test_sharpness_falls_with_blur(face: Image, prepared: Path) -> None:
    landmarks = read_index(prepared)[1].landmarks_5xy
    seen = [sharpness(cv2.GaussianBlur(face, (0, 0), blur), landmarks) for blur in (0.5, 1, 2, 4)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 2 * seen[2]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no images"),
        (["cara.tiff"], "holds one image; a training needs 2 at the very least, and hundreds"),
        (["nobody.bmp", "text.jpg"], r"no face that can be used \(.*1 x no clear face"),
        (["cara.tiff", "text.jpg"], r"only one face that can be used \(1 x not a readable"),
    ],
)
def test_a_folder_that_is_no_use_is_one_clear_line(
    folder: Path, detector: RetinaFaceDetector, tmp_path: Path, names: list[str], message: str
) -> None:
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match=message) as caught:
        prepare(tmp_path / "in", tmp_path / "out", detector=detector)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "in") in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_folder_and_a_file_in_the_way_are_clear(
    folder: Path, detector: RetinaFaceDetector, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="gone: no such folder"):
        prepare(tmp_path / "gone", tmp_path / "out", detector=detector)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(GpenVideoError, match="out is a file; name a folder"):
        prepare(folder, tmp_path / "out", detector=detector)


def test_shared_portraits_are_found_where_their_index_says(
    shared: Path, detector: RetinaFaceDetector, tmp_path: Path
) -> None:
    known = [portrait for portrait in read_index(shared / "faces")[100::600] if portrait.box_xyxy is not None]
    for portrait in known:
        (tmp_path / portrait.path.name).write_bytes(portrait.path.read_bytes())
    account = prepare(tmp_path, tmp_path / "out", detector=detector)
    assert (account.portraits, account.skipped) == (len(known), ())
    found = {portrait.path.name: portrait.landmarks_5xy for portrait in read_index(tmp_path / "out")}
    off = []
    for portrait in known:
        wanted = portrait.landmarks_5xy
        apart = np.linalg.norm(wanted[1] - wanted[0])
        off.append(np.linalg.norm(found[portrait.path.name] - wanted, axis=1).mean() / apart)
    assert np.median(off) < 0.15
