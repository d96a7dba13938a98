"""A journal as a table for other programs."""

import numpy as np
import pyarrow.parquet as parquet

from workbench.journal import Reader, Writer


def test_scalars_and_small_arrays_become_rows(rundir, tmp_path):
    writer = Writer(rundir, {})
    writer.append([0, 1], [10.0, 11.0], {"loss": [1.5, np.nan]})
    writer.append_array("vector", [1], [11.0], np.array([[7, 8]]))
    writer.append_array("image", [1], [11.0], np.zeros((1, 20, 20)))
    writer.append_text("words", 1, 11.0, "hello")
    writer.close("finished")
    table = parquet.read_table(Reader(rundir).export(tmp_path / "journal.parquet")).to_pylist()
    rows = [(r["signal"], r["component"], r["step"], r["time"], r["value"]) for r in table]
    assert rows[0] == ("loss", None, 0, 10.0, 1.5)
    assert rows[1][:4] == ("loss", None, 1, 11.0)
    assert np.isnan(rows[1][4])
    assert rows[2:] == [("vector", 0, 1, 11.0, 7.0), ("vector", 1, 1, 11.0, 8.0)]
