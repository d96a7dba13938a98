"""The page of the faults says what was counted, all of it."""

import pytest

from tests.faults import report
from tests.faults.report import Fault

MACHINE, VERSIONS = {"cpu": "c", "cores": 2, "memory_gib": 1.0, "system": "Linux"}, {"torch": "1"}


def test_the_page_shows_what_the_kept_results_say():
    assert report.PAGE.read_text() == report.page(report.read())


def test_every_fault_of_the_suite_is_kept_with_its_counts_in_full():
    known = {f["number"].rstrip("abcd") for f in report.read()["faults"]}
    assert known == {str(n) for n in range(1, 11)}


def test_the_page_names_machine_versions_and_when():
    results, page = report.read(), report.PAGE.read_text()
    assert results["machine"]["cpu"] in page
    for fault in results["faults"]:
        assert fault["date"] in page
        assert all(f"{name} {value:,}" in page for name, value in fault["counts"].items() if isinstance(value, int))


def test_a_fault_survives_the_report_of_its_test():
    fault = Fault("3b", "what", "holds", {"kills": 1200, "delay": "3 ms"})
    again = Fault.from_json(fault.to_json())
    assert (again.number, again.counts, again.words()) == ("3b", fault.counts, "kills 1,200; delay 3 ms")
    assert again.date


@pytest.mark.parametrize("versions", ["same", "other"])
def test_counts_of_other_versions_are_not_mixed_in(tmp_path, versions):
    path = tmp_path / "results.json"
    report.keep(MACHINE, VERSIONS, [Fault("10", "w", "h"), Fault("2", "w", "h")], path)
    report.keep(MACHINE, VERSIONS if versions == "same" else {"torch": "2"}, [Fault("3b", "w", "h")], path)
    kept = [f["number"] for f in report.read(path)["faults"]]
    assert kept == (["2", "3b", "10"] if versions == "same" else ["3b"])
