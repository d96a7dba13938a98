"""Detectors of a condition on several signals at once that must last: the base for a method's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors.base import Detector


class Lasting(Detector):
    """Base: a subclass says in `holds` whether its condition holds, and in `told` what that means.

    After `lasting` steps in a row with it a finding opens, dated from the first of them; after `patience` steps in a
    row without it the finding is closed. `known` holds the latest value of each of `needs` that has come.

    Attributes:
        sees: signals whose coming makes a step count; the others are looked up as they stand.
        lasting, patience: in steps that count.
        severity: of the findings.
    """

    sees: tuple[str, ...] = ()
    lasting: ClassVar[int] = 50
    patience: ClassVar[int] = 10
    severity: ClassVar[str] = "warning"
    _KEPT: ClassVar[tuple[str, ...]] = ("held", "quiet", "first", "last", "known", "evidence")

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Any] = {}
        self.held = self.quiet = 0
        self.first = self.last = -1
        self.evidence: dict[str, float] = {}

    def holds(self) -> dict[str, float] | None:
        """The evidence if the condition holds with the values of `known`, else None. All of `sees` are there."""
        raise NotImplementedError

    def told(self, evidence: Mapping[str, float]) -> str:
        """One sentence without its dates and without a full stop."""
        raise NotImplementedError

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        self.known.update({name: _plain(value) for name, value in values.items() if self.wants(name)})
        if not any(name in values for name in self.sees) or not all(name in self.known for name in self.sees):
            return
        found = self.holds()
        if found is not None:
            if not self.held:
                self.first = step
            self.held += 1
            self.quiet, self.last, self.evidence = 0, step, found
            if self.held == self.lasting:
                yield self.finding(None)
        elif self.held:
            self.quiet += 1
            if self.held < self.lasting:
                self.held = 0
            elif self.quiet >= self.patience:
                yield self.finding(self.last)
                self.held = 0

    def finish(self, step: int) -> Iterable[Finding]:
        """Close what is open: the run ended at this step."""
        if self.held >= self.lasting:
            yield self.finding(self.last)

    def finding(self, last: int | None) -> Finding:
        """What is said; `last` None: it goes on."""
        when = f"since step {self.first}" if last is None else f"from step {self.first} to {last}"
        return Finding(
            id=self.id, title=self.title, first=self.first, last=last, remedy=self.remedy, severity=self.severity,
            sentence=f"{self.told(self.evidence)}, {when}.", evidence=dict(self.evidence), signals=self.sees,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {name: getattr(self, name) for name in self._KEPT}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in self._KEPT:
            setattr(self, name, state[name])


def _plain(value: Any) -> Any:
    """A value as JSON knows it: numbers, text, lists."""
    return value.tolist() if hasattr(value, "tolist") else value
