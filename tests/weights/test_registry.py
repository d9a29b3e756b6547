import json
import re
from pathlib import Path

import pytest
import torch

from gpen_video.errors import UnknownWeightsError
from gpen_video.nets.gpen import GpenConfig
from gpen_video.weights import REGISTRY
from gpen_video.weights.registry import GPEN, by_name


def test_every_entry_is_whole() -> None:
    assert len({weights.file_name for weights in REGISTRY.values()}) == len(REGISTRY)
    for name, weights in REGISTRY.items():
        assert name == weights.name
        assert weights.url is None or weights.url.startswith("https://")
        assert weights.sha256 is None or re.fullmatch("[0-9a-f]{64}", weights.sha256)
        assert (weights.template is None) == (weights.architecture != "gpen")
        assert weights.file_name.rpartition(".")[2] in ("safetensors", "pth", "pt")


def test_the_defaults_come_with_the_program_and_nothing_else_does() -> None:
    shipped = {w.name for w in REGISTRY.values() if w.shipped}
    assert shipped == {"gpen-lite-256", "gpen-lite-256-soft", "retinaface-mobile0.25"}


def test_published_gpen_weights_state_their_terms() -> None:
    published = [w for w in REGISTRY.values() if w.architecture == "gpen" and w.url]
    assert len(published) == 7
    assert {w.terms for w in published} == {GPEN}
    assert "no licence" in GPEN


@pytest.mark.parametrize("size", [256, 512, 1024, 2048])
def test_configurations_are_those_of_the_published_key_lists(shared: Path, size: int) -> None:
    table = json.loads((shared / "oracle" / f"keys_gpen-bfr-{size}_generator.json").read_text(encoding="utf-8"))
    stated = by_name(f"gpen-bfr-{size}").config
    assert stated == {name: table["config"][name] for name in ("size", "channel_multiplier", "narrow")}
    shapes = {entry["name"]: torch.empty(entry["shape"], device="meta") for entry in table["entries"]}
    config = GpenConfig.from_state(shapes)
    assert {name: getattr(config, name) for name in stated} == stated


def test_an_unknown_name_suggests_a_close_one() -> None:
    with pytest.raises(UnknownWeightsError, match=r"GPEN-BFR-512: .* did you mean gpen-bfr-512\?"):
        by_name("GPEN-BFR-512")
    with pytest.raises(UnknownWeightsError, match="weights list"):
        by_name("zzz")
