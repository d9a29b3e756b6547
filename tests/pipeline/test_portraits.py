"""Pictures of tracks: upright whatever the film's rotation, pixel shape, fields or colour; bounded in memory."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from gpen_video.colour import yuv_from_rgb
from gpen_video.errors import OutputError
from gpen_video.faces.align import Aligner
from gpen_video.faces.curve import curve_of
from gpen_video.media.fields import split_fields
from gpen_video.pipeline.contact_sheet import PAGE_WH, SheetTitle, sheet_names, write_contact_sheets
from gpen_video.pipeline.observe import Track
from gpen_video.pipeline.portraits import SIDE, Portraits, frontality, portrait_name, sharpness
from gpen_video.types import ColourSpec, Detection, Frame, FrameFaces, Picture, PixelFormat, TrackedFace
from tests.faces.scenes import FORMATS, frame_of, gray_frame, picture_of

FACE = np.array([170.0, 60.0, 270.0, 190.0], np.float32)
LANDMARKS = np.array([[195, 110], [245, 110], [220, 138], [200, 160], [240, 160]], np.float32)
GBR = ColourSpec(matrix="gbr", full_range=True)
UPRIGHT = np.ascontiguousarray(astronaut()[:360, :480])


def gbr_frame(rgb: np.ndarray, index: int = 0) -> Frame:
    return frame_of(picture_of(FORMATS["gbrp"], [rgb[..., channel] for channel in (1, 2, 0)], GBR), index)


def seen(
    frame: Frame, points: np.ndarray, box: np.ndarray, track: int = 0, score: float = 0.9
) -> FrameFaces[TrackedFace]:
    detection = Detection(box.astype(np.float32), points.astype(np.float32), score)
    return FrameFaces(frame, (TrackedFace(track, points.astype(np.float64), detection),))


def taken(folder: Path, *items: FrameFaces[TrackedFace], rotation: int = 0, pixel_aspect: float = 1.0) -> np.ndarray:
    portraits = Portraits(folder, rotation=rotation, pixel_aspect=pixel_aspect)
    for item in items:
        portraits.take(item)
    portraits.finish()
    return np.asarray(Image.open(folder / portrait_name(0)).convert("RGB"))


def expected() -> np.ndarray:
    """The square around the box, by OpenCV: 2.2 times the longer side, raised by 6 %, resized edge to edge."""
    left, top, right, bottom = FACE
    side = 2.2 * (bottom - top)
    x, y = (left + right) / 2 - side / 2, (top + bottom) / 2 - 0.06 * side - side / 2
    y = max(y, -0.5)
    scale = side / SIDE
    warp = np.array([[scale, 0, x + scale / 2], [0, scale, y + scale / 2]])
    return cv2.warpAffine(UPRIGHT, warp, (SIDE, SIDE), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def near(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_the_square_around_a_face(tmp_path: Path) -> None:
    made = taken(tmp_path, seen(gbr_frame(UPRIGHT), LANDMARKS, FACE))
    assert made.shape == (SIDE, SIDE, 3)
    assert near(made, expected()) < 1
    assert near(np.roll(made, 2, axis=1), expected()) > 3, "two pixels off would show"


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_film_gives_upright_pictures(tmp_path: Path, rotation: int) -> None:
    """The coded picture is that which, turned clockwise, is upright."""
    coded = np.ascontiguousarray(np.rot90(UPRIGHT, rotation // 90))
    height, width = UPRIGHT.shape[:2]
    turn = {
        90: lambda p: np.stack([p[:, 1], width - 1 - p[:, 0]], 1),
        180: lambda p: np.stack([width - 1 - p[:, 0], height - 1 - p[:, 1]], 1),
        270: lambda p: np.stack([height - 1 - p[:, 1], p[:, 0]], 1),
    }[rotation]
    corners = turn(FACE.reshape(2, 2))
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    made = taken(tmp_path, seen(gbr_frame(coded), turn(LANDMARKS), box), rotation=rotation)
    assert near(made, expected()) < 1


def test_narrow_pixels_and_turned_ones(tmp_path: Path) -> None:
    narrow = cv2.resize(UPRIGHT, None, fx=0.5, fy=1, interpolation=cv2.INTER_AREA)
    squeeze = np.array([0.5, 1], np.float32)
    offset = np.array([-0.25, 0], np.float32)
    points, box = LANDMARKS * squeeze + offset, (FACE.reshape(2, 2) * squeeze + offset).ravel()
    made = taken(tmp_path, seen(gbr_frame(narrow), points, box), pixel_aspect=2.0)
    assert near(made, expected()) < 3

    coded = np.ascontiguousarray(np.rot90(cv2.resize(UPRIGHT, None, fx=1, fy=0.5, interpolation=cv2.INTER_AREA)))
    squeezed = [p.reshape(-1, 2) * [1, 0.5] + [0, -0.25] for p in (LANDMARKS, FACE)]
    width = UPRIGHT.shape[1]
    points, corners = (np.stack([p[:, 1], width - 1 - p[:, 0]], 1) for p in squeezed)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    folder = tmp_path / "turned"
    folder.mkdir()
    made = taken(folder, seen(gbr_frame(coded), points, box), rotation=90, pixel_aspect=2.0)
    assert near(made, expected()) < 3


def test_a_field_is_as_high_as_its_frame(tmp_path: Path) -> None:
    (first, *_) = split_fields([gbr_frame(UPRIGHT)], "top")
    halved = np.array([1, 0.5], np.float32)
    item = seen(first, LANDMARKS * halved, (FACE.reshape(2, 2) * halved).ravel())
    made = taken(tmp_path, item, pixel_aspect=0.5)
    assert near(made, expected()) < 4


def test_hdr_looks_as_the_restorer_sees_it(tmp_path: Path) -> None:
    fmt, spec = PixelFormat("yuv444p10le", "yuv", 10), ColourSpec(matrix="bt2020nc", transfer="smpte2084")
    to_yuv = yuv_from_rgb(spec, fmt, 360)
    curve = curve_of("smpte2084")
    assert curve is not None
    signal = curve.signal_from_shown((UPRIGHT / 255).astype(np.float32) * 0.74)
    yuv = np.clip(np.rint(cv2.transform(signal, np.column_stack([to_yuv.matrix, to_yuv.offset]))), 0, 1023)
    planes = tuple(np.ascontiguousarray(yuv[..., i]).astype(np.uint16) for i in range(3))
    made = taken(tmp_path, seen(frame_of(Picture(planes, fmt, spec)), LANDMARKS, FACE))
    assert near(made, expected() * 0.74) < 2


def test_at_the_frames_edge_the_square_moves_in(tmp_path: Path) -> None:
    corner = np.array([0.0, 0.0, 60.0, 80.0], np.float32)
    made = taken(tmp_path, seen(gbr_frame(UPRIGHT), LANDMARKS / 4, corner))
    side = 176
    exact = cv2.resize(UPRIGHT[:side, :side], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    assert near(made, exact) < 1.5
    small = np.ascontiguousarray(UPRIGHT[:100, :90])
    made = taken(tmp_path, seen(gbr_frame(small), LANDMARKS / 4, corner))
    assert made.shape == (SIDE, SIDE, 3), "a frame smaller than the square is shown as far as it goes"


def flat(index: int) -> np.ndarray:
    """One colour a frame, with one edge, to know it again."""
    rgb = np.full_like(UPRIGHT, 40 + index)
    rgb[:, 230:] = 200
    return rgb


def chosen(folder: Path, *items: FrameFaces[TrackedFace]) -> int:
    """Which frame was taken."""
    return round(float(taken(folder, *items)[SIDE // 2, 5, 0])) - 40


def test_the_best_frame_is_taken(tmp_path: Path) -> None:
    plain = [seen(gbr_frame(flat(i), i), LANDMARKS, FACE) for i in range(4)]
    assert chosen(tmp_path, *plain) == 0, "the first of equals"
    sure = seen(gbr_frame(flat(2), 2), LANDMARKS, FACE, score=0.99)
    assert chosen(tmp_path, *plain[:2], sure, plain[3]) == 2
    nose = LANDMARKS.copy()
    nose[2, 0] = 240
    turned = [seen(gbr_frame(flat(i), i), nose, FACE) for i in range(2)]
    assert chosen(tmp_path, *turned, plain[2], plain[3]) == 2, "frontal"
    smaller = FACE + np.array([25, 30, -25, -30], np.float32)
    assert chosen(tmp_path, seen(gbr_frame(flat(0), 0), LANDMARKS, smaller), plain[1]) == 1, "large"
    blurred = cv2.GaussianBlur(flat(0), (0, 0), 8)
    assert chosen(tmp_path, seen(gbr_frame(blurred), LANDMARKS, FACE), plain[1]) == 1, "sharp"
    aside = FACE + np.array([-150, 0, -150, 0], np.float32)
    assert chosen(tmp_path, seen(gbr_frame(flat(0)), LANDMARKS - [150, 0], aside), plain[1]) == 1, "in the middle"
    damaged = FrameFaces(replace(sure.frame, damaged=True), sure.faces)
    assert chosen(tmp_path, plain[0], damaged, plain[1]) == 0, "whole"
    guessed = FrameFaces(sure.frame, (replace(sure.faces[0], detection=None),))
    assert chosen(tmp_path, plain[0], guessed, plain[1]) == 0, "seen"


def test_scores() -> None:
    assert frontality(Detection(FACE, LANDMARKS, 1.0)) == pytest.approx(1)
    profile = LANDMARKS.copy()
    profile[2] = profile[0]
    assert frontality(Detection(FACE, profile, 1.0)) == 0
    crops = [
        Aligner(96).crop(gbr_frame(rgb), TrackedFace(0, LANDMARKS.astype(np.float64), None))
        for rgb in (UPRIGHT, cv2.GaussianBlur(UPRIGHT, (0, 0), 4), cv2.GaussianBlur(UPRIGHT, (0, 0), 12))
    ]
    sharp, soft, softer = map(sharpness, crops)
    assert 1 > sharp > 1.2 * soft > soft > softer > 0
    dim = replace(crops[0], rgb_hwc=crops[0].rgb_hwc * np.float32(0.4))
    assert sharpness(dim) == pytest.approx(sharp, rel=1e-3), "a dark picture is no less sharp"


def test_pictures_go_to_disk_and_come_back_better(tmp_path: Path) -> None:
    portraits = Portraits(tmp_path, kept=2)
    for index in range(9):
        item = seen(gbr_frame(flat(index), index), LANDMARKS, FACE, track=index, score=0.5)
        portraits.take(item)
        assert len(portraits._pictures) <= 2
    assert len(list(tmp_path.iterdir())) == 7
    portraits.take(seen(gbr_frame(flat(30), 9), LANDMARKS, FACE, track=0, score=0.9))
    portraits.take(seen(gbr_frame(flat(60), 10), LANDMARKS, FACE, track=1, score=0.4))
    portraits.finish()
    shades = [Image.open(tmp_path / portrait_name(track)).getpixel((5, SIDE // 2))[0] - 40 for track in range(9)]
    assert shades == [30, 1, 2, 3, 4, 5, 6, 7, 8]


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    portraits = Portraits(tmp_path / "gone", kept=0)
    with pytest.raises(OutputError, match="gone"):
        portraits.take(seen(gbr_frame(UPRIGHT), LANDMARKS, FACE))


def test_nothing_received_is_written_to(tmp_path: Path) -> None:
    item = seen(gray_frame(), LANDMARKS, FACE)
    before = item.frame.picture.planes[0].copy()
    taken(tmp_path, item)
    np.testing.assert_array_equal(item.frame.picture.planes[0], before)


@pytest.mark.parametrize(("tracks", "pages"), [(0, 1), (1, 1), (9, 1), (28, 1), (29, 2), (60, 3)])
def test_every_track_is_on_a_page(tmp_path: Path, tracks: int, pages: int) -> None:
    listed = [Track(number, 1000 * number, 1000 * number + 20, 21, 40.0, number // 3) for number in range(tracks)]
    colours = {}
    for track in listed:
        red_green_blue = (250, 5 * (track.track_id % 50), 3 * track.track_id % 250)
        colours[int(np.dot(red_green_blue, [1, 2**8, 2**16]))] = track.track_id
        Image.new("RGB", (SIDE, SIDE), red_green_blue).save(tmp_path / portrait_name(track.track_id))
    names = write_contact_sheets(tmp_path, SheetTitle("film\tname.mov" * 9, "summary"), listed)
    assert names == sheet_names(tracks) and len(names) == pages
    found = []
    for name in names:
        with Image.open(tmp_path / name) as page:
            assert page.width == PAGE_WH[0] and page.height <= PAGE_WH[1]
            assert page.info["dpi"] == pytest.approx((150, 150), abs=0.1)
            pixels = np.asarray(page)
            assert (pixels[2, 2] == pixels[2, 2, 0]).all(), "neutral"
            codes, counts = np.unique(pixels.astype(np.int64) @ [1, 2**8, 2**16], return_counts=True)
            found += sorted(colours[code] for code in codes[counts > 100**2].tolist() if code in colours)
    assert found == [track.track_id for track in listed], "all of them, in order of pages, once"


def test_a_track_without_a_picture_keeps_its_place(tmp_path: Path) -> None:
    write_contact_sheets(tmp_path, SheetTitle("film", ""), [Track(0, 0, 5, 6, 40.0, 0)])
    assert [path.name for path in tmp_path.iterdir()] == ["contact-sheet.png"]
