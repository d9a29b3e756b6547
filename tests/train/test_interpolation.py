"""Mixing weights."""

from dataclasses import replace

import pytest
import torch

from gpen_video.errors import IncompatibleWeightsError
from gpen_video.nets.gpen import Gpen
from gpen_video.train.interpolation import interpolated
from tests.train.test_loop import TINY


def test_the_ends_are_the_two_networks_and_neither_is_changed() -> None:
    net, other = Gpen(TINY), Gpen(TINY)
    before = [{name: value.clone() for name, value in each.state_dict().items()} for each in (net, other)]
    for share, state in ((1.0, before[0]), (0.0, before[1])):
        mixed = interpolated(net, other, share).state_dict()
        assert all(torch.equal(mixed[name], state[name]) for name in state)
    after = [net.state_dict(), other.state_dict()]
    assert all(torch.equal(a[name], b[name]) for a, b in zip(after, before, strict=True) for name in a)


def test_other_configurations_do_not_mix() -> None:
    with pytest.raises(IncompatibleWeightsError, match="two configurations"):
        interpolated(Gpen(TINY), Gpen(replace(TINY, narrow=1 / 16)), 0.5)
