from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gpen_video.faces.parse import NetworkParser
from gpen_video.nets.parsing import face_classes


class BrightIsFace(nn.Module):
    """Labels bright pixels as skin, dark ones as hair, in a parser's own order; remembers what it was given."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.skin = face_classes(kind)[0]
        self.hair = next(k for k in range(19) if k not in face_classes(kind))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.shapes.append(tuple(x.shape))
        logits = torch.full((len(x), 19, *x.shape[2:]), -20.0)
        logits[:, self.skin] = 10 * x.mean(dim=1)
        logits[:, self.hair] = -10 * x.mean(dim=1)
        return logits, x


@pytest.mark.parametrize("kind", ["parsenet", "bisenet"])
@pytest.mark.parametrize("size", [64, 256, 1024])
def test_probability_is_where_the_network_sees_face(kind: Any, size: int) -> None:
    faces = np.zeros((2, size, size, 3), np.float32)
    faces[0, :, : size // 2] = 1
    faces[1, : size // 4] = 1
    net = BrightIsFace(kind)
    made = NetworkParser(net, kind, device=torch.device("cpu")).parse(faces)
    assert net.shapes == [(1, 3, 512, 512)] * 2
    assert made.shape == (2, size, size) and made.dtype == np.float32
    assert made.min() >= 0 and made.max() <= 1
    margin = size // 32
    assert (made[0, :, : size // 2 - margin] > 0.99).all() and (made[0, :, size // 2 + margin :] < 0.01).all()
    assert (made[1, : size // 4 - margin] > 0.99).all() and (made[1, size // 4 + margin :] < 0.01).all()


def test_no_faces() -> None:
    parser = NetworkParser(BrightIsFace("bisenet"), "bisenet", device=torch.device("cpu"))
    assert parser.parse(np.empty((0, 64, 64, 3), np.float32)).shape == (0, 64, 64)
