"""Controls: the declared knobs of an experiment; slider, CLI help, validation and MLflow parameter follow from them."""

from __future__ import annotations

import dataclasses
import enum
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.cards.errors import InvalidValue, UnknownName, WorkbenchError

#: Roots of the configuration that belong to the workbench; no field of a method may carry one of these names.
RESERVED = ("seed", "arm", "preset", "run", "optimizer", "tracking", "rules", "experiment", "probes")
_KEY = "workbench.control"
_ALIASES = {"lr": "optimizer.lr", "weight_decay": "optimizer.weight_decay", "momentum": "optimizer.momentum"}


@dataclass(frozen=True)
class Control:
    """One knob, as declared by `control`.

    Attributes:
        name: dotted name from the root of the configuration, e.g. ``epsilon`` or ``optimizer.lr``.
        kind: ``float``, ``int``, ``bool``, ``choice`` or ``text``.
        min, max: inclusive range; `exclusive_min` makes the lower end open.
        scale: of the slider, ``linear``, ``log`` or ``log2``.
        when: ``live`` (next step), ``stage`` (next boundary of `stage`), ``launch`` (new run only).
        fork: a launch control that may change in a fork.
        hint: a sentence added to the refusal of a number out of range.
    """

    name: str
    kind: str
    default: Any
    min: float | None = None
    max: float | None = None
    scale: str = "linear"
    unit: str = ""
    when: str = "live"
    stage: str = ""
    choices: tuple[str, ...] = ()
    help: str = ""
    label: str = ""
    group: str = ""
    fork: bool = False
    step: float | None = None
    exclusive_min: bool = False
    hint: str = ""

    def check(self, value: Any) -> Any:
        """The value in this control's type; raises `InvalidValue` naming control, value and allowed range."""
        if self.kind == "bool":
            return self._bool(value)
        if self.kind == "choice":
            value = value.value if isinstance(value, enum.Enum) else value
            if str(value) not in self.choices:
                raise InvalidValue(f"{self.name} must be one of {', '.join(self.choices)}; got {value!r}.")
            return str(value)
        if self.kind == "text":
            if not isinstance(value, str):
                raise InvalidValue(f"{self.name} must be text; got {value!r}.")
            return value
        return self._number(value)

    def _bool(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, int | float) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.lower() in ("true", "false", "on", "off", "yes", "no"):
            return value.lower() in ("true", "on", "yes")
        raise InvalidValue(f"{self.name} must be true or false; got {value!r}.")

    def _number(self, value: Any) -> float | int:
        noun = "a whole number" if self.kind == "int" else "a number"
        if isinstance(value, bool):
            raise InvalidValue(f"{self.name} must be {noun} {self.range_text()}; got {value!r}.")
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise InvalidValue(f"{self.name} must be {noun} {self.range_text()}; got {value!r}.") from None
        if not math.isfinite(number):
            raise InvalidValue(f"{self.name} must be a finite number {self.range_text()}; got {value!r}.")
        if self.kind == "int" and number != int(number):
            raise InvalidValue(f"{self.name} must be a whole number {self.range_text()}; got {value!r}.")
        below = self.min is not None and (number < self.min or (self.exclusive_min and number == self.min))
        if below or (self.max is not None and number > self.max):
            raise InvalidValue(f"{self.name} must lie {self.range_text()}; got {value!r}.{self._hint(number)}")
        return int(number) if self.kind == "int" else number

    def _hint(self, number: float) -> str:
        if self.name.endswith("optimizer.lr") or self.name.endswith(".lr"):
            return " To stop learning for a while, pause the run." if number == 0 else ""
        return f" {self.hint}" if self.hint else ""

    def range_text(self) -> str:
        """The allowed range in words, e.g. ``between 0 and 0.5 pixel``."""
        unit = f" {self.unit}" if self.unit else ""
        if self.min is not None and self.max is not None:
            low = f"above {self.min:g} and at most" if self.exclusive_min else f"between {self.min:g} and"
            return f"{low} {self.max:g}{unit}"
        if self.min is not None:
            return f"{'above' if self.exclusive_min else 'of at least'} {self.min:g}{unit}"
        if self.max is not None:
            return f"of at most {self.max:g}{unit}"
        return "of any size"

    def when_text(self) -> str:
        """When a change takes effect, as shown beside the control."""
        return {"live": "live", "stage": f"next {self.stage}", "launch": "launch"}[self.when]


def control(
    default: Any,
    *,
    min: float | None = None,
    max: float | None = None,
    scale: str = "linear",
    unit: str = "",
    when: str = "live",
    stage: str = "",
    choices: Sequence[str] = (),
    help: str = "",
    label: str = "",
    group: str = "",
    fork: bool = False,
    step: float | None = None,
    exclusive_min: bool = False,
    hint: str = "",
) -> Any:
    """Declare a dataclass field as a control; see `Control` for the meaning of each argument.

    ``epsilon: float = control(0.1, min=0, max=0.5, unit="pixel", when="live", help="half-width of the box")``
    """
    if when not in ("live", "stage", "launch"):
        raise ValueError(f"when must be live, stage or launch; got {when!r}")
    if (when == "stage") != bool(stage):
        raise ValueError("when='stage' needs stage='epoch' or another stage's name, and only then")
    if scale not in ("linear", "log", "log2"):
        raise ValueError(f"scale must be linear, log or log2; got {scale!r}")
    spec = Control(
        name="", kind="", default=default, min=min, max=max, scale=scale, unit=unit, when=when, stage=stage,
        choices=tuple(choices), help=help, label=label, group=group, fork=fork, step=step, exclusive_min=exclusive_min,
        hint=hint,
    )  # fmt: skip
    return field(default=default, metadata={_KEY: spec})


