"""A journal's scalars as one Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.journal.reader import Reader


def write_parquet(reader: Reader, path: Path) -> Path:
    """Write (signal, step, time, value) rows, a row group a signal, to `path`; returns it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("signal", pa.string()), ("step", pa.int64()), ("time", pa.float64()), ("value", pa.float64())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for name, kind in reader.names().items():
            if kind != "scalar":
                continue
            points = reader.scalars(name)
            names = pa.array([name]).take(pa.array([0] * len(points)))
            writer.write_table(pa.table([names, points.steps, points.times, points.values], schema=schema))
    return path
