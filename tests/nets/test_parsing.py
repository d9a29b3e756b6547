import json
from pathlib import Path
from typing import get_args

import pytest
import torch

from gpen_video.nets.parsing import ParserKind, build_parser, face_classes, face_probability

KINDS = get_args(ParserKind)


@pytest.fixture(scope="module", params=KINDS)
def parser(request: pytest.FixtureRequest) -> tuple[str, torch.nn.Module]:
    torch.manual_seed(0)
    return request.param, build_parser(request.param)


def test_keys_of_parsenet_are_the_published_ones(shared: Path) -> None:
    published = json.loads((shared / "oracle" / "keys_detector_parser.json").read_text(encoding="utf-8"))["parsenet512"]
    with torch.device("meta"):
        state = build_parser("parsenet").state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {
        entry["name"]: entry["shape"] for entry in published["entries"]
    }


def test_face_is_what_the_published_lists_call_face() -> None:
    """Class numbers as facexlib's own two scripts list them."""
    assert face_classes("parsenet") == [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 17]
    assert face_classes("bisenet") == [1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14]


def test_probabilities_are_the_softmax_over_the_face_classes(parser: tuple[str, torch.nn.Module]) -> None:
    kind, net = parser
    faces = torch.rand(1, 96, 64, 3)
    made = face_probability(net, kind, faces)  # type: ignore[arg-type]
    assert made.shape == (1, 96, 64)
    mean, deviation = (0.5, 0.5) if kind == "parsenet" else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.inference_mode():
        logits = net(((faces - torch.tensor(mean)) / torch.tensor(deviation)).permute(0, 3, 1, 2))[0]
        expected = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    assert torch.allclose(made, expected[:, face_classes(kind)].sum(dim=1), atol=1e-5)  # type: ignore[arg-type]
