"""Findings: what a detector says about a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("info", "warning", "serious")


@dataclass(frozen=True)
class Finding:
    """A named phenomenon seen in a run.

    Attributes:
        id: snake_case name of the phenomenon, e.g. ``exploded_bounds``.
        title: the same for people.
        first, last: step range, both included; `last` is None while it goes on.
        sentence: what was seen, in words a person understands, with its numbers.
        remedy: what to try.
        severity: ``info``, ``warning`` or ``serious``.
        evidence: the numbers behind it (plain data).
        signals: names of the signals it was read from; drawn on their charts.
        subject: what in the run it concerns (``layer 4``), so that several may be open at once.
    """

    id: str
    title: str
    first: int
    sentence: str
    last: int | None = None
    remedy: str = ""
    severity: str = "warning"
    evidence: Mapping[str, Any] = field(default_factory=dict)
    signals: tuple[str, ...] = ()
    subject: str = ""

    @property
    def key(self) -> str:
        """Identity over updates: a later finding with the same key replaces the earlier one."""
        return f"{self.id}:{self.subject}:{self.first}"

    def to_json(self) -> dict[str, Any]:
        """Plain data, with its key."""
        return {**dataclasses.asdict(self), "key": self.key}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """The finding that `to_json` wrote."""
        known = {f.name for f in dataclasses.fields(cls)}
        values = {k: v for k, v in data.items() if k in known}
        return cls(**{**values, "signals": tuple(values.get("signals", ()))})
