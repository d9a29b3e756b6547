"""What all tests share: the shared folder (absent on users' machines), one thread, read-only arrays."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does, before torch is imported

import torch

settings.register_profile("busy", deadline=None)  # tests assert behaviour, never seconds; machines may be busy
settings.load_profile("busy")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real media, portraits and oracle numbers; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, which is not part of the project")
    return SHARED
