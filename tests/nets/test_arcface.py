from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from gpen_video.nets.arcface import ARCFACE_112, SIDE, build_arcface, embeddings
from tests.nets.oracle import recipe


def recipe_state(oracle: ModuleType, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights by the rule that `keys_ir_se50.json` states."""
    made = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            made[key] = torch.zeros(shape, dtype=torch.long)
            continue
        values = oracle.fill(f"irse.{key}", shape, 91)
        if len(shape) >= 2:
            values = (values / np.sqrt(np.prod(shape[1:]))).astype(np.float16).astype(np.float32)
        elif key.endswith("weight"):
            values = (0.1 * values + 1).astype(np.float32)
        made[key] = torch.from_numpy(values)
    return made


@pytest.mark.slow
def test_embeddings_are_those_of_the_published_network(shared: Path) -> None:
    golden = np.load(shared / "oracle" / "idloss.npz")
    with torch.device("meta"):
        net = build_arcface()
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    net.load_state_dict(recipe_state(recipe(shared), shapes), assign=True)
    faces = torch.from_numpy(golden["pool256"] * 0.5 + 0.5).permute(0, 2, 3, 1)
    made = embeddings(net, faces).numpy()
    assert made.shape == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(made, golden["embedding"], atol=2e-4)
    assert made[0] @ made[1] == pytest.approx(float(golden["cosine"]), abs=1e-3)


def test_landmarks_are_inside_the_face_that_it_takes() -> None:
    assert ARCFACE_112.shape == (5, 2)
    assert ARCFACE_112.min() > 0.3 * SIDE and ARCFACE_112.max() < 0.85 * SIDE
