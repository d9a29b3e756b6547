"""A picture's own flag of how it was scanned, read and written; PyAV shows only half of it, libavfilter all."""

from fractions import Fraction
from typing import Literal

import av
from av.filter import Graph
from av.filter.context import FilterContext

_ANY_TIME_BASE = Fraction(1, 1000)  # times are not looked at here


def first_field_of(frame: av.VideoFrame) -> Literal["top", "bottom"] | None:
    """The field that is shown first by the picture's own flags; `None` for a progressive picture."""
    if not frame.interlaced_frame:
        return None
    graph = _graph(frame, r"select", r"eq(interlace_type\,TOPFIRST)")
    graph.vpush(frame)
    try:
        graph.vpull()
    except (av.BlockingIOError, av.EOFError):  # the filter kept it to itself
        return "bottom"
    return "top"


class FieldTagger:
    """Flags pictures as interlaced, as encoders read it of each."""

    def __init__(self, first: Literal["top", "bottom"]) -> None:
        self._mode = "tff" if first == "top" else "bff"
        self._graph: Graph | None = None

    def tagged(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same picture, samples shared, flagged; all pictures have the first one's size and format."""
        if self._graph is None:
            self._graph = _graph(frame, "setfield", self._mode)
        self._graph.vpush(frame)
        return self._graph.vpull()


def _graph(frame: av.VideoFrame, name: str, options: str) -> Graph:
    graph = Graph()
    time_base = frame.time_base or _ANY_TIME_BASE
    nodes: list[FilterContext] = [
        graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
            f":time_base={time_base.numerator}/{time_base.denominator}:pixel_aspect=1/1",
        ),
        graph.add(name, options),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    return graph
