"""The detector against the published network's numbers, a closed form, and faces that are surely there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn

from gpen_video.faces.detect import RetinaFaceDetector
from gpen_video.nets.retinaface import (
    anchors,
    build_retinaface,
    decode,
    dense_faces,
    folded,
    network_input,
    suppress_overlaps,
)
from gpen_video.weights.load import load_detector

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
ORACLE = SHARED / "oracle/detector_post.npz"
WEIGHTS = ROOT / "gpen_video/weights/data/retinaface-mobile0.25.safetensors"
CPU = torch.device("cpu")

needs_oracle = pytest.mark.skipif(not ORACLE.exists(), reason="the oracle is not on this machine")


@pytest.fixture(scope="module")
def untrained() -> nn.Module:
    torch.manual_seed(3)
    return build_retinaface()


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    return load_detector(str(WEIGHTS)).net


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut())


class ScriptedNet(nn.Module):
    """facexlib's network, whose heads say what the test wants at the first anchors, and no face elsewhere."""

    def __init__(self, says: list[tuple[float, tuple[float, float, float, float]]]) -> None:
        super().__init__()
        self.cfg = build_retinaface().cfg
        self._says = says

    def forward(self, bgr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width = bgr.shape[2:]
        priors = anchors(self, height, width)
        boxes, scores = torch.zeros(len(priors), 4), torch.zeros(len(priors), 2)
        for index, (score, (x0, y0, x1, y1)) in enumerate(self._says):
            centre = torch.tensor([(x0 + x1) / 2 / width, (y0 + y1) / 2 / height])
            extent = torch.tensor([(x1 - x0) / width, (y1 - y0) / height])
            boxes[index, :2] = (centre - priors[index, :2]) / priors[index, 2:] / 0.1
            boxes[index, 2:] = torch.log(extent / priors[index, 2:]) / 0.2
            scores[index, 1] = score
        return boxes[None], scores[None], torch.zeros(1, len(priors), 10)


@needs_oracle
@pytest.mark.parametrize("size", ["97x130", "256x192"])
def test_anchors_are_the_published_ones(untrained: nn.Module, size: str) -> None:
    height, width = map(int, size.split("x"))
    np.testing.assert_allclose(anchors(untrained, height, width), np.load(ORACLE)[f"prior/{size}"], atol=1e-6)


@needs_oracle
def test_decoding_is_the_published_one(untrained: nn.Module) -> None:
    oracle = np.load(ORACLE)
    encoded = (torch.from_numpy(oracle[name])[None].expand(2, -1, -1) for name in ("decode/loc", "decode/landm"))
    boxes, landmarks = decode(untrained, *encoded, anchors(untrained, 97, 130))
    for picture in range(2):
        np.testing.assert_allclose(boxes[picture], oracle["decode/boxes"], atol=2e-6)
        np.testing.assert_allclose(landmarks[picture], oracle["decode/landmarks"], atol=2e-6)


@needs_oracle
def test_suppression_is_the_published_one() -> None:
    oracle = np.load(ORACLE)
    found = torch.from_numpy(oracle["nms/dets"])
    kept = suppress_overlaps(found[:, :4], found[:, 4], 0.4).numpy()
    # Equally sure faces may come in any order.
    np.testing.assert_array_equal(np.sort(kept), np.sort(oracle["nms/keep"]))
    np.testing.assert_array_equal(oracle["nms/dets"][kept, 4], oracle["nms/dets"][oracle["nms/keep"], 4])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 33), (97, 130), (101, 203)])
def test_anchors_match_the_network_at_any_size(untrained: nn.Module, height: int, width: int) -> None:
    with torch.inference_mode():
        said = dense_faces(untrained, network_input(torch.zeros(1, height, width, 3, dtype=torch.uint8)))
    assert said.boxes.shape[1] == len(anchors(untrained, height, width))


