"""Prints the counts at the end of the tests, whichever process ran them; ``make faults`` keeps each as it is found."""

from __future__ import annotations

from typing import Any

from tests.faults import report as kept
from tests.faults.harness import FULL


def _told(test: Any) -> list[kept.Fault]:
    return [kept.Fault.from_json(text) for key, text in test.user_properties if key == kept.PROPERTY]


def pytest_runtest_logreport(report: Any) -> None:
    if FULL and report.when == "call" and report.passed and (faults := _told(report)):
        _keep(faults)


def _keep(faults: list[kept.Fault]) -> None:
    from tests.benchmarks import machine

    kept.keep(machine.machine(), machine.versions(), faults)
    kept.PAGE.write_text(kept.page(kept.read()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line a fault, of the tests that passed."""
    faults = [fault for test in terminalreporter.stats.get("passed", []) for fault in _told(test)]
    if not faults:
        return
    terminalreporter.section(f"faults survived, {'full' if FULL else 'reduced'} counts")
    for fault in sorted(faults, key=lambda f: kept.place(f.number)):
        terminalreporter.write_line(f"{fault.number:>3} {fault.what}: {fault.words()}")
    if FULL:
        terminalreporter.write_line(f"Kept in {kept.RESULTS.name}; the page is {kept.PAGE.name}.")
