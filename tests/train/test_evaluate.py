import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from gpen_video.errors import InputError
from gpen_video.faces import Detector
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.train.data import Crops, FaceSource, read_index
from gpen_video.train.evaluate import (
    DEGRADATIONS,
    Degradation,
    Judges,
    NetworkRestorer,
    evaluate_restorer,
    framed,
    load_judges,
    spread,
)
from gpen_video.train.passthrough import pass_through
from gpen_video.train.sheet import THEMES, comparison_sheet, themed_sheet
from gpen_video.types import Detection

SIDE = 32


class Noise:
    """A `FaceSource` of smooth colour."""

    def __init__(self, count: int, size: int = SIDE) -> None:
        self.size = size
        self._count = count

    def __len__(self) -> int:
        return self._count

    def crop(self, index: int, rng: np.random.Generator | None = None) -> np.ndarray:
        y, x = np.mgrid[: self.size, : self.size] / self.size
        waves = [0.5 + 0.3 * np.sin((k + 1 + index % 3) * (x + k * y) * 6) for k in range(3)]
        return np.stack(waves, axis=2).astype(np.float32)


class Keep:
    """A `Restorer` that returns what it got."""

    size = SIDE
    batch = 1

    def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
        return rgb_nhwc.copy()


class Halve(Keep):
    """Moves every sample half the way to the truth of `darken`."""

    def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
        return rgb_nhwc + np.float32(0.05)


