"""The loop: resuming, stopping, refusing."""

import json
import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpen_video.errors import IncompatibleWeightsError, OutputError, TrainingError
from gpen_video.nets.gpen import GpenConfig
from gpen_video.train.checkpoint import NAME, read
from gpen_video.train.feed import feed
from gpen_video.train.loop import Schedule, run
from gpen_video.train.machine import Machine
from gpen_video.train.prior import PriorConfig, PriorTraining
from gpen_video.train.restoration import Rates, RestorationConfig, RestorationTraining, Weights
from gpen_video.train.training import Moment, Report, Training

TINY = GpenConfig(16, channel_multiplier=2, narrow=1 / 32, style_dim=8, mapping_layers=2)
CPU = Machine(device=torch.device("cpu"), workers=0)


class Noise:
    """Faces of noise, another for each index."""

    size = 16

    def __len__(self) -> int:
        return 10

    def crop(self, index: int, rng: np.random.Generator | None = None) -> NDArray[np.float32]:
        face = np.random.default_rng(index).random((16, 16, 3), np.float32)
        return face if rng is None or rng.random() < 0.5 else np.ascontiguousarray(face[:, ::-1])


class Watcher:
    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.resumes: list[int] = []

    def resumed(self, seen: int) -> None:
        self.resumes.append(seen)

    def reported(self, report: Report) -> None:
        self.reports.append(report)


def prior() -> Training:
    config = PriorConfig(network=TINY, r1_every=3, path_every=2, augmentation_images=200)
    return PriorTraining(config, Noise(), CPU, seed=1)


def restoration(**weights: float) -> Training:
    config = RestorationConfig(
        network=TINY,
        weights=Weights(**weights),
        noise_strength=1.0,
        augmentation=0.3,
        r1_every=3,  # type: ignore[arg-type]
    )
    return RestorationTraining(config, Noise(), CPU, seed=1)


def of_content_alone(place: Machine, **rates: float) -> Training:
    config = RestorationConfig(network=TINY, weights=Weights(adversarial=0.0), rates=Rates(**rates), noise_strength=1.0)
    return RestorationTraining(config, Noise(), place, seed=1)


def with_muon() -> Training:
    rates = Rates(matrices=1e-3, discriminator_matrices=1e-3)
    return RestorationTraining(RestorationConfig(network=TINY, rates=rates, r1_every=3), Noise(), CPU, seed=1)


def schedule(images: int) -> Schedule:
    return Schedule(images=images, batch=4, report_every=2, save_every=3, sheet_every=100)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    modules = read(folder / NAME)["modules"]
    return {f"{name}.{key}": value for name, state in modules.items() for key, value in state.items()}


