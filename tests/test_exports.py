"""What the package offers is what it says it offers."""

import subprocess
import sys
from importlib import import_module

import pytest

import gpen_video

PACKAGES = [
    "gpen_video",
    *(
        f"gpen_video.{name}"
        for name in ("config", "faces", "measure", "media", "pipeline", "report", "restore", "weights")
    ),
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_is_there_once(package: str) -> None:
    module = import_module(package)
    names = list(module.__all__)
    for name in names:
        assert getattr(module, name) is not None
    assert len(set(names)) == len(names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gpen_video.no_such_name


def test_importing_the_package_loads_neither_networks_nor_media() -> None:
    code = "import sys, gpen_video; print(sorted({'torch', 'av', 'cv2', 'facexlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
