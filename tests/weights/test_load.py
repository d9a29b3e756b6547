import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gpen_video.errors import IncompatibleWeightsError, UnknownWeightsError, WeightsError
from gpen_video.nets.arcface import build_arcface
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.parsing import build_parser
from gpen_video.nets.retinaface import build_retinaface
from gpen_video.weights import load_detector, load_embedder, load_gpen, load_parser, name_here, read_state

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(3)
    return Gpen(GpenConfig(16, 2, 1 / 16, 32, 2)).state_dict()


def _safetensors(state: State, path: Path) -> None:
    save_file({key: value.contiguous() for key, value in state.items()}, path)


def _safetensors_half(state: State, path: Path) -> None:
    save_file({key: value.half().contiguous() for key, value in state.items()}, path)


def _torch_legacy(state: State, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def _training_checkpoint(state: State, path: Path) -> None:
    other = {key: torch.zeros_like(value) for key, value in state.items()}
    torch.save({"g": other, "d": {}, "g_ema": state, "g_optim": {"state": {}, "param_groups": []}}, path)


def _data_parallel(state: State, path: Path) -> None:
    torch.save({"params_ema": {f"module.{key}": value for key, value in state.items()}}, path)


FORMATS: list[Callable[[State, Path], Any]] = [
    _safetensors,
    torch.save,
    _torch_legacy,
    _training_checkpoint,
    _data_parallel,
]


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_gives_the_same_network(state: State, tmp_path: Path, write: Callable[[State, Path], Any]) -> None:
    path = tmp_path / "tiny.weights"
    write(state, path)
    loaded = load_gpen(str(path))
    assert (loaded.size, loaded.template, loaded.name, loaded.task) == (16, "gpen", "tiny.weights", "restore")
    assert loaded.net.config == GpenConfig(16, 2, 1 / 16, 32, 2)
    got = loaded.net.state_dict()
    assert list(got) == list(state)
    assert all(torch.equal(got[key], state[key]) for key in state)
    assert not loaded.net.training
    assert not any(parameter.requires_grad for parameter in loaded.net.parameters())


def test_half_precision_is_widened(state: State, tmp_path: Path) -> None:
    _safetensors_half(state, tmp_path / "half.safetensors")
    got = load_gpen(str(tmp_path / "half.safetensors")).net.state_dict()
    assert {value.dtype for value in got.values()} == {torch.float32}
    assert all(torch.equal(got[key], state[key].half().float()) for key in state)


def test_a_loaded_network_gives_the_published_networks_faces(shared: Path, tmp_path: Path) -> None:
    oracle = shared / "oracle"
    published = {k: torch.from_numpy(v) for k, v in np.load(oracle / "g16_tiny_state_fp16.npz").items()}
    torch.save(published, tmp_path / "tiny.pth")
    numbers = np.load(oracle / "g16_tiny.npz")
    with torch.inference_mode():
        faces = load_gpen(str(tmp_path / "tiny.pth")).net(torch.from_numpy(numbers["input"]))
    assert np.abs(faces.numpy() - numbers["output"]).max() < 3e-5


@pytest.mark.parametrize("template", ["gpen", "ffhq"])
def test_own_weights_may_state_their_template(state: State, tmp_path: Path, template: str) -> None:
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "own", metadata={"template": template})
    assert load_gpen(str(tmp_path / "own")).template == template


def test_an_unknown_template_is_refused(state: State, tmp_path: Path) -> None:
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "own", metadata={"template": "arcface"})
    with pytest.raises(IncompatibleWeightsError, match="its template is 'arcface'; known are gpen, ffhq"):
        load_gpen(str(tmp_path / "own"))


def _without(key: str) -> Callable[[State], object]:
    return lambda state: {name: value for name, value in state.items() if name != key}


def _with(key: str, value: object) -> Callable[[State], object]:
    return lambda state: {**state, key: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("ecd1.0.2.bias"), "does not fit Gpen: ecd1.0.2.bias is missing"),
        (_without("generator.input.input"), "these shapes make no GPEN"),
        (_without("ecd1.0.0.kernel"), "does not fit Gpen: .* more like it"),
        (_with("extra", torch.zeros(1)), "does not fit Gpen: extra is unknown"),
        (_with("ecd0.0.1.bias", torch.zeros(3)), r"ecd0\.0\.1\.bias is \(3,\), not \(32,\)"),
        (_with("generator.input.input", torch.zeros(1)), "these shapes make no GPEN"),
        (_with("generator.input.input", torch.zeros(1, 0, 4, 4)), "x.pth: "),
        (_with("ecd0.0.1.bias", torch.full((32,), torch.nan)), "ecd0.0.1.bias holds values that are no finite"),
        (_with("ecd0.0.1.bias", [1.0]), "ecd0.0.1.bias is a list, not a tensor"),
        (lambda state: {}, "these shapes make no GPEN"),
        (lambda state: list(state.values()), "holds a list, not a state dict"),
    ],
)
def test_what_does_not_fit_is_one_line_with_file_and_key(
    state: State, tmp_path: Path, change: Callable[[State], object], message: str
) -> None:
    torch.save(change(state), tmp_path / "x.pth")
    with pytest.raises(IncompatibleWeightsError, match=message) as caught:
        load_gpen(str(tmp_path / "x.pth"))
    assert str(tmp_path / "x.pth") in str(caught.value)
    assert "\n" not in str(caught.value)


