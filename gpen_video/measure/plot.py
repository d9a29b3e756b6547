"""The figures over the film, drawn."""

from pathlib import Path
from typing import TYPE_CHECKING

from gpen_video.errors import OutputError, UsageError
from gpen_video.measure.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS = (".png", ".svg")
_PANELS = (
    ("flicker", {"flicker_result": "result", "flicker_source": "source"}),
    ("warping error", {"warping_error": "result", "warping_error_source": "source"}),
    ("jitter\n(face sizes)", {"jitter": "result", "jitter_source": "source"}),
    ("identity\ndistance", {"identity_source": "to the source", "identity_neighbours": "to the frame before"}),
    ("seam", {"seam": "result - source"}),
    ("SSIM", {"ssim": "result", "ssim_source": "source"}),
)
"""What is drawn: the panel's label, and label by quantity."""


def check_plot_path(path: Path) -> None:
    """Refuse a name that says no known kind of picture.

    Raises:
        UsageError: It does not end in .png or .svg.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path}: a plot's name must end in {' or '.join(ENDINGS)}")


def write_plot(measurement: Measurement, path: Path, title: str) -> None:
    """Draw how the figures went over the film, means over all faces of a frame (or a stretch of frames).

    Raises:
        OutputError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [panel for panel in _PANELS if any(list(measurement.curve.points(name)) for name in panel[1])]
    figure = Figure(figsize=(10, 1 + 1.6 * max(len(shown), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(max(len(shown), 1), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, lines) in zip(rows, shown, strict=False):
        _draw(axes, measurement, label, lines)
    rows[-1].set_xlabel("frame")
    rows[0].set_title(title, fontsize=10)
    if not shown:
        rows[0].text(0.5, 0.5, "no face was measured", ha="center", transform=rows[0].transAxes)
    try:
        figure.savefig(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _draw(axes: "Axes", measurement: Measurement, label: str, lines: dict[str, str]) -> None:
    for quantity, name in lines.items():
        points = list(measurement.curve.points(quantity))
        if points:
            axes.plot(*zip(*points, strict=True), label=name, linewidth=0.9)
    axes.set_ylabel(label, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, loc="upper right")
