"""The counts of ``make faults``: kept as a file, shown on the terminal and as the page in the documentation."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
PROPERTY = "fault"  # under which a test hands its counts to pytest


@dataclass
class Fault:
    """One fault: what was done, what had to hold, and how often it did.

    Attributes:
        number: its place in the table; letters for parts, as in ``3b``.
        what: the fault, a phrase.
        holds: what was asserted every time, a sentence.
        counts: what was counted or measured, in order.
    """

    number: str
    what: str
    holds: str
    counts: dict[str, int | str] = field(default_factory=dict)
    date: str = ""

    def to_json(self) -> str:
        """With the date, for the report of a test."""
        return json.dumps(asdict(self) | {"date": time.strftime("%Y-%m-%d %H:%M")})

    @classmethod
    def from_json(cls, text: str) -> Fault:
        """What `to_json` wrote."""
        return cls(**json.loads(text))

    def words(self) -> str:
        """The counts in a line."""
        return "; ".join(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in
                         self.counts.items())  # fmt: skip


def read(path: Path = RESULTS) -> dict[str, Any]:
    """What was kept; nothing without a file."""
    return json.loads(path.read_text()) if path.exists() else {"machine": {}, "versions": {}, "faults": []}


def keep(machine: dict[str, Any], versions: dict[str, str], faults: list[Fault], path: Path = RESULTS) -> None:
    """Write the faults; those kept before stay if machine and versions are the same."""
    before = read(path)
    same = before["machine"] == machine and before["versions"] == versions
    kept = {f["number"]: f for f in (before["faults"] if same else [])} | {f.number: asdict(f) for f in faults}
    found = {"machine": machine, "versions": versions, "faults": [kept[n] for n in sorted(kept, key=place)]}
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def place(number: str) -> tuple[int, str]:
    """For sorting: 3b after 3a, 10 after 9."""
    digits = number.rstrip("abcdefgh")
    return int(digits), number.removeprefix(digits)


def page(results: dict[str, Any]) -> str:
    """docs/faults.md: everything that `results` holds, and nothing else."""
    lines = [
        "# Faults survived", "",
        "Written by `make faults` from `tests/faults/results.json`; do not edit. Real processes, killed and starved in",
        "earnest; each row was asserted at every one of its occurrences, not only counted. `make test` does the same",
        "in smaller numbers.", "",
    ]  # fmt: skip
    if not results["faults"]:
        return "\n".join([*lines, "Not run yet.", ""])
    where, versions = results["machine"], results["versions"]
    lines += [
        f"Machine: {where['cpu']}, {where['cores']} cores, {where['memory_gib']:g} GiB, {where['system']}.", "",
        "Versions: " + ", ".join(f"{name} {v}" for name, v in versions.items()) + ".", "",
        "| | fault | what held, every time | counts | run |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for fault in (Fault(**f) for f in results["faults"]):
        lines.append(f"| {fault.number} | {fault.what} | {fault.holds} | {fault.words()} | {fault.date} |")
    return "\n".join(lines) + "\n"
