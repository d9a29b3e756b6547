"""The time of each picture, stated or not."""

from dataclasses import dataclass
from fractions import Fraction

import av

from gpen_video.media.flaws import DamageError
from gpen_video.types import Timestamp, VideoInfo


@dataclass(slots=True)
class Clock:
    """Gives each picture its time, and sees that times increase."""

    info: VideoInfo
    time_base: Fraction
    last: int | None = None
    step: int = 1
    """Ticks between the last two pictures, or one frame by the film's rate."""

    def __post_init__(self) -> None:
        rate = self.info.average_frame_rate
        self.step = max(1, round(1 / (rate * self.time_base))) if rate else 1

    def time(self, frame: av.VideoFrame) -> tuple[Timestamp, int | None]:
        """The time and the stated duration of the next picture."""
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None:
            pts = 0 if self.last is None else self.last + self.step
        elif frame.pts is None and self.last is not None and pts <= self.last:
            pts = self.last + self.step  # decoding times may lag behind; stated times may not
        if self.last is not None:
            if pts <= self.last:
                raise DamageError(
                    f"is shown at {float(pts * self.time_base):.3f} s, no later than the frame before it "
                    f"({float(self.last * self.time_base):.3f} s): the film's times are broken, remux it first"
                )
            self.step = pts - self.last
        self.last = pts
        return Timestamp(pts, self.time_base), frame.duration or None
