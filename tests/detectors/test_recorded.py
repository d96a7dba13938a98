"""Detectors over recorded curves: arrays and CSV files of any program."""

import numpy as np
import pytest

from tests.detectors.series import decay
from workbench.cards.errors import InvalidValue, MissingData
from workbench.detectors import scan
from workbench.detectors.recorded import blocks, read_csv


def test_series_with_steps_of_their_own_are_cut_where_the_company_changes():
    a = (np.arange(6), np.arange(6.0))
    b = (np.array([2, 3, 5]), np.array([20.0, 30.0, 50.0]))
    cut = [(steps.tolist(), {k: v.tolist() for k, v in columns.items()}) for steps, columns in blocks({"a": a, "b": b})]
    assert cut == [
        ([0, 1], {"a": [0, 1]}),
        ([2, 3], {"a": [2, 3], "b": [20, 30]}),
        ([4], {"a": [4]}),
        ([5], {"a": [5], "b": [50]}),
    ]


def test_of_a_step_recorded_twice_the_later_value_counts():
    ((steps, columns),) = blocks({"a": (np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]))})
    assert steps.tolist() == [0, 1]
    assert columns["a"].tolist() == [1, 3]


def test_scan_of_arrays_gives_the_latest_version_of_each_finding():
    loss = decay()
    loss[1000] = 30
    loss[1900:] = np.nan
    found = scan({"loss": (np.arange(2000), loss)})
    assert [(f.id, f.first, f.last) for f in found] == [("spike", 1000, 1000), ("non_finite", 1900, 1999)]


def test_scan_of_a_csv_with_gaps_as_lightning_writes_it(tmp_path):
    loss = decay()
    loss[1500] = 40
    path = tmp_path / "metrics.csv"
    lines = ["epoch,step,train_loss,val_loss,note"]
    lines += [f"{i // 100},{i * 10},{v},{'' if i % 100 else '0.5'},x" for i, v in enumerate(loss)]
    path.write_text("\n".join(lines) + "\n")
    assert {name: len(steps) for name, (steps, _) in read_csv(path).items()} == {
        "epoch": 2000, "train_loss": 2000, "val_loss": 20,
    }  # fmt: skip
    (finding,) = [f for f in scan(path) if f.id == "spike"]
    assert finding.first == 15_000
    assert finding.signals == ("train_loss",)


def test_a_csv_that_is_not_there_or_has_no_numbers_is_refused_in_words(tmp_path):
    with pytest.raises(MissingData, match="cannot be read"):
        scan(tmp_path / "no.csv")
    (tmp_path / "text.csv").write_text("a,b\nx,y\n")
    with pytest.raises(InvalidValue, match="no column of numbers"):
        scan(tmp_path / "text.csv")
