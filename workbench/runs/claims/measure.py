"""What a claim's metric says of runs: a value an arm and seed, and the paired differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from workbench.cards import Card, Claim, Comparison, InvalidValue, UnknownName, WorkbenchError
from workbench.runs.claims.verdicts import RULES
from workbench.runs.compose import parse
from workbench.runs.run import Run

GETS = ("run", "runs", "seeds", "seed")


@dataclass(frozen=True)
class Measured:
    """One comparison's numbers.

    Attributes:
        values: by arm, one a seed; empty where the metric compares the runs itself.
        differences: one a seed, the factor applied; `plain`: without the factor.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    differences: list[float | bool] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)


def function_of(found: Card, metric: str) -> tuple[Callable[[Any], Any] | None, str]:
    """The metric's function and the name of its parameter (see `Comparison.metric`); (None, "") for a signal.

    Raises:
        WorkbenchError: a module or function that is not there, or a parameter of another name.
    """
    if ":" not in metric:
        return None, ""
    module, _, name = metric.partition(":")
    dotted = f"{found.package}.{module.lstrip('.')}"
    try:
        function = getattr(import_module(dotted), name)
    except (ImportError, AttributeError) as error:
        raise WorkbenchError(f"The metric {metric} of {found.id} cannot be had: {error}.") from error
    names = list(inspect.signature(function).parameters)
    if not names or names[0] not in GETS:
        raise InvalidValue(f"{dotted}.{name} must take one of {', '.join(GETS)} as its first parameter, not {names}.")
    return function, names[0]


def arm_of(text: str) -> tuple[str | None, dict[str, Any]]:
    """An arm as claims write it, ``"fixed decay=0.9"``, as its name (None: the defaults) and its overrides."""
    words = text.split()
    name = words.pop(0) if words and "=" not in words[0] else None
    return name, parse(words)


def check_claim(found: Card, claim: Claim) -> None:
    """Refuse a claim that could not be judged: unknown arms, signals, rules; too few seeds.

    Raises:
        UnknownName, InvalidValue, WorkbenchError: in one sentence that names card and claim.
    """
    where = f"the claim {found.id} {claim.id}"
    found.preset(claim.preset)
    if len(set(claim.seeds)) != len(claim.seeds) or not claim.seeds:
        raise InvalidValue(f"{where} needs seeds, each named once; got {claim.seeds}.")
    if claim.quick and claim.arms:
        raise InvalidValue(f"{where} is quick and names arms; a quick claim is a function of 'seed' without runs.")
    for comparison in claim.comparisons:
        if comparison.rule not in RULES:
            raise UnknownName("rule", comparison.rule, RULES, where=where)
        if comparison.direction not in ("lower", "higher"):
            raise InvalidValue(f"The direction of {where} is lower or higher; got {comparison.direction!r}.")
        for text in comparison.arms:
            name, _ = arm_of(text)
            if name is not None:
                found.arm(name)
        function, gets = function_of(found, comparison.metric)
        if function is None:
            signal = found.signal(comparison.metric)
            if signal is None:
                raise UnknownName("signal", comparison.metric, (s.name for s in found.signals), where=where)
            if signal.shape != "scalar":
                raise InvalidValue(f"{where} compares {signal.name}, which is no scalar; write a function of 'run'.")
        if (gets == "seed") != (not comparison.arms):
            raise InvalidValue(f"{where}: a function of 'seed' goes without arms, everything else with them.")
        if comparison.rule == "exact" and function is None:
            raise InvalidValue(f"{where} is exact, so its metric must be a function that returns True or False.")
        if comparison.rule == "count" and not 1 <= comparison.count <= len(claim.seeds):
            raise InvalidValue(f"{where} counts seeds: count must be 1 to {len(claim.seeds)}; got {comparison.count}.")
        if comparison.rule in ("interval", "se") and (len(claim.seeds) < 2 or gets == "seeds"):
            raise InvalidValue(f"{where} judges by a spread, so it needs two seeds and a value for each of them.")


def measure(found: Card, comparison: Comparison, runs: Sequence[Sequence[Run]]) -> Measured:
    """The numbers of a comparison with arms; `runs`: for each seed, its runs in the order of the arms.

    Raises:
        WorkbenchError: a run did not record the metric; the text names it.
    """
    function, gets = function_of(found, comparison.metric)
    if function is not None and gets == "seeds":
        value = _checked(function(runs), comparison, f"{found.id}, all runs")
        return Measured({}, [value], [float(value)])
    if function is not None and gets == "runs":
        found_values = [_checked(function(list(row)), comparison, row[0].id) for row in runs]
        return Measured({}, list(found_values), [float(v) for v in found_values])
    each = function or (lambda run: last(run, comparison.metric))
    columns = list(zip(*([_checked(each(run), comparison, run.id) for run in row] for row in runs), strict=True))
    values = {arm: [float(v) for v in column] for arm, column in zip(comparison.arms, columns, strict=True)}
    first, *others = columns
    if not others:
        return Measured(values, list(first), [float(v) for v in first])
    best = min if comparison.direction == "lower" else max
    rivals = [best(row) for row in zip(*others, strict=True)]
    return Measured(
        values,
        [float(a) - comparison.factor * float(b) for a, b in zip(first, rivals, strict=True)],
        [float(a) - float(b) for a, b in zip(first, rivals, strict=True)],
    )


def last(run: Run, signal: str) -> float:
    """The last recorded value of a scalar signal; `UnknownName` if there is none."""
    values = run[signal].values
    if not len(values):
        raise WorkbenchError(f"{run.id} recorded no value of {signal}.")
    return float(values[-1])


def without_runs(found: Card, comparison: Comparison, seeds: Sequence[int]) -> Measured:
    """The numbers of a comparison without arms: its function of ``seed``, here and now."""
    function, _ = function_of(found, comparison.metric)
    assert function is not None
    return from_values(comparison, {seed: function(seed) for seed in seeds}, seeds, found.id)


def from_values(comparison: Comparison, values: Mapping[int, Any], seeds: Sequence[int], where: str) -> Measured:
    """The same from values that another process computed."""
    numbers = [_checked(values[seed], comparison, f"{where}, seed {seed}") for seed in seeds]
    return Measured({}, list(numbers), [float(v) for v in numbers])


def _checked(value: Any, comparison: Comparison, where: str) -> float | bool:
    """A metric's value as a plain number or truth value; the rule decides which it must be."""
    truth = type(value).__name__ in ("bool", "bool_")
    if comparison.rule == "exact" and not truth:
        raise InvalidValue(f"{comparison.metric} must return True or False (rule: exact), not {value!r} ({where}).")
    if truth:
        return bool(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidValue(f"{comparison.metric} must return a number; got {value!r} ({where}).") from None
