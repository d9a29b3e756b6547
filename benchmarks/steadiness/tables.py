"""The figures of all runs as Markdown: the ablation, each clip, and the bars of what steadying has to reach."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.steadiness.trial import Lag
from gpen_video.measure.figures import Figures

_COLUMNS = (
    "",
    "jitter, still head",
    "flicker, still head",
    "warping error, moving head",
    "PSNR, dB",
    "SSIM",
    "seam",
    "crop off: mean / 95 % / max",
    "lag",
    "switches",
)
_BEGIN, _END = "<!-- begin: made by benchmarks/steadiness -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One clip through one variant."""

    clip: str
    kind: str
    variant: str
    figures: Figures
    lag: Lag | None
    switches: int | None


@dataclass(frozen=True, slots=True)
class Bar:
    """What everything together has to reach against nothing."""

    text: str
    limit: str
    value: float | None
    passed: bool | None


def tables(outcomes: Sequence[Outcome], plain: str, everything: str) -> Iterator[str]:
    """Ablation, bars, clips."""
    names = list(dict.fromkeys(outcome.variant for outcome in outcomes))
    yield from _ablation(outcomes, names, plain)
    if plain in names and everything in names:
        yield ""
        yield from _bars(outcomes, plain, everything)
    yield ""
    yield from _clips(outcomes)


def page_with(page: str, text: str) -> str:
    """The page with its made part replaced.

    Raises:
        ValueError: The page has no such part.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the page has no part to put the tables into")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _ablation(outcomes: Sequence[Outcome], names: Sequence[str], plain: str) -> Iterator[str]:
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|" + "---|" * len(_COLUMNS)
    for name in names:
        cells = [
            _with_ratio(outcomes, "jitter", ("still",), name, plain),
            _with_ratio(outcomes, "flicker_result", ("still",), name, plain),
            _with_ratio(outcomes, "warping_error", ("moving", "real"), name, plain),
            _number(_mean(outcomes, "psnr", _ALL, name), ".2f"),
            _number(_mean(outcomes, "ssim", _ALL, name), ".4f"),
            _number(_mean(outcomes, "seam", _ALL, name), ".4f"),
            *_lag_texts(_lag(outcomes, name)),
            _number(_switches(outcomes, name), ".0f"),
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    source = (
        _number(_mean(outcomes, f"{figure}_source", _ALL, names[0]), fmt)
        for figure, fmt in (("psnr", ".2f"), ("ssim", ".4f"))
    )
    still = [
        _number(_mean(outcomes, figure, ("still",), names[0]), ".5f") for figure in ("jitter_source", "flicker_source")
    ]
    moving = _number(_mean(outcomes, "warping_error_source", ("moving", "real"), names[0]), ".6f")
    yield f"| the damaged film | {' | '.join((*still, moving, *source))} | | | | |"


def _bars(outcomes: Sequence[Outcome], plain: str, everything: str) -> Iterator[str]:
    yield f"| {everything} against {plain} | at most | is | |"
    yield "|---|---|---|---|"
    for bar in _judged(outcomes, plain, everything):
        verdict = "" if bar.passed is None else "pass" if bar.passed else "FAIL"
        yield f"| {bar.text} | {bar.limit} | {_number(bar.value, '.3f')} | {verdict} |"


def _judged(outcomes: Sequence[Outcome], plain: str, everything: str) -> Iterator[Bar]:
    def ratio(text: str, figure: str, kinds: Sequence[str], limit: float) -> Bar:
        value = _ratio(_mean(outcomes, figure, kinds, everything), _mean(outcomes, figure, kinds, plain))
        return Bar(text, f"{limit:g} x", value, None if value is None else value <= limit)

    yield ratio("landmark jitter of the restored face on a still head", "jitter", ("still",), 0.25)
    yield ratio("flicker inside the mask on a still head with fresh noise", "flicker_result", ("still",), 0.4)
    yield ratio("warping error on moving heads", "warping_error", ("moving", "real"), 0.7)
    gain = _minus(_mean(outcomes, "psnr", _ALL, everything), _mean(outcomes, "psnr", _ALL, plain))
    yield Bar("PSNR to the truth, gained", "not lower", gain, None if gain is None else gain >= 0)
    lag = _lag(outcomes, everything)
    behind = lag.behind if lag is not None else None
    within = None if behind is None else behind <= 1
    yield Bar("lag of the smoothed landmarks on a fast move", "1 pixel of 256", behind, within)
    switches = _switches(outcomes, everything)
    steady = None if switches is None else switches == 0
    yield Bar("identity switches on two-person clips", "none", switches, steady)


def _clips(outcomes: Sequence[Outcome]) -> Iterator[str]:
    columns: dict[str, str] = {
        "jitter": ".5f",
        "flicker_result": ".5f",
        "warping_error": ".6f",
        "identity_source": ".4f",
        "seam": ".4f",
        "psnr": ".2f",
        "ssim": ".4f",
    }
    yield f"| clip | variant | {' | '.join(columns)} |"
    yield "|---|---|" + "---|" * len(columns)
    for outcome in outcomes:
        cells = (_number(outcome.figures[name], fmt) for name, fmt in columns.items())
        yield f"| {outcome.clip} ({outcome.kind}) | {outcome.variant} | {' | '.join(cells)} |"


_ALL = ("still", "moving", "fast", "crossing", "real")


def _chosen(outcomes: Sequence[Outcome], kinds: Sequence[str], variant: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.variant == variant and outcome.kind in kinds]


def _mean(outcomes: Sequence[Outcome], figure: str, kinds: Sequence[str], variant: str) -> float | None:
    """Over the clips of some kinds."""
    values = [outcome.figures[figure] for outcome in _chosen(outcomes, kinds, variant)]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _lag(outcomes: Sequence[Outcome], variant: str) -> Lag | None:
    return next((outcome.lag for outcome in outcomes if outcome.variant == variant and outcome.lag is not None), None)


def _switches(outcomes: Sequence[Outcome], variant: str) -> float | None:
    counts = [outcome.switches for outcome in outcomes if outcome.variant == variant and outcome.switches is not None]
    return float(sum(counts)) if counts else None


def _with_ratio(outcomes: Sequence[Outcome], figure: str, kinds: Sequence[str], name: str, plain: str) -> str:
    value = _mean(outcomes, figure, kinds, name)
    ratio = _ratio(value, _mean(outcomes, figure, kinds, plain))
    return _number(value, ".6f" if figure == "warping_error" else ".5f") + (
        "" if ratio is None else f" ({ratio:.2f} x)"
    )


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _number(value: float | None, fmt: str) -> str:
    return "" if value is None else format(value, fmt)


def _lag_texts(lag: Lag | None) -> tuple[str, str]:
    if lag is None:
        return "", ""
    return f"{lag.mean:.2f} / {lag.most_95:.2f} / {lag.largest:.2f}", f"{lag.behind:.2f}"