class _Code:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (_Code, "ran", True))


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.zeros(1), "b": _Code()}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(IncompatibleWeightsError, match=r"x\.pth: refused: .* could run code") as caught:
        read_state(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)
    assert not _Code.ran


@pytest.mark.parametrize("head", [b"", b"PK\x03\x04", b"\x80\x02", b"\x10\0\0\0\0\0\0\0{", b"<!DOCTYPE html>"])
@pytest.mark.parametrize("seed", range(4))
def test_arbitrary_bytes_are_one_line(tmp_path: Path, head: bytes, seed: int) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(head + random.Random(seed).randbytes(300 * seed))
    with pytest.raises(IncompatibleWeightsError) as caught:
        load_gpen(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [_safetensors, torch.save])
def test_a_file_that_breaks_off(state: State, tmp_path: Path, write: Callable[[State, Path], Any]) -> None:
    path = tmp_path / "x.weights"
    write(state, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(IncompatibleWeightsError, match="damaged"):
        load_gpen(str(path))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_state(tmp_path / "none")
    with pytest.raises(UnknownWeightsError):
        load_detector(str(tmp_path / "none"))


def test_registered_weights_of_the_other_kind() -> None:
    with pytest.raises(IncompatibleWeightsError, match="which make no restorer"):
        load_gpen("retinaface-mobile0.25")
    with pytest.raises(IncompatibleWeightsError, match="which make no face detector"):
        load_detector("gpen-lite-256")


@pytest.mark.parametrize("build", [build_retinaface, partial(build_retinaface, "resnet50")])
def test_detectors_of_both_sizes(tmp_path: Path, build: Callable[[], torch.nn.Module]) -> None:
    state = build().state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "d.pth")
    loaded = load_detector(str(tmp_path / "d.pth"))
    got = loaded.net.state_dict()
    assert all(torch.equal(got[key], state[key]) for key in state)
    assert (loaded.name, loaded.net.training) == ("d.pth", False)


@pytest.mark.parametrize(
    ("build", "table"),
    [(build_retinaface, "retinaface_mnet025"), (partial(build_retinaface, "resnet50"), "retinaface_r50")],
)
def test_detector_keys_are_the_published_ones(shared: Path, build: Callable[[], torch.nn.Module], table: str) -> None:
    published = json.loads((shared / "oracle" / "keys_detector_parser.json").read_text(encoding="utf-8"))[table]
    state = build().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {
        entry["name"]: entry["shape"] for entry in published["entries"]
    }


def test_a_published_detector(shared: Path) -> None:
    loaded = load_detector(str(shared / "weights" / "retinaface_mobilenet0.25.pth"))
    assert sum(parameter.numel() for parameter in loaded.net.parameters()) == 426_608


def test_a_gpen_is_no_detector(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(IncompatibleWeightsError, match="not the weights of a RetinaFace"):
        load_detector(str(tmp_path / "x.pth"))
    torch.save({**state, "fpn.output1.0.weight": torch.zeros(64, 64, 1, 1)}, tmp_path / "x.pth")
    with pytest.raises(IncompatibleWeightsError, match="does not fit RetinaFace: body"):
        load_detector(str(tmp_path / "x.pth"))


@pytest.mark.parametrize("kind", ["parsenet", "bisenet"])
def test_parsers_of_both_kinds(tmp_path: Path, kind: Any) -> None:
    torch.manual_seed(1)
    state = build_parser(kind).state_dict()
    torch.save({"params": state}, tmp_path / "p.pth")
    loaded = load_parser(str(tmp_path / "p.pth"))
    got = loaded.net.state_dict()
    assert (loaded.kind, loaded.name, loaded.net.training) == (kind, "p.pth", False)
    assert all(torch.equal(got[key], state[key]) for key in state)
    torch.save({**state, "extra": torch.zeros(1)}, tmp_path / "p.pth")
    with pytest.raises(IncompatibleWeightsError, match="extra is unknown"):
        load_parser(str(tmp_path / "p.pth"))


def test_an_embedding_is_loaded_strictly(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = build_arcface().state_dict()
    state = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in shapes.items()}
    state["input_layer.0.weight"] += 1
    save_file({key: value for key, value in state.items() if value.numel() > 1}, tmp_path / "short.safetensors")
    with pytest.raises(IncompatibleWeightsError, match=r"does not fit Backbone: .* is missing"):
        load_embedder(str(tmp_path / "short.safetensors"))
    torch.save(state, tmp_path / "a.pth")
    loaded = load_embedder(str(tmp_path / "a.pth"))
    assert loaded.net.state_dict()["input_layer.0.weight"].eq(1).all()
    assert not loaded.net.training


def test_a_name_of_the_other_kind_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(IncompatibleWeightsError, match="which make no face parser"):
        load_parser("arcface-ir-se50")
    with pytest.raises(IncompatibleWeightsError, match="which make no face embedding"):
        load_embedder("parsenet")


def test_only_what_is_here_is_taken_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPEN_VIDEO_CACHE", str(tmp_path))
    assert name_here("parse") is None and name_here("recognise") is None
    assert name_here("detect") == "retinaface-mobile0.25"
    (tmp_path / "parsenet.pth").touch()
    assert name_here("parse") == "parsenet"
    (tmp_path / "bisenet.pth").touch()
    assert name_here("parse") == "bisenet"
