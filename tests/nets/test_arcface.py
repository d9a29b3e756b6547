from pathlib import Path

import numpy as np
import pytest
import torch

from gpen_video.nets.arcface import ARCFACE_112, SIDE, embeddings
from tests.nets.oracle import arcface


@pytest.mark.slow
def test_embeddings_are_those_of_the_published_network(shared: Path) -> None:
    golden = np.load(shared / "oracle" / "idloss.npz")
    net = arcface(shared)
    faces = torch.from_numpy(golden["pool256"] * 0.5 + 0.5).permute(0, 2, 3, 1)
    made = embeddings(net, faces).numpy()
    assert made.shape == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(made, golden["embedding"], atol=2e-4)
    assert made[0] @ made[1] == pytest.approx(float(golden["cosine"]), abs=1e-3)


def test_landmarks_are_inside_the_face_that_it_takes() -> None:
    assert ARCFACE_112.shape == (5, 2)
    assert ARCFACE_112.min() > 0.3 * SIDE and ARCFACE_112.max() < 0.85 * SIDE