@pytest.mark.parametrize(
    "make",
    [
        prior,
        restoration,
        lambda: restoration(adversarial=0.0),
        lambda: restoration(steadiness=1.0),
        with_muon,
    ],
    ids=["prior", "adversarial", "content", "clips", "muon"],
)
def test_stopping_and_going_on_gives_the_weights_of_one_run(make: Callable[[], Training], tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    assert run(make(), 10, schedule(40), tmp_path / "whole", CPU, Watcher())
    first = make()
    # The schedule is the same; the first half is ended by time, which the stopped clock makes exact.
    clock = iter([0.0] * 5 + [2.0] * 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpen_video.train.loop._out_of_time", lambda until, machine: next(clock) > until)
        assert not run(first, 10, schedule(40), tmp_path / "halves", CPU, Watcher(), until=1.0)
    watcher = Watcher()
    assert run(make(), 10, schedule(40), tmp_path / "halves", CPU, watcher)
    assert watcher.resumes == [20]
    whole, halves = weights_of(tmp_path / "whole"), weights_of(tmp_path / "halves")
    assert whole.keys() == halves.keys()
    for name, value in whole.items():
        assert torch.equal(value, halves[name]), name
    fresh = {f"{name}.{k}": v for name, module in make().modules.items() for k, v in module.state_dict().items()}
    assert any(not torch.equal(value, fresh[name]) for name, value in whole.items())


def test_figures_of_a_resumed_run_are_those_of_one_run(tmp_path: Path) -> None:
    for folder, stops in (("whole", [24]), ("halves", [12, 24])):
        (tmp_path / folder).mkdir()
        for _ in stops:
            clock = iter([False] * 3 + [True] * 50 if len(stops) == 2 and _ == 12 else [False] * 50)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("gpen_video.train.loop._out_of_time", lambda until, machine, c=clock: next(c))
                run(restoration(), 10, schedule(24), tmp_path / folder, CPU, Watcher())
    whole, halves = (
        {line["seen"]: line for line in map(json.loads, (tmp_path / f / "figures.jsonl").read_text().splitlines())}
        for f in ("whole", "halves")
    )
    common = whole.keys() & halves.keys()
    assert {12, 24} <= common
    last = max(common)
    assert whole[last]["content"] == pytest.approx(halves[last]["content"])


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    training = restoration(adversarial=0.0)
    assert run(training, 10, schedule(12), tmp_path, CPU, Watcher())
    good = (tmp_path / NAME).read_bytes()
    broken = restoration(adversarial=0.0)
    step = broken.step

    def poisoned(batch: dict[str, torch.Tensor], moment: object) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            next(iter(broken.modules["net"].parameters())).fill_(float("nan"))
        return step(batch, moment)  # type: ignore[arg-type]

    broken.step = poisoned  # type: ignore[method-assign]
    longer = replace(schedule(12), images=40)
    with pytest.raises(TrainingError, match=r"content is nan after \d+ images; the last good checkpoint is in"):
        run(broken, 10, longer, tmp_path, CPU, Watcher())
    assert (tmp_path / NAME).read_bytes() == good


def test_weights_that_are_no_numbers_are_not_saved_even_if_losses_were_not_looked_at(tmp_path: Path) -> None:
    training = restoration(adversarial=0.0)
    step = training.step

    def poisoned(batch: dict[str, torch.Tensor], moment: object) -> dict[str, torch.Tensor]:
        figures = step(batch, moment)  # type: ignore[arg-type]
        with torch.no_grad():
            next(iter(training.modules["average"].parameters())).fill_(float("inf"))
        return figures

    training.step = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="weights of the average are"):
        run(training, 10, schedule(40), tmp_path, CPU, Watcher())
    assert not (tmp_path / NAME).exists()


def test_a_checkpoint_of_another_configuration_is_refused_by_name_of_the_setting(tmp_path: Path) -> None:
    run(restoration(), 10, schedule(4), tmp_path, CPU, Watcher())
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(IncompatibleWeightsError, match=r"weights\.adversarial is 1\.0 there, 0\.5 here") as caught:
        run(restoration(adversarial=0.5), 10, schedule(4), tmp_path, CPU, Watcher())
    assert "\n" not in str(caught.value)
    assert (tmp_path / NAME).read_bytes() == before


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"not a checkpoint"])
def test_a_damaged_checkpoint_is_one_line(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    run(restoration(), 10, schedule(4), tmp_path, CPU, Watcher())
    (tmp_path / NAME).write_bytes(damage((tmp_path / NAME).read_bytes()))
    with pytest.raises(IncompatibleWeightsError, match=r"latest\.ckpt: cannot be read as a checkpoint") as caught:
        run(restoration(), 10, schedule(4), tmp_path, CPU, Watcher())
    assert "\n" not in str(caught.value)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    run(restoration(), 10, schedule(4), tmp_path, CPU, Watcher())
    before = (tmp_path / NAME).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OutputError, match=r"latest\.ckpt: cannot be written"):
            run(restoration(), 10, schedule(8), tmp_path, CPU, Watcher())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / NAME).read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_reports_and_sheets_are_written(tmp_path: Path) -> None:
    watcher = Watcher()
    run(prior(), 10, schedule(16), tmp_path, CPU, watcher)
    assert [report.seen for report in watcher.reports] == [8, 12, 16]
    assert {"generator", "discriminator", "r1", "path_length", "augmentation"} <= watcher.reports[0].figures.keys()
    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert [line["seen"] for line in lines] == [8, 12, 16]
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["000000016.jpg"]


def test_two_processes_learn_what_one_learns_from_the_whole_batch(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        from pathlib import Path
        from gpen_video.train.loop import run
        from gpen_video.train.machine import machine
        sys.path.insert(0, sys.argv[2])
        from tests.train import test_loop as t
        with machine("cpu", workers=0, threads=1, precision="fp32") as place:
            run(t.of_content_alone(place), 10, t.schedule(16), Path(sys.argv[1]), place, t.Watcher())
        """)
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    run(of_content_alone(CPU), 10, schedule(16), tmp_path / "one", CPU, Watcher())
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run([*launch, str(tmp_path / "two"), root], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    # Adam divides by the size of the gradient: rounding shows in weights of which only the sign of a tiny one counts.
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=2e-3), name
    drift = torch.stack([(value - two[name]).abs().mean() for name, value in one.items()]).mean()
    assert drift < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("made", [PriorTraining, RestorationTraining])
def test_compiled_networks_learn_the_same(made: type[PriorTraining] | type[RestorationTraining]) -> None:
    config = PriorConfig(network=TINY) if made is PriorTraining else RestorationConfig(network=TINY)
    plain, compiled = (
        made(config, Noise(), replace(CPU, compile=compile), seed=1)  # type: ignore[arg-type]
        for compile in (False, True)
    )
    batches = feed(plain.sample, 10, batch=2, seed=0, start=0, machine=CPU)
    for step in range(3):
        batch = next(batches)
        moment = Moment(2 * step, 2, 1000)
        figures, alike = plain.step(batch, moment), compiled.step(batch, moment)
        for name, value in figures.items():
            assert alike[name].item() == pytest.approx(value.item(), rel=1e-3, abs=1e-5), name


_WITHOUT_COMPILER = """
import torch
from gpen_video.errors import DeviceError
from gpen_video.train.loop import device_told
try:
    with device_told(4):
        torch.compile(torch.nn.Softmax(1))(torch.rand(2, 3))
except DeviceError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_machine_without_a_compiler_is_one_line(tmp_path: Path) -> None:
    alone = {"PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "HOME": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", _WITHOUT_COMPILER], env=alone, capture_output=True, text=True).stdout
    assert "compiler" in told and told.endswith("give --no-compile\n") and told.count("\n") == 1
