"""A film restored on several devices of one machine."""

import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest

from gpen_video import NoObserver, RunPlan, Settings, restore_video
from gpen_video.pipeline.models import load_models
from tests.pipeline.clips import two_people


def on(device: str, **restore: float) -> Settings:
    return Settings.model_validate(
        {"restore": {"device": device, **restore}, "encode": {"codec": "ffv1", "crf": None, "preset": None}}
    )


class Watcher(NoObserver):
    def planned(self, plan: RunPlan) -> None:
        self.device = plan.device


@pytest.mark.parametrize(("counts", "steady"), [pytest.param((1, 2), 0.0, marks=pytest.mark.slow), ((1, 3), 0.7)])
def test_a_film_gets_the_same_bytes_on_one_two_and_three_devices(
    tmp_path: Path, counts: tuple[int, ...], steady: float
) -> None:
    source = two_people(tmp_path / "source.mkv", 3)
    results = []
    for count in counts:
        device, target, watcher = ",".join(["cpu"] * count), tmp_path / f"{count}.mkv", Watcher()
        summary = restore_video(source, target, on(device, steady_latent=steady), offline=True, observer=watcher)
        assert (summary.faces, watcher.device) == (6, device)
        results.append(hashlib.sha256(target.read_bytes()).hexdigest())
    assert results[0] != hashlib.sha256(source.read_bytes()).hexdigest()
    assert len(set(results)) == 1


def test_models_on_several_devices_leave_no_thread_when_closed() -> None:
    before = threading.active_count()
    with load_models(on("cpu,cpu"), offline=True) as models:
        assert models.restorer.batch == 2
        models.restorer.restore(np.zeros((2, 256, 256, 3), np.float32))
        assert threading.active_count() == before + 2
    assert threading.active_count() == before
    with load_models(on("cpu"), offline=True) as models:
        assert models.restorer.batch == 1