def darken(face: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return face - np.float32(0.1), face


DARKEN: Mapping[str, Degradation] = {"darken": darken}


class FixedDetector:
    """Finds one face; the darker the picture, the further its landmarks are off, up to not at all."""

    true = np.array([[10, 20], [30, 20], [20, 30], [14, 40], [26, 40]], np.float32)

    def detect(self, rgb_nhwc: np.ndarray) -> list[tuple[Detection, ...]]:
        found = []
        for rgb in rgb_nhwc:
            off = 0.5 - float(rgb.mean()) / 255
            box = np.array([5, 10, 35, 50], np.float32)
            far = Detection(box + 200, self.true, 0.9)
            near = Detection(box, (self.true + np.array([20 * off, 0])).astype(np.float32), 0.8)
            found.append((near, far) if off < 0.3 else (far,))
        return found


class Moments:
    """A `FeatureNet` of each channel's mean."""

    name = "moments"

    def features(self, rgb_nhwc: np.ndarray) -> np.ndarray:
        return np.tile(rgb_nhwc.mean(axis=(1, 2)).astype(np.float64), (2, 1))


def test_psnr_share_and_gain_are_those_of_known_errors() -> None:
    (scores,) = evaluate_restorer(Halve(), Noise(5), degradations=DARKEN).degradations
    assert scores.psnr.degraded == pytest.approx(20, abs=1e-3)
    assert scores.psnr.gain == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert scores.better == 1
    assert scores.ssim.restored > scores.ssim.degraded
    assert scores.sharpness.restored == pytest.approx(1, rel=1e-4)
    assert scores.landmark_error is None and scores.faces_found is None and not scores.frechet


def test_doing_nothing_gains_nothing() -> None:
    (scores,) = evaluate_restorer(Keep(), Noise(3), degradations=DARKEN).degradations
    assert scores.psnr.gain == scores.ssim.gain == scores.better == 0


def test_frechet_distance_of_a_shift_is_its_square() -> None:
    class Most(Keep):
        def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
            return rgb_nhwc + np.float32(0.08)

    judges = Judges(features=(Moments(),))
    (scores,) = evaluate_restorer(Most(), Noise(6), degradations=DARKEN, judges=judges).degradations
    assert scores.frechet["moments"].degraded == pytest.approx(3 * 0.1**2, rel=1e-3)
    assert scores.frechet["moments"].restored == pytest.approx(3 * 0.02**2, rel=1e-3)


def test_black_and_white_film_has_noise_for_colour_at_most() -> None:
    face = Noise(1, 64).crop(0)
    for seed in range(4):
        degraded, target = DEGRADATIONS["archival, black and white"](face, np.random.default_rng(seed))
        assert np.ptp(target, axis=2).max() < 1e-6
        assert np.std(degraded[..., 0] - degraded[..., 2]) < 0.4 * np.std(face[..., 0] - face[..., 2])


def test_landmarks_are_compared_with_those_of_the_original() -> None:
    detector: Detector = FixedDetector()
    (scores,) = evaluate_restorer(Halve(), Noise(4), degradations=DARKEN, judges=Judges(detector=detector)).degradations
    assert scores.landmark_error is not None and scores.faces_found is not None
    assert scores.landmark_error.degraded == pytest.approx(0.1, abs=0.005)  # 20 pixels times 0.1, eyes 20 apart
    assert scores.landmark_error.restored == pytest.approx(0.05, abs=0.005)
    assert scores.faces_found.degraded == 1


def test_a_face_that_is_lost_counts_as_lost_and_not_as_an_error() -> None:
    very_dark: Mapping[str, Degradation] = {"dark": lambda face, rng: (face * np.float32(0.1), face)}
    (scores,) = evaluate_restorer(
        Keep(), Noise(4), degradations=very_dark, judges=Judges(detector=FixedDetector())
    ).degradations
    assert scores.landmark_error is None
    assert scores.faces_found is not None and scores.faces_found.degraded == 0


def test_the_same_seed_gives_the_same_report_and_another_does_not() -> None:
    reports = [evaluate_restorer(Keep(), Noise(4), seed=seed) for seed in (1, 1, 2)]
    assert reports[0] == reports[1]
    assert reports[0].degradations[0].psnr != reports[2].degradations[0].psnr
    assert [scores.name for scores in reports[0].degradations] == list(DEGRADATIONS)
    assert json.loads(json.dumps(reports[0].as_dict()))["faces"] == 4


def test_a_face_has_the_same_degradation_however_many_are_judged() -> None:
    seen: dict[int, list[np.ndarray]] = {}

    class Watch(Keep):
        def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
            seen.setdefault(len(seen), []).append(rgb_nhwc.copy())
            return rgb_nhwc

    usual = {"usual": DEGRADATIONS["usual"]}
    evaluate_restorer(Watch(), Noise(20), degradations=usual)
    evaluate_restorer(Watch(), Noise(20), degradations=usual, count=2)
    everything = np.concatenate([batch for batches in list(seen.values())[:-1] for batch in batches])
    np.testing.assert_array_equal(seen[len(seen) - 1][0], everything[[0, 19]])


def test_faces_are_spread_and_progress_is_told() -> None:
    assert spread(3, 11) == [0, 5, 10]
    assert spread(None, 3) == spread(99, 3) == [0, 1, 2]
    assert spread(None, 0) == []
    told: list[tuple[int, int]] = []
    evaluate_restorer(
        Keep(), Noise(40), degradations=dict.fromkeys("ab", darken), count=20, on_faces=lambda *n: told.append(n)
    )
    assert told == [(16, 40), (20, 40), (36, 40), (40, 40)]


def test_a_network_in_training_is_left_as_it_is() -> None:
    net = Gpen(GpenConfig(SIDE, narrow=1 / 16, style_dim=32, mapping_layers=2))
    pass_through(net)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.train()
    (scores,) = evaluate_restorer(net, Noise(3), degradations=DARKEN).degradations
    assert scores.psnr.gain == pytest.approx(0, abs=1e-3)  # the network is the identity
    assert net.training and all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_a_network_gets_any_number_of_faces() -> None:
    net = Gpen(GpenConfig(SIDE, narrow=1 / 16, style_dim=32, mapping_layers=2)).requires_grad_(False)
    faces = np.random.default_rng(0).random((5, SIDE, SIDE, 3), np.float32)
    whole, parts = NetworkRestorer(net).restore(faces), NetworkRestorer(net, batch=2).restore(faces)
    assert whole.shape == faces.shape and whole.dtype == np.float32
    assert whole.min() >= 0 and whole.max() <= 1
    np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(InputError, match="no held-out faces"):
        evaluate_restorer(Keep(), Noise(0))
    with pytest.raises(InputError, match="of 64 pixels, the network takes 32"):
        evaluate_restorer(Keep(), Noise(3, size=64))


def test_a_frame_around_a_face_continues_it() -> None:
    faces = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    frame = framed(faces)
    assert frame.shape == (1, 48, 48, 3) and frame.dtype == np.uint8
    np.testing.assert_array_equal(frame[0, 8:40, 8:40], np.rint(faces[0] * 255))
    np.testing.assert_array_equal(frame[0, :8, 8:40], np.broadcast_to(frame[0, 8, 8:40], (8, 32, 3)))


def test_missing_weights_leave_a_figure_out_with_a_reason(tmp_path: Path) -> None:
    for path, reason in ((None, "not given"), (tmp_path / "none.tar", "no such file")):
        judges = load_judges(path)
        assert [net.name for net in judges.features] == ["retinaface-mobile0.25 backbone"]
        assert len(judges.notes) == 1 and reason in judges.notes[0]
        report = evaluate_restorer(Keep(), Noise(2), degradations=DARKEN, judges=judges)
        assert report.notes == judges.notes


@pytest.fixture(scope="module")
def held_out(shared: Path) -> Crops:
    return Crops([p for p in read_index(shared / "faces") if p.held_out][::40], SIDE)


def test_on_portraits_it_measures_what_scikit_image_does(held_out: Crops) -> None:
    made = DEGRADATIONS["usual"]
    (scores,) = evaluate_restorer(Keep(), held_out, degradations={"usual": made}).degradations
    pairs = [made(held_out.crop(i), np.random.default_rng((7, i))) for i in range(len(held_out))]
    expected = [peak_signal_noise_ratio(true, low, data_range=1) for low, true in pairs]
    assert scores.psnr.degraded == pytest.approx(np.mean(expected), abs=1e-3)


def test_sheets_show_degraded_restored_and_original(held_out: Crops) -> None:
    source: FaceSource = held_out
    sheet = comparison_sheet(Halve(), source, degradations=DARKEN, columns=2)
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 2 * 3 * SIDE
    band = sheet[-SIDE:].astype(int)
    original = np.rint(held_out.crop(0) * 255)
    np.testing.assert_array_equal(band[:, 2 * SIDE : 3 * SIDE], original)
    middle = (original > 30) & (original < 240)
    low, made = band[:, :SIDE], band[:, SIDE : 2 * SIDE]
    assert np.abs(original - low - 25.5)[middle].max() <= 1
    assert np.abs(original - made - 12.75)[middle].max() <= 1


def test_themes_name_held_out_portraits_only(shared: Path) -> None:
    held = {p.path.name for p in read_index(shared / "faces") if p.held_out}
    assert {file for files in THEMES.values() for file in files} <= held
    assert all(len(files) == 4 for files in THEMES.values())


def test_a_themed_sheet_has_a_row_a_theme(shared: Path) -> None:
    wanted = {THEMES["beard"][0], THEMES["black and white"][0]}
    crops = Crops([p for p in read_index(shared / "faces") if p.path.name in wanted], SIDE)
    sheet = themed_sheet(Keep(), crops)
    assert sheet.shape[1] == 3 * SIDE
    assert np.ptp(sheet[-SIDE:], axis=2).max() == 0  # black and white
    assert np.ptp(sheet[: sheet.shape[0] // 2], axis=2).max() > 20
    with pytest.raises(InputError, match="none of the portraits"):
        themed_sheet(Keep(), crops, themes={"beard": ("nobody.jpg",)})
