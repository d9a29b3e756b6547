"""The files that come with the program; refresh their list as `gpen_video/weights/cache.py` says."""

import hashlib

import pytest
import torch

from gpen_video.weights import REGISTRY, Weights, load_detector, load_gpen
from gpen_video.weights.cache import SHIPPED_SUMS, location
from gpen_video.weights.checksum import read_sums

SHIPPED = [weights for weights in REGISTRY.values() if weights.shipped]


def test_the_list_names_the_shipped_files_and_no_others() -> None:
    assert set(read_sums(SHIPPED_SUMS)) == {weights.shipped for weights in SHIPPED}


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda weights: weights.name)
def test_the_list_is_fresh(weights: Weights) -> None:
    digest = hashlib.sha256(location(weights).read_bytes()).hexdigest()
    assert read_sums(SHIPPED_SUMS)[weights.shipped] == digest


@pytest.mark.parametrize("name", ["gpen-lite-256", "gpen-lite-256-soft"])
def test_restorers_load(name: str) -> None:
    loaded = load_gpen(name, offline=True)
    stated = REGISTRY[name].config
    assert {name: getattr(loaded.net.config, name) for name in stated} == stated
    assert (loaded.size, loaded.template, loaded.task) == (256, "gpen", "restore")
    with torch.inference_mode():
        faces = loaded.net(torch.zeros(1, 3, 256, 256))
    assert faces.shape == (1, 3, 256, 256)
    assert torch.isfinite(faces).all()


def test_the_default_detector_loads() -> None:
    loaded = load_detector("retinaface-mobile0.25", offline=True)
    assert sum(parameter.numel() for parameter in loaded.net.parameters()) == 426_608
