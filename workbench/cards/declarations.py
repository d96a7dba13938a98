"""What a method declares about itself: signals, views, arms, presets, claims, and the card that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from workbench.cards.controls import Config, Control, controls_of
from workbench.cards.errors import UnknownName

_T = TypeVar("_T", "Arm", "Preset")
SHAPES = ("scalar", "vector", "histogram", "matrix", "image", "text", "responses", "tokens")
KINDS = (
    "line", "area", "bars", "histogram", "heatmap", "matrix", "scatter", "ternary", "image", "text", "responses",
    "tokens",
)  # fmt: skip


@dataclass(frozen=True)
class Paper:
    """The source of a method. `number` is its place in the list of 59 papers, 0 if outside it."""

    title: str
    venue: str
    year: int
    url: str = ""
    number: int = 0


@dataclass(frozen=True)
class Signal:
    """A named quantity that a method emits.

    Attributes:
        name: snake_case, as passed to `emit`.
        meaning: one sentence.
        shape: ``scalar``; ``vector`` (one value per class, layer, expert: `axis` and `labels` say which);
            ``histogram`` (counts of `edges` = (low, high, bins) equal bins, outliers in the end bins);
            ``matrix`` (`axis` names both sides: ``layer × task``, or one for both; `labels` are both sides', `sides`
            each one's) or a stack of them (``layer × domain × expert``), of which a view shows one;
            ``image`` ((H, W), (H, W, 3) or (N, H, W[, 3]), uint8 or floats in [0, 1]); ``text``;
            ``responses`` (a language model's, by `workbench.signals.responses`);
            ``tokens`` (a text with a category a token, by `workbench.signals.tokens`; `axis` names its layers).
        sides: of a matrix, the labels along each side, ``((), ("code", "prose"), ())``; an empty one is numbered.
        healthy: the range in which the quantity raises no worry.
        deterministic: False for wall-clock figures, which replay does not compare.
        main: shown as the run's sparkline.
        only: in which settings alone it is emitted, in words (``regime H``); empty: always.
    """

    name: str
    meaning: str = ""
    unit: str = ""
    shape: str = "scalar"
    axis: str = ""
    labels: tuple[str, ...] = ()
    edges: tuple[float, float, int] | None = None
    healthy: tuple[float | None, float | None] = (None, None)
    deterministic: bool = True
    main: bool = False
    only: str = ""
    sides: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Series:
    """One signal inside a view. A vector signal gives one line per component, shaded light to dark."""

    signal: str
    label: str = ""
    dash: bool = False
    axis: str = "left"  # or "right"
    color: str = ""  # a design token (ink, ink2, blue, …); empty: the run's colour


@dataclass(frozen=True)
class Reference:
    """A horizontal line for orientation: a number, or the latest value of a signal."""

    value: float | str
    label: str


@dataclass(frozen=True)
class View:
    """One chart.

    Attributes:
        id: snake_case, unique in the card.
        kind: one of `KINDS`. ``area`` stacks its series (vector signals: of one component, chosen in the panel);
            ``bars`` and ``histogram`` show the newest step, or the time slider's; ``responses`` shows one run's at a
            time, a step a page, and can be held and leafed through (`range`: the lowest and the highest reward);
            ``ternary`` shows a matrix signal (N, 4), a row a point: three weights that sum to 1, then its value, named
            by the signal's `labels` (three corners, the value); a second series, a vector (3,), is where each run
            itself lies (`range`: that of the colours). ``tokens`` and stacks of matrices show one layer at a time.
        series: signals drawn (`Series`, or just names).
        bands: pairs of signals with the space between them shaded (what lies between two bounds).
        scale: of the y axis, ``linear`` or ``log``; `range` fixes its ends.
        group: views of one group share a place, as tabs labelled by `tab`.
        per_run: draw one run at a time, chosen in the panel (stacked areas and images), instead of overlaying all.
        path: ``scatter``, whose series are (x, y): the way each run took stands faint behind its dot.
        center: ``heatmap`` and ``matrix``: the neutral value, from which two colours part; None: one, light to dark.
    """

    id: str
    title: str
    kind: str = "line"
    series: tuple[Series | str, ...] = ()
    bands: tuple[tuple[str, str], ...] = ()
    subtitle: str = ""
    unit: str = ""
    scale: str = "linear"
    range: tuple[float | None, float | None] = (None, None)
    references: tuple[Reference, ...] = ()
    group: str = ""
    tab: str = ""
    per_run: bool = False
    path: bool = True
    center: float | None = None

    def lines(self) -> tuple[Series, ...]:
        """The series with bare names turned into `Series`."""
        return tuple(s if isinstance(s, Series) else Series(s) for s in self.series)


@dataclass(frozen=True)
class Action:
    """A button that does something once, recorded as an intervention (shock, inject a spike)."""

    name: str
    label: str
    help: str = ""


@dataclass(frozen=True)
class Probe:
    """An expensive look, isolated from training, asked for once or switched on every n steps."""

    name: str
    label: str
    help: str = ""
    every: int = 0  # 0: off until asked


@dataclass(frozen=True)
class Arm:
    """A named set of overrides. `role` is phenomenon, remedy, ablation or competitor."""

    name: str
    label: str
    role: str = "ablation"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    help: str = ""


@dataclass(frozen=True)
class Preset:
    """A size of the experiment: ``smoke`` (tests), ``tour`` (to play with), ``full``. `arms` start together."""

    name: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    help: str = ""
    arms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What is compared in a claim, and when it counts. Empty fields of one in `Claim.also` are the claim's own.

    Attributes:
        arms: the first is expected to win, against the best of the others at that seed; alone, its value stands against
            0. Each is an arm's name, overrides, or both, as typed on a command line: ``"fixed decay=0.9"``.
        metric: a scalar signal (its last value) or ``module:function``, relative to the card's package, numpy only. The
            name of the function's one parameter says what it gets and when: ``run`` each run, returning its value;
            ``runs`` a seed's runs in the order of `arms`, returning what stands in for their difference; ``seeds`` a
            list of such lists, once; ``seed`` a number, for claims without arms, in a process of its own.
        direction: ``lower`` or ``higher`` for the first arm (for ``runs``, ``seeds``, ``seed``: below or above 0).
        margin: smallest mean difference that counts; negative: the largest that does not matter ("not worse by 3").
        factor: the others' value is multiplied by it first ("at most 0.7 times": ``factor=0.7, direction="lower"``).
        rule: ``interval`` (two-sided 90 % paired t interval off 0, mean at least `margin`), ``se`` (mean above `k`
            standard errors, and at least `margin`), ``mean`` (mean at least `margin`), ``all_pairs`` (every seed by at
            least `margin`), ``count`` (at least `count` seeds do), ``exact`` (the function returns True for each).
    """

    arms: tuple[str, ...] = ()
    metric: str = ""
    direction: str = ""
    margin: float = 0.0
    factor: float = 1.0
    rule: str = ""
    count: int = 0
    k: float = 0.0


@dataclass(frozen=True)
class Claim:
    """A paper's statement, and our small-scale restatement with its rule for the verdict, declared before running.

    Attributes:
        statement, figure: the paper's words and number, with their source.
        restatement: what is measured here.
        arms, metric, direction, margin, factor, rule, count, k: see `Comparison`.
        preset, seeds, overrides: the runs.
        also: further comparisons that must hold too.
        quick: no arms and a few seconds; the test suite runs it as well.
    """

    id: str
    statement: str
    restatement: str
    figure: str = ""
    arms: tuple[str, ...] = ()
    metric: str = ""
    direction: str = "lower"
    margin: float = 0.0
    rule: str = "interval"
    preset: str = "tour"
    seeds: tuple[int, ...] = (0, 1, 2)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False
    factor: float = 1.0
    count: int = 0
    k: float = 2.0
    also: tuple[Comparison, ...] = ()

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The claim's own comparison, then those of `also` with their empty fields filled in."""
        own = Comparison(
            self.arms, self.metric, self.direction, self.margin, self.factor, self.rule, self.count, self.k
        )
        inherited = ("arms", "metric", "direction", "rule", "count", "k")
        return own, *(replace(c, **{n: getattr(c, n) or getattr(own, n) for n in inherited}) for c in self.also)


@dataclass(frozen=True)
class Card:
    """Everything about an experiment that can be known without importing its training code.

    Attributes:
        id: ``family/method``, its folder; filled in by the registry.
        phenomenon, remedy: one sentence each.
        module: dotted name of the training code, relative to the card's package (``.module``).
        detectors: ``"detect:ExplodedBounds"`` (relative to the card's package) or a name of `workbench.detectors`.
        clears: ids of the detectors whose findings the remedy's arm must end without; empty: all of the card's own.
        data: names of the data sets used.
        reconstruction: what was not checked against the authors' code, in words; empty: checked.
        notes: honest remarks shown in the panel and the gallery (what a reader must know before believing a chart).
    """

    title: str
    paper: Paper
    phenomenon: str
    remedy: str
    config: type[Config]
    signals: tuple[Signal, ...]
    views: tuple[View, ...]
    arms: tuple[Arm, ...]
    presets: tuple[Preset, ...]
    subtitle: str = ""
    id: str = ""
    module: str = ".module"
    package: str = ""
    detectors: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    probes: tuple[Probe, ...] = ()
    claims: tuple[Claim, ...] = ()
    data: tuple[str, ...] = ()
    reconstruction: str = ""
    notes: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The first part of the id."""
        return self.id.split("/", 1)[0]

    @property
    def controls(self) -> dict[str, Control]:
        """Every control by dotted name, in order of declaration."""
        return controls_of(self.config)

    def signal(self, name: str) -> Signal | None:
        """The declaration of a signal; None for an undeclared one."""
        return next((s for s in self.signals if s.name == name), None)

    @property
    def main_signal(self) -> str:
        """The signal shown as a run's sparkline."""
        return next((s.name for s in self.signals if s.main), self.signals[0].name if self.signals else "loss")

    def arm(self, name: str) -> Arm:
        """The arm of that name; `UnknownName` suggests the nearest."""
        return self._named("arm", name, self.arms)

    def preset(self, name: str) -> Preset:
        """The preset of that name; `UnknownName` suggests the nearest."""
        return self._named("preset", name, self.presets)

    def _named(self, what: str, name: str, things: tuple[_T, ...]) -> _T:
        for thing in things:
            if thing.name == name:
                return thing
        raise UnknownName(what, name, (t.name for t in things), where=self.id)
