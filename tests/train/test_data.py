"""The index, the split, and crops: on the product's own grid, jittered as stated, clear about damaged files."""

import csv
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpen_video.errors import InputError
from gpen_video.faces.align import Aligner
from gpen_video.geometry import TEMPLATES, apply, invert
from gpen_video.train.data import (
    BOX_NAMES,
    LANDMARK_NAMES,
    Crops,
    Jitter,
    Portrait,
    decode_image,
    draw,
    is_cut_off,
    read_bytes,
    read_index,
)

PEOPLE = [f"person {number}" for number in range(24)]
AXES = [f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy"]
LANDMARKS = TEMPLATES["gpen"] * 150 + 20.0
HEAVY = ("av", "pydantic", "safetensors", "facexlib", "filterpy", "scipy", "rich", "torchvision")


def write_index(folder: Path, people: list[str] = PEOPLE, **columns: Any) -> None:
    row = dict(zip(AXES, LANDMARKS.ravel(), strict=True)) | columns
    with (folder / "index.csv").open("w", newline="") as lines:
        rows = csv.DictWriter(lines, ["file", "identity", *row])
        rows.writeheader()
        rows.writerows({"file": f"{number}.jpg", "identity": name, **row} for number, name in enumerate(people))


def spots(points: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """A picture with a soft spot at each point; centroids tell where they are to a hundredth of a pixel."""
    y, x = np.mgrid[:side, :side]
    light = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.3**2)) for px, py in points)
    return np.repeat(np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def centroid(crop: NDArray[np.float32], near: NDArray[np.float64]) -> NDArray[np.float64]:
    left, top = (round(float(value)) - 6 for value in near)
    window = crop[top : top + 13, left : left + 13, 0].astype(np.float64)
    y, x = np.mgrid[top : top + 13, left : left + 13]
    return np.array([(x * window).sum(), (y * window).sum()]) / window.sum()


def a_portrait(folder: Path, picture: NDArray[np.uint8], name: str = "face.png") -> Portrait:
    cv2.imwrite(str(folder / name), picture)
    return Portrait(folder / name, name, LANDMARKS)


def test_without_a_list_the_rule_holds_out(tmp_path: Path) -> None:
    write_index(tmp_path)
    expected = [name for name in PEOPLE if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 20 == 0]
    assert 0 < len(expected) < 6
    assert [portrait.identity for portrait in read_index(tmp_path) if portrait.held_out] == expected


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_a_list_is_the_whole_split_by_identity_or_file(tmp_path: Path, ending: str) -> None:
    write_index(tmp_path)
    (tmp_path / "held-out.txt").write_text(f"person 3\n7.jpg\nnobody{ending}")
    assert [p.identity for p in read_index(tmp_path) if p.held_out] == ["person 3", "person 7"]


def test_files_are_beside_the_index_or_absolute(tmp_path: Path) -> None:
    write_index(tmp_path, ["a"])
    assert read_index(tmp_path)[0].path == tmp_path / "images" / "0.jpg"
    text = (tmp_path / "index.csv").read_text().replace("0.jpg", str(tmp_path / "else.png"))
    (tmp_path / "index.csv").write_text(text, encoding="utf-8-sig")  # as a spreadsheet writes it
    assert read_index(tmp_path)[0].path == tmp_path / "else.png"


def test_boxes_are_read_where_there_are_any(tmp_path: Path) -> None:
    write_index(tmp_path, ["a"])
    assert read_index(tmp_path)[0].box_xyxy is None
    write_index(tmp_path, ["a"], **dict(zip(BOX_NAMES, (1, 2, 3.5, 4), strict=True)))
    np.testing.assert_array_equal(read_index(tmp_path)[0].box_xyxy, [1, 2, 3.5, 4])


@pytest.mark.parametrize("value", ["", "wide", "nan", "inf"])
def test_what_is_no_number_is_named_by_its_row(tmp_path: Path, value: str) -> None:
    write_index(tmp_path, ["a"])
    whole = (tmp_path / "index.csv").read_text().splitlines()
    (tmp_path / "index.csv").write_text("\n".join([*whole, whole[1].rsplit(",", 1)[0] + f",{value}"]))
    with pytest.raises(InputError, match=r"index\.csv: not a portrait index: in row 2, ") as caught:
        read_index(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_row_that_breaks_off_is_named(tmp_path: Path) -> None:
    write_index(tmp_path, ["a", "b"])
    text = (tmp_path / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(text[:-30])
    with pytest.raises(InputError, match="in row 2, "):
        read_index(tmp_path)


@pytest.mark.parametrize("size", [64, 256, 300, 512])
def test_crops_have_the_grid_of_the_product(tmp_path: Path, size: int) -> None:
    side = 200 if size < 512 else 400
    landmarks = TEMPLATES["gpen"] * 0.75 * side + side / 10
    cv2.imwrite(str(tmp_path / "a.png"), spots(landmarks, side))
    crop = Crops([Portrait(tmp_path / "a.png", "a", landmarks)], size).crop(0)
    expected = apply(Aligner(size).crop_from_frame(landmarks), landmarks)
    for point in expected if size >= 256 else expected[:0]:
        np.testing.assert_allclose(centroid(crop, point), point, atol=0.1)
    assert crop.shape == (size, size, 3) and crop.dtype == np.float32


def test_jitter_moves_and_mirrors_the_crop(tmp_path: Path) -> None:
    crops = Crops([a_portrait(tmp_path, spots(LANDMARKS, 200))], 256)
    mirrored = set()
    for seed in range(6):
        jitter = Jitter.draw(np.random.default_rng(seed))
        crop = crops.crop(0, np.random.default_rng(seed))
        if jitter.mirrored:
            crop = crop[:, ::-1]
        for point in apply(jitter.moved_from_aligned, TEMPLATES["gpen"]) * 256:
            np.testing.assert_allclose(centroid(crop, point), point, atol=0.15)
        mirrored.add(jitter.mirrored)
    assert mirrored == {False, True}


def test_jitter_has_the_stated_spread() -> None:
    rng = np.random.default_rng(5)
    drawn = [Jitter.draw(rng) for _ in range(3000)]
    linear = np.array([jitter.moved_from_aligned[:, :2] for jitter in drawn])
    moved_centre = np.array([apply(jitter.moved_from_aligned, np.array([[0.5, 0.5]]))[0] - 0.5 for jitter in drawn])
    assert np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0])).std() == pytest.approx(2, rel=0.06)
    assert np.log(np.linalg.det(linear)).std() / 2 == pytest.approx(0.03, rel=0.06)
    np.testing.assert_allclose(moved_centre.std(axis=0), 0.012, rtol=0.06)
    assert np.mean([jitter.mirrored for jitter in drawn]) == pytest.approx(0.5, abs=0.04)