@dataclass
class Optimizer:
    """Base of every optimizer's settings; live in every experiment, always named ``optimizer.lr`` and so on."""

    lr: float = control(
        1e-3, min=0, exclusive_min=True, max=10, scale="log", label="learning rate", group="Optimiser",
        help="base rate; a schedule goes on in proportion",
    )  # fmt: skip
    weight_decay: float = control(0.0, min=0, max=1, label="weight decay", group="Optimiser", help="decay of weights")


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent."""

    momentum: float = control(0.0, min=0, max=0.999, group="Optimiser", help="heavy-ball momentum")


@dataclass
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    beta1: float = control(0.9, min=0, max=0.9999, label="beta 1", group="Optimiser", help="decay of the first moment")
    beta2: float = control(
        0.999, min=0, max=0.99999, label="beta 2", group="Optimiser", help="decay of the second moment"
    )


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    weight_decay: float = control(0.01, min=0, max=1, label="weight decay", group="Optimiser", help="decoupled decay")


@dataclass
class Config:
    """Base of a method's configuration; fields declared with `control` become knobs, the rest launch-time constants."""

    steps: int = control(
        1000, min=1, max=10**9, scale="log", when="launch", fork=True, group="Run", help="training batches"
    )
    optimizer: Optimizer = field(default_factory=Optimizer)

    def validate(self) -> None:
        """Rules between fields; called on a copy before values are accepted. Raise `InvalidValue` to refuse."""


def controls_of(config: Any) -> dict[str, Control]:
    """Every control of a configuration (a dataclass or its type), by dotted name.

    The method's own come first, in order of declaration, then what every `Config` has: optimizer and length.
    """
    common = [f.name for f in reversed(dataclasses.fields(Config))]
    found = sorted(_walk(config, ""), key=lambda c: common.index(r) + 1 if (r := c.name.split(".")[0]) in common else 0)
    return {c.name: c for c in found}


def _walk(config: Any, prefix: str) -> Iterator[Control]:
    cls = config if isinstance(config, type) else type(config)
    if not dataclasses.is_dataclass(cls):
        return
    hints = typing.get_type_hints(cls)
    for f in dataclasses.fields(cls):
        name = prefix + f.name
        value = getattr(config, f.name, None) if not isinstance(config, type) else _default(f)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _walk(value, name + ".")
        elif spec := f.metadata.get(_KEY):
            yield _named(spec, name, hints[f.name], value)


def _default(f: dataclasses.Field[Any]) -> Any:
    return f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default


def _named(spec: Control, name: str, hint: Any, default: Any) -> Control:
    choices = spec.choices
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        kind, choices = "choice", choices or tuple(str(m.value) for m in hint)
    elif choices:
        kind, choices = "choice", tuple(str(c) for c in choices)
    else:
        kind = {bool: "bool", int: "int", float: "float", str: "text"}.get(hint, "")
        if not kind:
            raise WorkbenchError(f"The control {name} has the type {hint}; use float, int, bool, str or an Enum.")
    label = spec.label or name.rsplit(".", 1)[-1].replace("_", " ")
    return dataclasses.replace(spec, name=name, kind=kind, default=default, choices=choices, label=label)


def canonical(name: str) -> str:
    """The full name of a control: ``lr`` is an alias of ``optimizer.lr`` on input."""
    return _ALIASES.get(name, name)


def check(controls: Mapping[str, Control], values: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """All of the values checked and in their types, by canonical name; refuses the whole set if one is wrong."""
    checked = {}
    for name, value in values.items():
        full = name if name in controls else canonical(name)
        if full not in controls:
            raise UnknownName("control", name, controls, where=where)
        checked[full] = controls[full].check(value)
    return checked


def get(config: Any, name: str) -> Any:
    """The value at a dotted name of a configuration object."""
    for part in name.split("."):
        config = config[part] if isinstance(config, Mapping) else getattr(config, part)
    return config


def put(config: Any, name: str, value: Any) -> None:
    """Set the value at a dotted name in place; an Enum field receives its member."""
    *parents, last = name.split(".")
    for part in parents:
        config = getattr(config, part)
    old = getattr(config, last)
    setattr(config, last, type(old)(value) if isinstance(old, enum.Enum) else value)


def plain(config: Any) -> dict[str, Any]:
    """A configuration as nested plain data (Enum members by value), ready for YAML or JSON."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def flat(config: Any) -> dict[str, Any]:
    """Every leaf of a configuration by dotted name, plain values."""

    def leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield prefix + key, value

    return dict(leaves(config if isinstance(config, Mapping) else plain(config), ""))
