"""Recipes, run to their end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from gpen_video.errors import IncompatibleWeightsError, UsageError
from gpen_video.nets.gpen import Gpen
from gpen_video.train.checkpoint import NAME, hand_over, read
from gpen_video.train.course import follow, inherit, make, seen, trained_network
from gpen_video.train.export import export_gpen
from gpen_video.train.feed import to_network
from gpen_video.train.loop import Schedule
from gpen_video.train.prior import PriorConfig
from gpen_video.train.recipes import RECIPES, Phase, Recipe, by_name
from gpen_video.train.restoration import Rates, RestorationConfig, Weights
from gpen_video.weights import load_gpen
from tests.train.test_loop import CPU, TINY, Noise, Watcher


class CourseWatcher(Watcher):
    def __init__(self) -> None:
        super().__init__()
        self.phases: list[str] = []

    def entered(self, phase: Phase) -> None:
        self.phases.append(phase.name)


def tiny_recipe() -> Recipe:
    schedule = Schedule(images=8, batch=4)
    return (
        Phase(name="prior", config=PriorConfig(network=TINY), schedule=schedule),
        Phase(
            name="content",
            config=RestorationConfig(network=TINY, weights=Weights(adversarial=0.0)),
            schedule=schedule,
            net_from="prior",
        ),
        Phase(
            name="fine-tuning",
            config=RestorationConfig(network=TINY),
            schedule=schedule,
            net_from="content",
            discriminator_from="prior",
        ),
    )


def test_phases_run_one_after_the_other_and_only_once(tmp_path: Path) -> None:
    watcher = CourseWatcher()
    assert follow(tiny_recipe(), lambda size: Noise(), tmp_path, CPU, watcher)
    assert watcher.phases == ["prior", "content", "fine-tuning"]
    assert [seen(tmp_path / name) for name in watcher.phases] == [8, 8, 8]
    again = CourseWatcher()
    assert follow(tiny_recipe(), lambda size: Noise(), tmp_path, CPU, again)
    assert again.phases == []


def test_no_time_leaves_the_first_phase_to_go_on_with(tmp_path: Path) -> None:
    watcher = CourseWatcher()
    assert not follow(tiny_recipe(), lambda size: Noise(), tmp_path, CPU, watcher, until=0.0)
    assert watcher.phases == ["prior"]
    assert seen(tmp_path / "prior") == 0


def test_fine_tuning_starts_from_the_content_stage_and_the_priors_discriminator(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    follow(recipe, lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    training = make(recipe[2], Noise(), CPU)
    inherit(training, recipe[2], tmp_path, CPU)
    content, prior = (read(tmp_path / name / NAME)["modules"] for name in ("content", "prior"))
    for name, value in training.modules["net"].state_dict().items():
        assert torch.equal(value, content["average"][name]), name
    for name, value in training.modules["discriminator"].state_dict().items():
        assert torch.equal(value, prior["discriminator"][name]), name


def test_the_prior_becomes_the_decoder(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    follow(recipe[:1], lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    training = make(recipe[1], Noise(), CPU)
    inherit(training, recipe[1], tmp_path, CPU)
    prior = read(tmp_path / "prior" / NAME)["modules"]["average"]
    for name, value in training.modules["average"].get_submodule("generator").state_dict().items():
        assert torch.equal(value, prior[name]), name


def test_what_is_handed_over_stands_in_for_the_checkpoint(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    follow(recipe[:1], lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    files = hand_over(tmp_path, "prior")
    assert {path.name for path in files} == {"prior.average.ckpt", "prior.discriminator.ckpt"}
    kept = read(tmp_path / "prior" / NAME)["modules"]["average"]
    (tmp_path / "prior" / NAME).unlink()
    training = make(recipe[1], Noise(), CPU)
    inherit(training, recipe[1], tmp_path, CPU)
    for name, value in training.modules["average"].get_submodule("generator").state_dict().items():
        assert torch.allclose(value, kept[name], rtol=1e-3, atol=1e-6), name


def test_a_missing_or_unfit_start_is_one_clear_line(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    with pytest.raises(IncompatibleWeightsError, match="no such checkpoint; run the stage before first"):
        follow(recipe[1:], lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    follow(recipe[:1], lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    wider = replace(TINY, narrow=1 / 16)
    phase = replace(recipe[1], config=RestorationConfig(network=wider, weights=Weights(adversarial=0.0)))
    with pytest.raises(IncompatibleWeightsError, match="its average does not fit phase content") as caught:
        follow((phase,), lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    assert "\n" not in str(caught.value)


def test_given_weights_stand_in_for_what_the_first_phase_starts_from(tmp_path: Path) -> None:
    start = Gpen(TINY)
    config = RestorationConfig(network=TINY, weights=Weights(adversarial=0.0), rates=Rates(encoder=0.0, decoder=0.0))
    still = replace(tiny_recipe()[1], config=config).lasting(4)
    assert follow((still,), lambda size: Noise(), tmp_path, CPU, CourseWatcher(), start=start)
    for name, value in trained_network(tmp_path / "content").state_dict().items():
        assert torch.equal(value, start.state_dict()[name]), name


def test_given_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    for phases, start, words in (
        (recipe[:1], Gpen(TINY), "phase prior trains a prior"),
        (recipe[1:2], Gpen(replace(TINY, narrow=1 / 16)), "do not fit phase content"),
    ):
        with pytest.raises(IncompatibleWeightsError, match=words):
            follow(phases, lambda size: Noise(), tmp_path, CPU, CourseWatcher(), start=start)


def test_the_trained_network_is_exported_with_its_configuration(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    follow(recipe, lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    net = trained_network(tmp_path / "fine-tuning")
    assert isinstance(net, Gpen)
    path = tmp_path / "mine.safetensors"
    export_gpen(net, path, name="mine", terms="mine alone")
    with safe_open(path, "pt") as file:
        assert file.metadata()["name"] == "mine"
        assert {str(file.get_tensor(key).dtype) for key in file.keys()} == {"torch.float16"}  # noqa: SIM118
    loaded = load_gpen(str(path))
    assert loaded.net.config == net.config
    crops = to_network(torch.rand(1, 16, 16, 3))
    with torch.no_grad():
        torch.testing.assert_close(loaded.net(crops), net(crops), atol=0.05, rtol=0.01)


def test_a_prior_is_nothing_to_restore_with(tmp_path: Path) -> None:
    follow(tiny_recipe()[:1], lambda size: Noise(), tmp_path, CPU, CourseWatcher())
    with pytest.raises(IncompatibleWeightsError, match="is of a prior, which restores nothing"):
        trained_network(tmp_path / "prior")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_only_phases_that_come_before(name: str) -> None:
    before: set[str] = set()
    for phase in by_name(name):
        assert {phase.net_from, phase.discriminator_from} <= before | {None}
        assert phase.schedule.images % phase.schedule.batch == 0
        before.add(phase.name)


def test_published_recipes_have_the_papers_numbers() -> None:
    # gpen_spec.md, 4.3: rates 100 : 10 : 1, alpha 1, beta 0.02; sizes and widths of the released networks.
    for name, size, multiplier, narrow in (
        ("gpen-256", 256, 1, 0.5),
        ("gpen-512", 512, 2, 1),
        ("gpen-1024", 1024, 2, 1),
    ):
        config = by_name(name)[-1].config
        assert isinstance(config, RestorationConfig)
        assert (config.rates.encoder, config.rates.decoder, config.rates.discriminator) == (2e-3, 2e-4, 2e-5)
        assert (config.weights.adversarial, config.weights.content, config.weights.feature_matching) == (1, 1, 0.02)
        network = config.network
        assert (network.size, network.channel_multiplier, network.narrow) == (size, multiplier, narrow)
        assert (network.style_dim, network.mapping_layers) == (512, 8)


def test_an_unknown_recipe_lists_those_that_are_there() -> None:
    with pytest.raises(UsageError, match="no such recipe; there are gpen-lite-256, "):
        by_name("gpen-3")


def test_lasting_and_batched_keep_whole_batches() -> None:
    phase = tiny_recipe()[0]
    assert phase.lasting(9).schedule.images == 12
    assert phase.batched(3).schedule.images == 9
    assert np.all([p.schedule.images % p.schedule.batch == 0 for p in (phase.lasting(1), phase.batched(5))])
