"""Rules and ramps: what a run's configuration says shall be set when something happens, as plain data.

``rules: [{when: {finding: spike}, then: {epsilon: 0.05}}, {ramp: {control: optimizer.lr, to: 1e-4, over: 500}}]``
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.cards.controls import Control, canonical, check, flat
from workbench.cards.errors import InvalidValue, NotAllowed, UnknownName, WorkbenchError

#: Changes that a ramp is made of, at most.
POINTS = 100
#: Steps between two firings of a rule that may fire more than once, if it does not say.
COOLDOWN = 100
_CONDITIONS = ("finding", "step", "signal", "above", "below", "for_steps")
_OPTIONS = ("every", "once", "cooldown")
_RAMP = ("control", "to", "over", "at")
_COMPARABLE = ("scalar", "vector", "matrix")


@dataclass(frozen=True)
class Ramp:
    """Move a control to `to` over `over` steps, beginning before step `at` (None: at once) where it stands then.

    Straight, or in equal ratios for a control with a logarithmic slider. The last change is exactly `to`.
    """

    control: str
    to: float
    over: int
    at: int | None = None

    def plain(self) -> dict[str, Any]:
        """As it stands in a run's configuration."""
        at = {} if self.at is None else {"at": self.at}
        return {"ramp": {"control": self.control, "to": self.to, "over": self.over, **at}}

    @property
    def text(self) -> str:
        """In words."""
        start = "" if self.at is None else f" from step {self.at:,}"
        return f"ramp of {self.control} to {self.to:g} over {self.over:,} steps{start}"


@dataclass(frozen=True)
class Rule:
    """When something happens, then set values (or begin a ramp). Made by `when`, which says what the fields mean."""

    then: Mapping[str, Any] | Ramp
    finding: str = ""
    step: int | None = None
    signal: str = ""
    above: float | None = None
    below: float | None = None
    for_steps: int = 1
    every: int = 1
    once: bool = True
    cooldown: int = COOLDOWN

    def plain(self) -> dict[str, Any]:
        """As it stands in a run's configuration: what differs from the defaults."""
        when: dict[str, Any]
        options: dict[str, Any] = {}
        if self.step is not None:
            when = {"step": self.step}
        else:
            limit = {"below": self.below} if self.above is None else {"above": self.above}
            lasting = {"for_steps": self.for_steps} if self.for_steps != 1 else {}
            when = {"finding": self.finding} if self.finding else {"signal": self.signal, **limit, **lasting}
            options = {"every": self.every}
        if not self.once:
            options |= {"once": False, "cooldown": self.cooldown}
        return {"when": when, "then": self.then.plain() if isinstance(self.then, Ramp) else dict(self.then), **options}

    @property
    def text(self) -> str:
        """What it waits for, in words."""
        if self.step is not None:
            return f"at step {self.step:,}"
        if self.finding:
            return f"when {self.finding} is found"
        limit = f"below {self.below:g}" if self.above is None else f"above {self.above:g}"
        lasting = f" for {self.for_steps:,} steps" if self.for_steps > 1 else ""
        return f"when {self.signal} is {limit}{lasting}"


def when(
    *,
    then: Mapping[str, Any] | Ramp,
    finding: str = "",
    step: int | None = None,
    signal: str = "",
    above: float | None = None,
    below: float | None = None,
    for_steps: int = 1,
    every: int | None = None,
    once: bool = True,
    cooldown: int | None = None,
) -> Rule:
    """A rule for a run's configuration: ``when(finding="exploded_bounds", then=set(epsilon=0.05))``.

    Args:
        then: values, as `set` takes them, or a `ramp` without `at`.
        finding: id of a detector; the rule fires when a finding of it opens.
        step: fires before this step.
        signal: fires when the signal lies `above` or `below` a number and has done so for `for_steps` steps (of a
            vector or matrix: when any of its components does).
        every: steps between two looks at the detector or threshold (default 10 and 1). Nothing that was recorded
            between them is missed.
        once: False: it may fire again, but not within `cooldown` (default 100) steps.

    Raises:
        InvalidValue: not exactly one of finding, step and signal, or an option that does not go with it.
    """
    conditions = {"finding": finding, "step": step is not None, "signal": signal}
    given = [name for name, is_given in conditions.items() if is_given]
    if len(given) != 1:
        got = f"it has {' and '.join(given)}" if given else "it has none"
        raise InvalidValue(f"when takes exactly one of finding, step and signal; {got}.")
    if given != ["step"]:
        _name(given[0], finding or signal)
    if not isinstance(once, bool):
        raise InvalidValue(f"once must be true or false; got {once!r}.")
    if not signal and (above is not None or below is not None or for_steps != 1):
        raise InvalidValue("above, below and for_steps go with a signal.")
    if signal and (above is None) == (below is None):
        raise InvalidValue("A signal goes with either above or below and a number, as in signal=loss, above=3.")
    if step is not None and (every is not None or not once):
        raise InvalidValue("A rule for a step is looked at there and fires once; every and once do not go with it.")
    if cooldown is not None and once:
        raise InvalidValue("cooldown goes with once=False: a rule that fires once needs none.")
    return Rule(
        then=_then(then),
        finding=finding,
        step=None if step is None else whole("step", step, 0),
        signal=signal,
        above=None if above is None else _number("above", above),
        below=None if below is None else _number("below", below),
        for_steps=whole("for_steps", for_steps, 1),
        every=(10 if finding else 1) if every is None else whole("every", every, 1),
        once=once,
        cooldown=COOLDOWN if cooldown is None else whole("cooldown", cooldown, 1),
    )


