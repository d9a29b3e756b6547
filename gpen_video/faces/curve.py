"""Between the signal of HDR film (PQ, HLG) and what restorers know: R'G'B' as standard dynamic range has it.

The way is the light that the signal stands for on a display. PQ states it (SMPTE ST 2084:2014, ITU-R BT.2100-2 table
4); HLG does for the reference display of 1000 cd/m2, whose OOTF (BT.2100-2 table 5) is taken for each of R, G and B, so
that one curve is enough. Light is counted from the white of paper, 203 cd/m2 (ITU-R BT.2408), and coded with the
exponent of ITU-R BT.1886. Up to three quarters of white that is all; above, a logarithm takes highlights up to the
signal's peak into what is left below 1, as a film's shoulder does: a face stays a face, and a glint a bright spot.

Primaries stay the source's own;
a face in those of BT.2020 looks pale to the restorer, but not wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_PAPER_WHITE = 203.0
_DISPLAY_GAMMA = 2.4
_KNEE = 0.75
_SPAN = (-0.5, 1.5)
"""Of the signal: beyond 0 to 1 for limited range's foot- and headroom, and for colours that only YUV can state."""
_SAMPLES = 2**16 + 1

# ST 2084, section 5.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_PQ_PEAK = 10000.0
# BT.2100-2, table 5.
_HLG_A = 0.17883277
_HLG_B = 1 - 4 * _HLG_A
_HLG_C = 0.5 - _HLG_A * np.log(4 * _HLG_A)
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A rising curve from the signal's R', G' or B' to what a restorer is shown; both have the nominal range 0 to 1."""

    forward: "Samples"
    inverse: "Samples"

    def shown_from_signal(self, signal: Float32) -> Float32:
        """Any shape."""
        return self.forward.at(signal)

    def signal_from_shown(self, shown: Float32) -> Float32:
        """The inverse of `shown_from_signal`, to a tenth of a 16-bit code value."""
        return self.inverse.at(shown)

    def signal_change(self, shown: Float32, change: Float32) -> Float32:
        """What to add to the signal for a change of what is shown: by the inverse curve, but never more than `change`.

        The limit acts where the curve is flat: in deep shadows a little, and in highlights, where a restorer's usual
        error of a few hundredths would else make a glint several times as bright or put it out. Exactly 0 for no
        change, and continuous.

        Args:
            shown: Before the change, any shape.
            change: The same shape.
        """
        by_curve = self.signal_from_shown(shown + change) - self.signal_from_shown(shown)
        limit = np.abs(change)
        return np.asarray(np.clip(by_curve, -limit, limit), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """A function by evenly spaced samples: straight between them, beyond the ends as at the ends."""

    start: float
    stop: float
    values: Float32
    """(N,), the first at `start`, the last at `stop`."""

    def at(self, x: Float32) -> Float32:
        """Its value at every number of `x`, any shape."""
        last = len(self.values) - 1
        place = np.clip((x - np.float32(self.start)) * np.float32(last / (self.stop - self.start)), 0, last)
        index = np.minimum(place.astype(np.int32), last - 1)
        below = self.values[index]
        return np.asarray(below + (place - index.astype(np.float32)) * (self.values[index + 1] - below), np.float32)


@lru_cache
def curve_of(transfer: str | None) -> Curve | None:
    """The curve of a transfer characteristic by FFmpeg's name; `None` where the signal is shown as it is (SDR)."""
    light_of = {"smpte2084": pq_light, "arib-std-b67": hlg_light}.get(transfer or "")
    return None if light_of is None else _sampled(light_of)


def pq_light(signal: Float64) -> Float64:
    """The EOTF of PQ in cd/m2 (ST 2084, equation 4.1), 0 at 0; below 0 continued by its mirror image."""
    power = np.abs(signal) ** (1 / _M2)
    light = _PQ_PEAK * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return np.asarray(np.copysign(light, signal), np.float64)


def hlg_light(signal: Float64) -> Float64:
    """HLG on a display of 1000 cd/m2 (BT.2100, table 5) for one of R, G, B; below 0 continued by its mirror image."""
    size = np.abs(signal)
    scene = np.where(size <= 0.5, np.square(size) / 3, (np.exp((size - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    return np.asarray(np.copysign(_HLG_PEAK * scene**_HLG_GAMMA, signal), np.float64)


def _sampled(light_of: Callable[[Float64], Float64]) -> Curve:
    peak = float(_coded(light_of(np.ones(1)))[0])
    signal = np.linspace(*_SPAN, _SAMPLES)
    coded = _coded(light_of(signal))
    shown = np.where(coded <= _KNEE, coded, _KNEE + _shoulder(np.maximum(coded - _KNEE, 0), peak - _KNEE))
    first, last = float(shown[0]), float(shown[-1])
    back = np.interp(np.linspace(first, last, _SAMPLES), shown, signal)
    return Curve(_frozen(*_SPAN, shown), _frozen(first, last, back))


def _frozen(start: float, stop: float, values: Float64) -> Samples:
    samples = Samples(start, stop, values.astype(np.float32))
    samples.values.flags.writeable = False  # shared by the cache
    return samples


def _coded(light: Float64) -> Float64:
    """The signal of standard dynamic range: 1 for paper white."""
    return np.asarray(np.copysign(np.abs(light / _PAPER_WHITE) ** (1 / _DISPLAY_GAMMA), light), np.float64)


def _shoulder(above: Float64, peak: float) -> Float64:
    """A logarithm, scale * log(1 + above / scale): slope 1 at 0, and at `peak` all that is left above the knee."""
    low, high = 1e-3, 1.0
    for _ in range(60):  # the value at the peak rises with the scale
        scale = (low + high) / 2
        low, high = (scale, high) if scale * np.log1p(peak / scale) < 1 - _KNEE else (low, scale)
    return np.asarray(scale * np.log1p(above / scale), np.float64)
