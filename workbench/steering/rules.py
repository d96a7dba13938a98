"""Rules at work: on the training thread, at boundaries, from what was recorded alone, so that they repeat exactly."""

from __future__ import annotations

import bisect
import copy
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.cards.controls import Control
from workbench.cards.rules import Ramp, Rule, check_rules, course, key
from workbench.detectors import Detector, Detectors, generic

_MOST_ROWS = 256  # kept for the next look; a detector may take them sooner, findings don't depend on the cut


@dataclass(frozen=True)
class Firing:
    """What a rule sets now: values by control, and the rule in words."""

    values: dict[str, Any]
    label: str


class Rules:
    """The rules of one run; an ended or empty set of them is false, and costs nothing.

    At each boundary before step s: `observe(s - 1, row)` when step s - 1 is closed, then the checkpoint if one is due,
    then `due(s)`, then the commands, with `control_changed` for each that took effect.

    Args:
        declared: as in the configuration, or made by `when` and `ramp`.
        controls: everything that may be set.
        detectors: fresh ones, copied for the rules that name them; a rule may also name any generic detector.
        values: where the controls stand before the first step (default: at their defaults). Detectors see them.

    Raises:
        WorkbenchError: as `workbench.cards.rules.check_rules`.
    """

    def __init__(
        self,
        declared: Any,
        controls: Mapping[str, Control],
        detectors: Iterable[Detector] = (),
        values: Mapping[str, Any] | None = None,
    ) -> None:
        known: dict[str, Detector | type[Detector]] = {**generic(), **{d.id: d for d in detectors}}
        starts = {**{name: control.default for name, control in controls.items()}, **(values or {})}
        self._controls = controls
        self._triggers: list[_Trigger] = []
        for rule in check_rules(declared, controls, findings=known, values=starts):
            if isinstance(rule, Ramp):
                rule = Rule(then=rule, step=rule.at or 0)
            if rule.finding:
                self._triggers.append(_Finding(rule, _fresh(known[rule.finding])))
            else:
                self._triggers.append(_Step(rule) if rule.step is not None else _Threshold(rule))
        self._ramps: list[_Running] = []
        ramped = {t.rule.then.control for t in self._triggers if isinstance(t.rule.then, Ramp)}
        self._values = {name: starts[name] for name in ramped}
        self._sort()
        for trigger in self._watching:
            trigger.moved(0, starts)

    def __bool__(self) -> bool:
        """Whether anything can still fire."""
        return bool(self._active or self._ramps)

    def _sort(self) -> None:
        self._active = [trigger for trigger in self._triggers if not trigger.spent]
        self._watching = [trigger for trigger in self._active if not isinstance(trigger, _Step)]

    def observe(self, step: int, row: Mapping[str, Any]) -> None:
        """Take what was emitted in `step`: numbers, arrays, text, tensors on any device; what is needed is kept."""
        for trigger in self._watching:
            trigger.observe(step, row)

    def control_changed(self, step: int, values: Mapping[str, Any]) -> None:
        """Controls have these values from `step` on. A ramp of a control that somebody else moves ends there."""
        for trigger in self._watching:
            trigger.moved(step, values)
        self._ramps = [r for r in self._ramps if not self._overruled(r, step, values)]
        self._values.update({name: values[name] for name in values.keys() & self._values.keys()})

    def _overruled(self, running: _Running, step: int, values: Mapping[str, Any]) -> bool:
        """Whether these values are somebody else's, set after the ramp began."""
        name = running.ramp.control
        if name not in values or step <= running.start:
            return False
        # The ramp's own change of this step may have been recorded by an earlier attempt, and come before `due`.
        return values[name] not in (running.last, running.at(step, self._controls[name], self._values[name]))

    def due(self, step: int, asked: Callable[[], Collection[str]] = tuple) -> list[Firing]:
        """What is to be set before `step`, in order: rules as declared, then ramps that are under way.

        `asked` gives the controls that somebody else's commands set at this very boundary: a ramp gives way to a hand.
        It is called only when a ramp is about to move something. Asked again for the same step, nothing fires twice.
        """
        firings: list[Firing] = []
        if fired := [trigger for trigger in self._active if trigger.look(step)]:
            for trigger in fired:
                then = trigger.rule.then
                moved = {then.control} if isinstance(then, Ramp) else then.keys()
                self._ramps = [r for r in self._ramps if r.ramp.control not in moved]
                if isinstance(then, Ramp):
                    self._ramps.append(_Running(then, trigger, step))
                else:
                    firings.append(Firing(dict(then), trigger.rule.text))
            self._sort()
        if self._ramps:
            firings += self._moving(step, asked)
        return firings

    def _moving(self, step: int, asked: Callable[[], Collection[str]]) -> Iterator[Firing]:
        others: Collection[str] | None = None
        for running in tuple(self._ramps):
            name = running.ramp.control
            value = running.at(step, self._controls[name], self._values[name])
            if value is not None and value != running.last:
                others = asked() if others is None else others
                if name in others:
                    continue
                running.last = value
                yield Firing({name: value}, running.label)
            if step >= running.start + running.ramp.over:
                self._ramps.remove(running)

    def state_dict(self) -> dict[str, Any]:
        """Where every rule stands, as plain JSON data."""
        return {
            "rules": [[key(trigger.rule), trigger.state_dict()] for trigger in self._triggers],
            "ramps": [[self._triggers.index(r.trigger), r.start, r.origin, r.last] for r in self._ramps],
            "values": dict(self._values),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; rules that it does not know start afresh."""
        saved = list(enumerate(state.get("rules", ())))
        places: dict[int, _Trigger] = {}
        for trigger in self._triggers:
            entry = next((e for e in saved if e[1][0] == key(trigger.rule)), None)
            if entry is not None:
                saved.remove(entry)
                places[entry[0]] = trigger
                trigger.load_state_dict(entry[1][1])
        self._ramps = []
        for place, start, origin, last in state.get("ramps", ()):
            if place in places and isinstance(ramp := places[place].rule.then, Ramp):
                self._ramps.append(_Running(ramp, places[place], start, origin, last))
        self._values.update({n: v for n, v in state.get("values", {}).items() if n in self._values})
        self._sort()


def _fresh(known: Detector | type[Detector]) -> Detector:
    return known() if isinstance(known, type) else copy.deepcopy(known)


# -- what rules wait for ----------------------------------------------------------------------------------------------


class _Trigger:
    """Base: one rule and when it last fired. `look` is asked before every step and says whether it fires there."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.last: int | None = None

    @property
    def spent(self) -> bool:
        return self.rule.once and self.last is not None

    def observe(self, step: int, row: Mapping[str, Any]) -> None:
        """Keep what is needed of a closed step."""

    def moved(self, step: int, values: Mapping[str, Any]) -> None:
        """Keep what is needed of controls that have new values from `step` on."""

    def look(self, step: int) -> bool:
        raise NotImplementedError

    def _fires(self, step: int) -> bool:
        if self.last is not None and (self.rule.once or step - self.last < self.rule.cooldown):
            return False
        self.last = step
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"last": self.last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.last = state["last"]


class _Step(_Trigger):
    def look(self, step: int) -> bool:
        return step == self.rule.step and self._fires(step)


class _Watching(_Trigger):
    """Base: collects values for the next look; `hit` once they have shown what the rule waits for."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.rows: list[tuple[int, Any]] = []
        self.hit = False

    def take(self) -> None:
        """Go through the collected values."""
        raise NotImplementedError

    def keep(self, step: int, values: Any) -> None:
        self.rows.append((step, values))
        if len(self.rows) >= _MOST_ROWS:
            self.take()

    def look(self, step: int) -> bool:
        if step % self.rule.every:
            return False
        if self.rows:
            self.take()
        hit, self.hit = self.hit, False
        return hit and self._fires(step)

    def state_dict(self) -> dict[str, Any]:
        self.take()
        return {**super().state_dict(), "hit": self.hit}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.rows, self.hit = [], state["hit"]


class _Threshold(_Watching):
    """A signal above or below a number, for so many steps without a value that is not."""

    since: int | None = None

    def observe(self, step: int, row: Mapping[str, Any]) -> None:
        if (value := row.get(self.rule.signal)) is not None:
            self.keep(step, value)

    def take(self) -> None:
        rows, self.rows = self.rows, []
        for step, value in rows:
            if type(value) is not float:
                value = _array(value)
                if value is None:
                    continue
            if not self._holds(value):
                self.since = None
                continue
            if self.since is None:
                self.since = step
            self.hit |= step - self.since + 1 >= self.rule.for_steps

    def _holds(self, value: Any) -> bool:
        """Whether a number, or any component of an array, lies on the side in question; NaN lies on none."""
        held = value > self.rule.above if self.rule.above is not None else value < self.rule.below
        return held if isinstance(held, bool) else bool(held.any())

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "since": self.since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.since = state["since"]


class _Finding(_Watching):
    """A detector of the rule's own, fed with the very values that the run's detectors get."""

    def __init__(self, rule: Rule, detector: Detector) -> None:
        super().__init__(rule)
        self.detector = detector
        self._guarded = Detectors([detector])
        self._exact = None if any(set("*?[") & set(need) for need in detector.needs) else detector.needs
        self.seen: list[str] = []

    def observe(self, step: int, row: Mapping[str, Any]) -> None:
        names = self._exact if self._exact is not None else [name for name in row if self.detector.wants(name)]
        if values := {name: row[name] for name in names if name in row}:
            self.keep(step, values)

    def moved(self, step: int, values: Mapping[str, Any]) -> None:
        self.observe(step, values)

    def take(self) -> None:
        rows = [(step, {n: a for n, v in row.items() if (a := _array(v)) is not None}) for step, row in self.rows]
        self.rows = []
        for shapes, group in itertools.groupby(rows, lambda row: [(n, a.shape, a.dtype) for n, a in row[1].items()]):
            block = list(group)
            columns = {name: np.stack([row[name] for _, row in block]) for name, _, _ in shapes}
            if columns:
                steps = np.array([step for step, _ in block], dtype=np.int64)
                for finding in self._guarded.update_block(steps, columns):
                    if finding.id == self.rule.finding and finding.key not in self.seen:
                        self.seen.append(finding.key)
                        self.hit = True

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "seen": list(self.seen), "detector": self.detector.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.seen = list(state["seen"])
        self.detector.load_state_dict(state["detector"])


@dataclass(eq=False)
class _Running:
    """A ramp under way since the boundary before `start`; `origin` is where it began, `last` what it set last."""

    ramp: Ramp
    trigger: _Trigger
    start: int
    origin: Any = None
    last: Any = None
    _steps: list[int] = field(default_factory=list)
    _values: list[Any] | None = None

    @property
    def label(self) -> str:
        """In words; with the reason, if a rule began it."""
        begun = "" if self.ramp.at is not None or self.trigger.rule.step == 0 else f", begun {self.trigger.rule.text}"
        return self.ramp.text + begun

    def at(self, step: int, control: Control, now: Any) -> Any:
        """The value that it has reached before `step`; None: it moves nothing yet. `now`: where the control stands."""
        if step <= self.start:
            return None
        if self.origin is None:  # what was set at the boundary of its start has taken effect by now
            self.origin = now
        if self._values is None:
            moves = course(control, self.origin, self.ramp.to, self.ramp.over)
            self._steps, self._values = list(moves), [None, *moves.values()]
        return self._values[bisect.bisect_right(self._steps, step - self.start)]


def _array(value: Any) -> np.ndarray | None:
    """What detectors get of a recorded value: float64 for a number, arrays as they are; None for text."""
    if isinstance(value, bool | int | float):
        return np.asarray(value, dtype=np.bool_ if isinstance(value, bool) else np.float64)
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        try:
            value = tensor.numpy()
        except TypeError:  # bfloat16 has no NumPy twin
            value = tensor.float().numpy()
    found = np.asarray(value)
    return found if found.dtype.kind in "fiub" else None
