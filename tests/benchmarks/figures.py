"""What a benchmark reports: values with their bars, and what was measured beside them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Value:
    """One measured number.

    Attributes:
        name: what it is, in words.
        value: None: could not be measured (the row's note says why).
        unit: ``µs``, ``s``, ``MB``, ``/s``, ``×`` (a ratio), ``ms`` …
        most, least: the bar it should stay under, or reach; None: reported only.
        spread: (lower, upper) quartile over the blocks, if there were blocks.
    """

    name: str
    value: float | None
    unit: str
    most: float | None = None
    least: float | None = None
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without a bar or a value."""
        if self.value is None or (self.most is None and self.least is None):
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def bar(self) -> str:
        """The bar in words; empty without one."""
        if self.most is not None:
            return f"≤ {number(self.most)} {self.unit}"
        return f"≥ {number(self.least)} {self.unit}" if self.least is not None else ""

    @property
    def words(self) -> str:
        """Value, unit and quartiles."""
        if self.value is None:
            return "not measured"
        text = f"{number(self.value)} {self.unit}"
        return f"{text} ({number(self.spread[0])} to {number(self.spread[1])})" if self.spread else text

    @property
    def miss(self) -> str:
        """By how much the bar is missed; empty if it is not."""
        if self.met is not False or self.value is None:
            return ""
        if self.most is not None:
            return f"missed by {100 * (self.value / self.most - 1):.1f} %"
        return f"missed by {100 * (1 - self.value / (self.least or 1.0)):.1f} %"


@dataclasses.dataclass(frozen=True)
class Row:
    """What one benchmark found.

    Attributes:
        what: the question.
        how: how it was measured, in a sentence or two.
        values: what has a bar.
        beside: the same for what one would use otherwise, and numbers that explain the first.
        note: what went differently than planned.
    """

    what: str
    how: str
    values: list[Value]
    beside: list[Value] = dataclasses.field(default_factory=list)
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        """The row that `to_json` wrote."""
        values, beside = ([_value(v) for v in data[k]] for k in ("values", "beside"))
        return cls(data["what"], data["how"], values, beside, data["note"])


def _value(data: dict[str, Any]) -> Value:
    return Value(**{**data, "spread": tuple(data["spread"]) if data["spread"] else None})


def of(name: str, samples: Iterable[float], unit: str, **bar: float) -> Value:
    """The median of samples, with quartiles."""
    found = sorted(samples)
    if len(found) < 2:
        return Value(name, found[0] if found else None, unit, **bar)
    low, middle, high = statistics.quantiles(found, n=4, method="inclusive")
    return Value(name, middle, unit, spread=(low, high), **bar)


def number(value: float | None) -> str:
    """Three digits that count; ratios near 1 keep three decimals."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if 0.5 <= abs(value) < 2:
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
