"""How steady, how true and how seamless a restored film is: figures from pictures, numpy and OpenCV only.

`Meter` takes source, result and reference in step and gives a `Measurement`. What each figure is, and after whom,
stands in the module that computes it (`jitter`, `flicker`, `seam`, `identity`, `fidelity`) and in `docs/steadiness.md`.
"""

from gpen_video.measure.conditions import Condition, failures, parse_condition
from gpen_video.measure.figures import FIGURES, Figure, Figures
from gpen_video.measure.identity import Embedding, Identity
from gpen_video.measure.measurement import MeasuredTrack, Measurement
from gpen_video.measure.meter import Meter
from gpen_video.measure.motion import FlowFinder, Motion, MotionFinder, View
from gpen_video.measure.plot import check_plot_path, write_plot

__all__ = [
    "FIGURES",
    "Condition",
    "Embedding",
    "Figure",
    "Figures",
    "FlowFinder",
    "Identity",
    "MeasuredTrack",
    "Measurement",
    "Meter",
    "Motion",
    "MotionFinder",
    "View",
    "check_plot_path",
    "failures",
    "parse_condition",
    "write_plot",
]