def test_dense_output_is_that_of_facexlib(untrained: nn.Module) -> None:
    pictures = network_input(torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 70, 99, 3), np.uint8)))
    with torch.inference_mode():
        said, (boxes, scores, landmarks) = dense_faces(untrained, pictures), untrained(pictures)
    torch.testing.assert_close(said.boxes, boxes)
    torch.testing.assert_close(said.landmarks, landmarks)
    torch.testing.assert_close(said.logits.softmax(-1), scores)


def test_network_input_takes_the_mean_of_blue_from_blue() -> None:
    given = network_input(torch.tensor([[[[104, 117, 123], [105, 119, 126]]]], dtype=torch.uint8))
    assert given.tolist() == [[[[0, 1]], [[0, 2]], [[0, 3]]]]


def test_boxes_come_in_pixels_sorted_and_without_overlaps() -> None:
    says = [
        (0.7, (10.0, 20.0, 50.0, 70.0)),
        (0.9, (12.0, 21.0, 52.0, 71.0)),
        (0.95, (100.0, 30.0, 140.0, 80.0)),
        (0.5, (60.0, 60.0, 90.0, 95.0)),
    ]
    detector = RetinaFaceDetector(ScriptedNet(says), device=CPU, score=0.6, min_face=5, vote_iou=1)
    (found,) = detector.detect(np.zeros((1, 101, 203, 3), np.uint8))
    assert [round(face.score, 4) for face in found] == [0.95, 0.9]
    np.testing.assert_allclose(found[0].box_xyxy, [100, 30, 140, 80], atol=1e-3)
    np.testing.assert_allclose(found[1].box_xyxy, [12, 21, 52, 71], atol=1e-3)


def test_what_is_suppressed_still_says_where_the_face_is() -> None:
    near, surest, apart = (10.0, 20.0, 50.0, 70.0), (12.0, 21.0, 52.0, 71.0), (35.0, 21.0, 75.0, 71.0)
    net = ScriptedNet([(0.7, near), (0.9, surest), (0.8, apart)])
    detector = RetinaFaceDetector(net, device=CPU, score=0.6, min_face=5, nms_iou=0.2)
    (found,) = detector.detect(np.zeros((1, 101, 203, 3), np.uint8))
    voted = (0.7 * np.array(near) + 0.9 * np.array(surest)) / 1.6
    assert len(found) == 1 and round(found[0].score, 4) == 0.9
    np.testing.assert_allclose(found[0].box_xyxy, voted, atol=1e-3)
    priors = anchors(net, 101, 203)[:2] * torch.tensor([203.0, 101.0, 203.0, 101.0])
    middles = (0.7 * priors[0, :2] + 0.9 * priors[1, :2]) / 1.6  # landmarks that say nothing lie on their anchors
    np.testing.assert_allclose(found[0].landmarks_5xy, middles.expand(5, 2), atol=1e-3)


@pytest.mark.parametrize(("min_face", "expected"), [(29.5, 2), (30.5, 1), (41, 0)])
def test_min_face_is_the_shorter_side(min_face: float, expected: int) -> None:
    says = [(0.9, (0.0, 0.0, 30.0, 60.0)), (0.9, (100.0, 10.0, 150.0, 50.0))]
    detector = RetinaFaceDetector(ScriptedNet(says), device=CPU, score=0.6, min_face=min_face)
    assert len(detector.detect(np.zeros((1, 96, 160, 3), np.uint8))[0]) == expected


@pytest.mark.parametrize("shape", [(96, 96, 3), (1, 96, 96), (1, 96, 96, 4), (1, 0, 96, 3)])
def test_refuses_what_is_no_batch_of_pictures(untrained: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rgb_nhwc"):
        RetinaFaceDetector(untrained, device=CPU, score=0.6, min_face=16).detect(np.zeros(shape, np.uint8))


def test_no_pictures_no_results(untrained: nn.Module) -> None:
    detector = RetinaFaceDetector(untrained, device=CPU, score=0.6, min_face=16)
    assert detector.detect(np.zeros((0, 64, 64, 3), np.uint8)) == []


def test_leaves_no_trace_in_the_process(untrained: nn.Module) -> None:
    flags = (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.is_grad_enabled())
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture.flags.writeable = False
    RetinaFaceDetector(untrained, device=CPU, score=0.6, min_face=16).detect(picture)
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.is_grad_enabled()) == flags


