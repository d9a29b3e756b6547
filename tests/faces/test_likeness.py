from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from gpen_video.config import GuardSettings
from gpen_video.faces.likeness import ArcFaceEmbedder, likeness
from gpen_video.geometry import TEMPLATES
from gpen_video.nets.arcface import ARCFACE_112
from gpen_video.restore import GpenRestorer
from gpen_video.train.data import Crops, read_index
from gpen_video.train.evaluate import DEGRADATIONS
from gpen_video.weights import load_gpen
from tests.faces.portraits import blurred, grainy, moved, portrait

POINTS = TEMPLATES["gpen"] * 256
FLOOR = GuardSettings().floor


@pytest.mark.parametrize(
    "changed",
    [
        portrait(),
        blurred(portrait(), 3),
        grainy(portrait(), 0.1),
        (0.2 + 0.5 * portrait()).astype(np.float32),
        np.clip(2.5 * portrait() - 1.5 * blurred(portrait(), 2), 0, 1),
    ],
    ids=["same", "blurred", "grainy", "faded", "sharpened"],
)
def test_what_restoration_does_leaves_a_face_alike(changed: NDArray[np.float32]) -> None:
    assert likeness(portrait(), changed, POINTS) > 0.97
    assert likeness(changed, portrait(), POINTS) == pytest.approx(likeness(portrait(), changed, POINTS), abs=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        np.ascontiguousarray(portrait()[:, ::-1]),
        moved(portrait(), 0.475, 7),
        moved(portrait(), 0.717, 8),
        np.full_like(portrait(), 0.5),
        np.ascontiguousarray(portrait()[::-1]),
    ],
    ids=["mirrored", "eyes moved", "mouth moved", "nothing", "upside down"],
)
def test_another_face_is_below_the_floor(changed: NDArray[np.float32]) -> None:
    assert likeness(portrait(), changed, POINTS) < FLOOR


def test_nothing_is_like_nothing() -> None:
    flat = np.full((64, 64, 3), 0.4, np.float32)
    assert likeness(flat, flat, POINTS / 4) == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 80), st.lists(st.floats(-50, 130), min_size=10, max_size=10), st.integers(0, 99))
def test_any_crops_and_landmarks_have_a_likeness(size: int, values: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (rng.random((size, size, 3), dtype=np.float32) for _ in range(2))
    assert 0 <= likeness(one, other, np.array(values).reshape(5, 2)) <= 1
    assert likeness(one, one, np.array(values).reshape(5, 2)) == pytest.approx(1)


def test_real_restorations_are_alike_and_other_people_are_not(shared: Path) -> None:
    held_out = [portrait for portrait in read_index(shared / "faces") if portrait.held_out][::11][:4]
    crops = Crops(held_out, 256)
    restorer = GpenRestorer(load_gpen("gpen-lite-256").net, device=torch.device("cpu"))
    good, wrong = [], []
    for name in ("published", "archival"):
        sources = [
            np.asarray(DEGRADATIONS[name](crops.crop(k), np.random.default_rng(k))[0], np.float32)
            for k in range(len(crops))
        ]
        faces = restorer.restore(np.stack(sources))
        good += [likeness(source, face, POINTS) for source, face in zip(sources, faces, strict=True)]
        wrong += [likeness(source, face, POINTS) for source, face in zip(sources, np.roll(faces, 1, 0), strict=True)]
        halves = (faces + np.roll(faces, 1, 0)) / 2
        wrong += [likeness(source, face, POINTS) for source, face in zip(sources, halves, strict=True)]
    assert min(good) > 0.97
    assert np.mean(np.array(wrong) < FLOOR) > 0.95


class Thumb(nn.Module):
    """Its vector is the face itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        flat = x.reshape(len(x), -1)
        return flat / flat.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("template", ["gpen", "ffhq"])
@pytest.mark.parametrize("size", [128, 256, 1024])
def test_the_embedder_gets_faces_as_it_was_trained_on(template: str, size: int) -> None:
    """A spot at each landmark of the crop comes out where ArcFace has that landmark."""
    points = TEMPLATES[template] * size
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    spots = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * (size / 60) ** 2)) for u, v in points)
    rgb = np.repeat(np.clip(spots, 0, 1)[..., None], 3, axis=2).astype(np.float32)
    net = Thumb()
    vectors = ArcFaceEmbedder(net, device=torch.device("cpu"), template=template).embed(np.stack([rgb, rgb]))
    assert tuple(net.seen.shape) == (2, 3, 112, 112)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(1, abs=1e-4)
    face = (net.seen[0, 0].numpy() + 1) / 2
    # the two templates are no similar figures, so that points are met to within a few pixels
    reach = 1.0 if template == "gpen" else 6.0
    for u, v in ARCFACE_112:
        window = np.s_[int(v) - 7 : int(v) + 9, int(u) - 7 : int(u) + 9]
        row, column = np.unravel_index(np.argmax(cv2.GaussianBlur(face, (0, 0), 1)[window]), (16, 16))
        assert np.hypot(row + int(v) - 7 - v, column + int(u) - 7 - u) < reach


def test_an_embedder_of_an_unknown_template_is_refused() -> None:
    with pytest.raises(ValueError, match="no template 'other'"):
        ArcFaceEmbedder(Thumb(), device=torch.device("cpu"), template="other")
    assert (
        ArcFaceEmbedder(Thumb(), device=torch.device("cpu")).embed(np.empty((0, 64, 64, 3), np.float32)).shape[0] == 0
    )
