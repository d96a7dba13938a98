"""The figures in the documentation are those that were measured, all of them."""

import re

import pytest

from tests.benchmarks import report
from tests.benchmarks.__main__ import names
from tests.benchmarks.figures import Row, Value, of


def test_the_page_shows_what_the_kept_results_say():
    assert report.PAGE.read_text() == report.page(report.read())


def test_every_benchmark_was_measured_in_full():
    assert list(report.read()["rows"]) == names()


def test_the_page_names_machine_versions_and_when():
    results, page = report.read(), report.PAGE.read_text()
    assert results["machine"]["cpu"] in page
    assert f"torch {results['versions']['torch']}" in page
    for found in results["rows"].values():
        assert f"Measured {found['date']}; load average at the start: {found['load']:g}." in page


def test_a_missed_bar_is_told_with_its_size():
    row = Row("what", "how", [Value("slow", 1.5, "s", most=1.0), Value("few", 5.0, "fps", least=10.0)])
    assert [v.met for v in row.values] == [False, False]
    results = {**report.read(), "rows": {"x": {"date": "2026-01-01", "load": 0.5, "row": row.to_json()}}}
    page = report.page(results)
    assert "| slow | 1.5 s | ≤ 1 s | missed by 50.0 % |" in page
    assert "| few | 5 fps | ≥ 10 fps | missed by 50.0 % |" in page


def test_what_could_not_be_measured_stays_in_the_table():
    row = Row("what", "how", [Value("gone", None, "s", most=1.0)])
    results = {**report.read(), "rows": {"x": {"date": "2026-01-01", "load": 0.5, "row": row.to_json()}}}
    assert re.search(r"\| gone \| not measured \| ≤ 1 s \|  \|", report.page(results))


def test_a_row_survives_its_file():
    row = Row("what", "how", [of("several", [3.0, 1.0, 2.0], "ms", most=5)], [Value("one", 1.0, "×")], "a note")
    assert Row.from_json(row.to_json()) == row
    assert row.values[0].value == 2.0
    assert row.values[0].spread == (1.5, 2.5)


@pytest.mark.parametrize("versions", ["same", "other"])
def test_results_of_other_versions_are_not_mixed_in(tmp_path, versions):
    path = tmp_path / "results.json"
    both = {"machine": {"cpu": "c"}, "versions": {"torch": "1"}}
    report.keep({**both, "rows": {"old": {"row": 1}}}, ["old", "new"], path)
    later = {**both, "versions": {"torch": "1" if versions == "same" else "2"}, "rows": {"new": {"row": 2}}}
    assert list(report.keep(later, ["old", "new"], path)["rows"]) == (["old", "new"] if versions == "same" else ["new"])
