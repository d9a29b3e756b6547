import numpy as np
import pytest

from gpen_video.faces.resample import Roi
from gpen_video.measure.luma import luma
from gpen_video.types import ColourSpec
from tests.faces.scenes import FORMATS, painted

ROI = Roi(40, 20, 200, 130)
WEIGHTS = {"bt709": (0.2126, 0.7152, 0.0722), "smpte170m": (0.299, 0.587, 0.114)}


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p16le", "gray", "gray10le", "gbrp", "gbrp12le"])
def test_luma_is_the_weighted_sum_whatever_the_format(name: str, matrix: str, full: bool) -> None:
    fmt = FORMATS[name]
    spec = ColourSpec(matrix="gbr" if fmt.family == "rgb" else matrix, full_range=full)
    colours = np.array([0.3, 0.6, 0.1])
    picture = painted(fmt, spec, lambda x, y: np.stack([c * (0.5 + x / 640) for c in colours]))
    x = np.arange(ROI.left, ROI.right)
    weights = WEIGHTS["smpte170m" if fmt.family == "rgb" else matrix]  # R'G'B' of 240 lines counts as BT.601
    want = np.tile((weights @ colours) * (0.5 + x / 640), (110, 1))
    assert np.abs(luma(picture, ROI) - want).max() < 1.5 / 219