def ramp(control: str, to: float, over: int, at: int | None = None) -> Ramp:
    """A ramp for a run's configuration: ``ramp("optimizer.lr", to=1e-4, over=500)``; from its start, or from step `at`.

    Raises `InvalidValue` for a length below 1 step or a target that is no number.
    """
    number = _number("to", to)
    return Ramp(
        _name("control", control),
        int(number) if isinstance(to, int) else number,
        whole("over", over, 1),
        None if at is None else whole("at", at, 0),
    )


def set(values: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
    """What a rule sets: ``set(epsilon=0.05)``, ``set({"optimizer.lr": 1e-4})``; plain data, moved together."""
    return {**(values or {}), **more}


def _then(value: Any) -> dict[str, Any] | Ramp:
    if isinstance(value, Mapping) and list(value) == ["ramp"] and isinstance(value["ramp"], Mapping):
        value = _ramp_of(value["ramp"], "then")
    if isinstance(value, Ramp):
        if value.at is not None:
            raise InvalidValue("A ramp that a rule begins takes no at: the rule says when.")
        return value
    if not isinstance(value, Mapping) or not value:
        raise InvalidValue(f"then takes the values to set, as in epsilon=0.05, or a ramp; got {value!r}.")
    return flat(value)


def _name(what: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"{what} must be a name; got {value!r}.")
    return value


def whole(what: str, value: Any, least: int) -> int:
    """A whole number of at least `least`, or `InvalidValue` naming `what`."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not whole or isinstance(value, bool) or value < least:
        raise InvalidValue(f"{what} must be a whole number of at least {least}; got {value!r}.")
    return int(value)


def _number(what: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidValue(f"{what} must be a finite number; got {value!r}.")
    return number


# -- plain data -> rules ----------------------------------------------------------------------------------------------


def parse(declared: Any) -> list[Rule | Ramp]:
    """Rules and ramps from plain data (or made by `when` and `ramp`), checked for their form alone.

    Raises:
        UnknownName: a word that no rule has.
        InvalidValue: anything else; the text says which rule and what to write.
    """
    single = isinstance(declared, Rule | Ramp | Mapping)
    if not single and (isinstance(declared, str) or not isinstance(declared, Iterable)):
        raise InvalidValue(
            f"rules is a list, as in rules=[{{when:{{step:500}},then:{{epsilon:0.1}}}}]; got {_short(declared)}."
        )
    return [_parse(entry, number) for number, entry in enumerate([declared] if single else declared, 1)]


def _parse(entry: Any, number: int) -> Rule | Ramp:
    if isinstance(entry, Rule | Ramp):
        return entry
    where = f"rule {number}"
    with _named(number):
        if isinstance(entry, Mapping) and "ramp" in entry:
            _only(entry, ("ramp",), where)
            return _ramp_of(entry["ramp"], where)
        if not isinstance(entry, Mapping) or not isinstance(entry.get("when"), Mapping) or "then" not in entry:
            raise InvalidValue(f"it must read {{when: {{…}}, then: {{…}}}} or {{ramp: {{…}}}}; got {_short(entry)}.")
        _only(entry, ("when", "then", *_OPTIONS), where)
        if misplaced := [name for name in entry["when"] if name in _OPTIONS]:
            raise InvalidValue(f"{misplaced[0]} stands beside when and then, not inside when.")
        _only(entry["when"], _CONDITIONS, f"when of {where}")
        options = {name: entry[name] for name in _OPTIONS if name in entry}
        return when(**entry["when"], then=entry["then"], **options)


def _ramp_of(entry: Any, where: str) -> Ramp:
    if not isinstance(entry, Mapping):
        raise InvalidValue(f"a ramp must read {{control: …, to: …, over: …}}; got {_short(entry)}.")
    _only(entry, _RAMP, f"the ramp of {where}")
    if missing := [name for name in _RAMP[:3] if name not in entry]:
        raise InvalidValue(f"a ramp needs control, to and over; it lacks {' and '.join(missing)}.")
    return ramp(**entry)


def _only(entry: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in entry:
        if name not in known:
            raise UnknownName("word", str(name), known, where=where)


def _short(entry: Any) -> str:
    text = repr(entry)
    return text if len(text) < 80 else text[:77] + "…"


@contextlib.contextmanager
def _named(number: int) -> Iterator[None]:
    """Say in which rule a mistake is; unknown names say it themselves."""
    try:
        yield
    except UnknownName:
        raise
    except WorkbenchError as error:
        raise type(error)(f"In rule {number}: {error}") from None


# -- against what a run has -------------------------------------------------------------------------------------------


def check_rules(
    declared: Any,
    controls: Mapping[str, Control],
    *,
    findings: Iterable[str] | None = None,
    signals: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
) -> list[Rule | Ramp]:
    """Rules and ramps with full names and values in their controls' types.

    Args:
        declared: as `parse` takes them.
        controls: everything that may be set.
        findings: ids of the detectors there are; signals: name → shape. None: not checked.
        values: where the controls stand at the start, as far as that is known.

    Raises:
        UnknownName: a control, finding or signal that does not exist (the nearest is suggested).
        InvalidValue: a value out of range, a ramp of something that is no number or through 0 on a logarithmic scale.
        NotAllowed: a control that is decided at launch, or a ramp of one that waits for a stage.
    """
    findings = None if findings is None else sorted(findings)
    out: list[Rule | Ramp] = []
    for number, rule in enumerate(parse(declared), 1):
        where = f"rule {number}"
        with _named(number):
            if isinstance(rule, Ramp):
                out.append(check_ramp(rule, controls, values, where=where))
                continue
            if rule.finding and findings is not None and rule.finding not in findings:
                raise UnknownName("finding", rule.finding, findings, where=where)
            if rule.signal and signals is not None:
                _check_signal(rule.signal, signals, where)
            out.append(_with(rule, _check_then(rule.then, controls, where)))
    return out


def _with(rule: Rule, then: Mapping[str, Any] | Ramp) -> Rule:
    return Rule(**{**vars(rule), "then": then})


def _check_signal(name: str, signals: Mapping[str, str], where: str) -> None:
    if name not in signals:
        raise UnknownName("signal", name, signals, where=where)
    if signals[name] not in _COMPARABLE:
        raise InvalidValue(f"the signal {name} is {signals[name]}, which lies neither above nor below a number.")


def _check_then(then: Mapping[str, Any] | Ramp, controls: Mapping[str, Control], where: str) -> dict[str, Any] | Ramp:
    if isinstance(then, Ramp):
        return check_ramp(then, controls, where=where)
    checked = check(controls, then, where=where)
    for name, value in checked.items():
        if controls[name].when == "launch":
            raise NotAllowed(
                f"{name} is decided at launch and cannot move while the run trains; start the run with {name}={value}."
            )
    return checked


def check_ramp(
    ramp: Ramp, controls: Mapping[str, Control], values: Mapping[str, Any] | None = None, *, where: str = ""
) -> Ramp:
    """The ramp with its full name and its target in the control's type; `values`: where controls stand, if known.

    Raises as `check_rules` does.
    """
    name = ramp.control if ramp.control in controls else canonical(ramp.control)
    if name not in controls:
        raise UnknownName("control", ramp.control, controls, where=where)
    control = controls[name]
    if control.kind not in ("float", "int"):
        raise InvalidValue(f"{name} is no number, so it has no ramp; use when(step=…) to set it.")
    if control.when == "launch":
        raise NotAllowed(f"{name} is decided at launch and cannot move while the run trains, so it has no ramp.")
    if control.when == "stage":
        raise NotAllowed(
            f"{name} moves with the next {control.stage} only, so it has no ramp; use when(step=…) to set it."
        )
    if control.scale != "linear":
        for end, at in (("to", ramp.to), ("from", (values or {}).get(name))):
            if at is not None and at <= 0:
                raise InvalidValue(
                    f"{name} has a logarithmic scale, where a ramp runs in equal ratios and cannot go {end} {at:g}; "
                    f"choose numbers above 0."
                )
    return Ramp(name, control.check(ramp.to), ramp.over, ramp.at)


def course(control: Control, start: float, to: float, over: int, points: int = POINTS) -> dict[int, float]:
    """The changes that a ramp from `start` is made of: steps after its begin → value.

    One a step, or `points` spread evenly if `over` is larger; the last is `to`. Straight; with a logarithmic scale in
    equal ratios (straight all the same where it starts at 0 or below). Whole numbers are rounded and not repeated.
    """
    ratios = control.scale != "linear" and start > 0 and to > 0
    number, last, out = min(over, points), start, {}
    for i in range(1, number + 1):
        after = (2 * i * over + number) // (2 * number)  # rounded
        share = after / over
        value = to if i == number else start * (to / start) ** share if ratios else start + (to - start) * share
        value = min(max(value, min(start, to)), max(start, to))  # rounding must not leave the range
        value = math.floor(value + 0.5) if control.kind == "int" else float(value)
        if value != last:
            out[after] = last = value
    return out


def key(rule: Rule | Ramp) -> str:
    """Identity of a rule over saving and loading: its plain data as text."""
    return json.dumps(rule.plain(), sort_keys=True)