def test_a_picture_alone_gives_what_it_gives_in_a_batch(trained: nn.Module, astronaut: NDArray[np.uint8]) -> None:
    pictures = np.stack([astronaut, astronaut[:, ::-1], np.roll(astronaut, 40, axis=1)])[:, 1:380, 3:480]
    detector = RetinaFaceDetector(trained, device=CPU, score=0.3, min_face=8, batch=4)
    together = detector.detect(pictures)
    for index, faces in enumerate(together):
        (alone,) = detector.detect(pictures[index : index + 1])
        assert len(alone) == len(faces) > 0
        for a, b in zip(alone, faces, strict=True):
            assert (a.box_xyxy.tobytes(), a.landmarks_5xy.tobytes(), a.score) == (
                b.box_xyxy.tobytes(),
                b.landmarks_5xy.tobytes(),
                b.score,
            )


def test_folding_changes_nothing_but_the_number_of_steps(trained: nn.Module, astronaut: NDArray[np.uint8]) -> None:
    given = network_input(torch.from_numpy(np.ascontiguousarray(astronaut[None, :301, :403, ::-1])))
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    quick = folded(trained)
    assert not [module for module in quick.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.inference_mode():
        for said, told in zip(quick(given), trained(given), strict=True):
            torch.testing.assert_close(said, told, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


ASTRONAUT_EYES = np.array([[203.5, 100.8], [245.2, 102.8]])
"""The pupils, marked by hand at full size."""


@pytest.mark.parametrize("shrink", [1, 2, 3])
def test_finds_the_astronaut(trained: nn.Module, astronaut: NDArray[np.uint8], shrink: int) -> None:
    side = astronaut.shape[0] // shrink * shrink
    blocks = astronaut[:side, :side].reshape(side // shrink, shrink, side // shrink, shrink, 3)
    small = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    (found,) = RetinaFaceDetector(trained, device=CPU, score=0.6, min_face=16).detect(small[None])
    assert len(found) == 1
    eyes = (found[0].landmarks_5xy[:2] + 0.5) * shrink - 0.5
    eye_distance = np.linalg.norm(ASTRONAUT_EYES[1] - ASTRONAUT_EYES[0])
    assert np.linalg.norm(eyes - ASTRONAUT_EYES, axis=1).max() < 0.15 * eye_distance


@pytest.mark.skipif(not (SHARED / "faces").exists(), reason="the portraits are not on this machine")
def test_finds_held_out_portraits(trained: nn.Module) -> None:
    import cv2

    from gpen_video.train.composites import load_portraits

    detector = RetinaFaceDetector(trained, device=CPU, score=0.6, min_face=16)
    errors = []
    for portrait in load_portraits(SHARED / "faces", held_out=True)[::12]:
        bgr = cv2.imdecode(np.frombuffer(portrait.jpeg, np.uint8), cv2.IMREAD_COLOR)
        best = detector.detect(np.ascontiguousarray(bgr[None, :, :, ::-1]))[0][0]
        eye_distance = np.linalg.norm(portrait.landmarks_5xy[1] - portrait.landmarks_5xy[0])
        errors.append(np.linalg.norm(best.landmarks_5xy - portrait.landmarks_5xy, axis=1).mean() / eye_distance)
    assert np.median(errors) < 0.15
    assert max(errors) < 0.5


def test_shipped_weights_describe_themselves() -> None:
    assert WEIGHTS.stat().st_size < 2_000_000
    with safe_open(WEIGHTS, "pt") as file:
        metadata = file.metadata()
        tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118, it is no dictionary
    assert metadata["format"] == "gpen-video/1"
    assert metadata["name"] == "retinaface-mobile0.25"
    assert json.loads(metadata["config"]) == {"arch": "retinaface", "network": "mobile0.25"}
    assert all(bool(tensor.isfinite().all()) for tensor in tensors)