def test_large_images_do_not_alias() -> None:
    lines = np.zeros((1200, 1200, 3), np.uint8)
    lines[:, ::2] = 255
    drawn = draw(lines, np.array([[0.1, 0.0, 3.0], [0.0, 0.1, 2.0]]), 100)
    assert np.abs(drawn.astype(int) - 127).max() <= 16


def test_drawing_keeps_places_whatever_the_scale() -> None:
    for scale in (1.3, 0.6, 0.34, 0.13):
        point = np.array([[611.0, 402.0]])
        canvas_from_image = np.array([[scale, 0.0, 60 - scale * 611], [0.0, scale, 50 - scale * 402]])
        y, x = np.mgrid[:800, :1001]
        blob = np.exp(-((x - point[0, 0]) ** 2 + (y - point[0, 1]) ** 2) / (2 * (1.6 / scale) ** 2))
        picture = np.repeat((blob * 255).astype(np.uint8)[:, :, None], 3, axis=2)
        drawn = draw(picture, canvas_from_image, 110)
        np.testing.assert_allclose(centroid(drawn.astype(np.float32), np.array([60.0, 50.0])), [60, 50], atol=0.06)
        np.testing.assert_allclose(apply(invert(canvas_from_image), np.array([[60.0, 50.0]])), point)


def jpeg() -> bytes:
    picture = cv2.resize(np.random.default_rng(2).integers(0, 255, (20, 20, 3), np.uint8), (200, 200))
    return bytes(cv2.imencode(".jpg", picture)[1])


def test_a_broken_file_is_named_when_it_is_cropped(tmp_path: Path) -> None:
    whole = jpeg()
    for name, content in {"cut.jpg": whole[: len(whole) // 2], "text.jpg": b"no image", "empty.jpg": b""}.items():
        (tmp_path / name).write_bytes(content)
        crops = Crops([Portrait(tmp_path / name, "a", LANDMARKS)], 32)
        with pytest.raises(InputError, match=rf"{name}: not a readable image, or damaged"):
            crops.crop(0)


def test_a_missing_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg: cannot be read: No such file"):
        Crops([Portrait(tmp_path / "gone.jpg", "a", LANDMARKS)], 32)


def test_a_cut_jpeg_is_noticed_though_its_thumbnail_is_whole(tmp_path: Path) -> None:
    whole = jpeg()
    thumbnail = b"Exif\0\0" + whole[:3000] + b"\xff\xda\xff\xd9"
    with_thumbnail = whole[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + whole[2:]
    trailer = b"\0movie of a phone \xff\xda more"
    for content, good in [(with_thumbnail, True), (with_thumbnail + trailer, True), (with_thumbnail[:-2], False)]:
        (tmp_path / "a.jpg").write_bytes(content)
        encoded = read_bytes(tmp_path / "a.jpg")
        assert is_cut_off(encoded) is not good  # OpenCV 5 sees it too, OpenCV 4 does not
        if good:
            assert decode_image(encoded, tmp_path / "a.jpg").shape == (200, 200, 3)
        else:
            with pytest.raises(InputError, match="damaged"):
                decode_image(encoded, tmp_path / "a.jpg")


def test_reading_needs_numpy_and_opencv_alone() -> None:
    """The machine that trains has little more than torch."""
    imports = "import sys; from gpen_video.train.data import read_index, Crops; from gpen_video.train.pack import pack"
    said = subprocess.run(
        [sys.executable, "-c", f"{imports}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not {name.partition(".")[0] for name in said.stdout.split()} & {*HEAVY, "torch"}
