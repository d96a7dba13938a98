"""From the differences of paired seeds to a verdict, by the rule that the card declared before anything ran."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.cards import Comparison, MissingData

REPRODUCED, PARTLY, NOT, INCONCLUSIVE = "reproduced", "partly", "not reproduced", "inconclusive"
VERDICTS = (REPRODUCED, PARTLY, NOT, INCONCLUSIVE)
RULES = ("interval", "se", "mean", "all_pairs", "count", "exact")
LEVEL = 0.9


@dataclass(frozen=True)
class Judged:
    """A verdict and what it rests on.

    Attributes:
        mean: of the differences, as measured (first arm minus the others, so below 0 where lower is better).
        low, high: two-sided 90 % t interval of that mean; None with fewer than two seeds.
        held: at how many seeds the difference alone is as claimed.
        why: a sentence where the verdict is inconclusive.
    """

    verdict: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    held: int = 0
    why: str = ""


def interval(differences: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Two-sided 90 % t interval of the mean of paired differences (at least two)."""
    try:
        from scipy.special import stdtrit  # Student's quantile alone; scipy.stats takes a second to import
    except ImportError:
        raise MissingData("Intervals need scipy: pip install 'balance-workbench[data]'.") from None
    values = np.asarray(differences, dtype=float)
    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * standard_error(values)
    return float(values.mean()) - half, float(values.mean()) + half


def standard_error(differences: Sequence[float] | np.ndarray) -> float:
    """Standard error of the mean of paired differences (at least two)."""
    values = np.asarray(differences, dtype=float)
    if (values == values[0]).all():
        return 0.0  # not the rounding error of the mean
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def judge(
    comparison: Comparison, differences: Sequence[float | bool], plain: Sequence[float] | None = None, *, declared: int
) -> Judged:
    """The verdict on one comparison.

    *Reproduced*: the rule holds. *Partly*: the mean has the claimed direction and the rule fails. *Not reproduced*: it
    has not. A rule that asks for exactness knows no partly.

    Args:
        differences: one a seed (one altogether from a function of ``seeds``), the factor applied.
        plain: the same without the factor, for the direction; default: `differences`.
        declared: how many seeds the card names; with more measured, `count` grows in proportion.
    """
    if not differences:
        return Judged(INCONCLUSIVE, why="Nothing was measured.")
    if comparison.rule == "exact":
        held = sum(d is True for d in differences)
        return Judged(REPRODUCED if held == len(differences) else NOT, held=held)
    raw = np.asarray(differences, dtype=float)
    if not np.isfinite(raw).all():
        return Judged(INCONCLUSIVE, why="A value is not finite.")
    sign = -1.0 if comparison.direction == "lower" else 1.0
    good = sign * raw
    direction = float((sign * np.asarray(raw if plain is None else plain, dtype=float)).mean())
    mean, floor = float(good.mean()), min(comparison.margin, 0.0)  # a negative margin asks for "not worse by"
    each = (good > floor) & (good >= comparison.margin)
    low, high = interval(raw) if len(raw) > 1 else (None, None)
    enough = mean > floor and mean >= comparison.margin
    if comparison.rule in ("interval", "se") and len(raw) < 2:
        return Judged(INCONCLUSIVE, float(raw.mean()), held=int(each.sum()), why="One seed has no spread.")
    match comparison.rule:
        case "interval":
            spread = (high if sign < 0 else low) or 0.0
            holds = enough and sign * spread > floor
        case "se":
            holds = enough and mean - floor > comparison.k * standard_error(raw)
        case "mean":
            holds = enough
        case "all_pairs":
            holds = bool(each.all())
        case "count":
            holds = int(each.sum()) >= math.ceil(comparison.count * len(raw) / max(declared, 1))
        case other:
            raise ValueError(f"There is no rule '{other}'.")
    verdict = REPRODUCED if holds else PARTLY if direction > floor else NOT
    return Judged(verdict, float(raw.mean()), low, high, int(each.sum()))


def together(verdicts: Sequence[str]) -> str:
    """The verdict on several comparisons: reproduced if all are, not reproduced if none has the direction."""
    if not verdicts or INCONCLUSIVE in verdicts:
        return INCONCLUSIVE
    return verdicts[0] if len(set(verdicts)) == 1 else PARTLY


def in_words(comparison: Comparison, declared: int) -> str:
    """The rule as a sentence, to be read beside the verdict."""
    way = "below" if comparison.direction == "lower" else "above"
    if comparison.rule == "exact":
        return f"{_metric(comparison)} is true for each of {declared} seeds"
    by = f" by at least {comparison.margin:g}" if comparison.margin > 0 else ""
    zero = f"{(-1 if way == 'below' else 1) * min(comparison.margin, 0.0) + 0.0:g}"
    limit = f"{way} {zero}{by}"
    of = f"({declared} seeds)"
    what = _what(comparison)
    match comparison.rule:
        case "interval":
            return f"mean of {what} {limit}, two-sided 90 % paired t interval {way} {zero} {of}"
        case "se":
            return f"mean of {what} {limit} and more than {comparison.k:g} standard errors {way} {zero} {of}"
        case "mean":
            return f"mean of {what} {limit} {of}"
        case "count":
            return f"{what} {limit} for at least {comparison.count} of {declared} seeds"
        case _:
            return f"{what} {limit} for each of {declared} seeds"


def _metric(comparison: Comparison) -> str:
    return comparison.metric.rpartition(":")[2]


def _what(comparison: Comparison) -> str:
    """What the differences are of, as in "clean_err of fast − vanilla"."""
    if len(comparison.arms) < 2:
        return f"{_metric(comparison)}{f' of {comparison.arms[0]}' if comparison.arms else ''}"
    first, *others = comparison.arms
    best = "" if len(others) == 1 else f"the {'lowest' if comparison.direction == 'lower' else 'highest'} of "
    factor = "" if comparison.factor == 1 else f"{comparison.factor:g} × "
    return f"{_metric(comparison)}, {first} − {factor}{best}{', '.join(others)},"
