"""A journal's numbers as one Parquet file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.journal.chunks import COMPONENTS

if TYPE_CHECKING:
    from workbench.journal.reader import Reader

_STEPS = 262_144  # steps in a row group: bounds the memory


def write_parquet(reader: Reader, path: Path) -> Path:
    """Write rows (signal, component, step, time, value) to `path` and return it.

    Scalars have no component; arrays have one row a component, in C order, and those of more than 256 are left out.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("signal", pa.dictionary(pa.int32(), pa.string())),
            ("component", pa.int32()),
            ("step", pa.int64()),
            ("time", pa.float64()),
            ("value", pa.float64()),
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for name, kind in reader.names().items():
            extent = reader.extent(name)
            if kind == "text" or extent is None:
                continue
            read = reader.scalars if kind == "scalar" else reader.arrays
            for first in range(extent[0], extent[1] + 1, _STEPS):
                points = read(name, first, first + _STEPS - 1)
                k = math.prod(points.values.shape[1:])
                if not len(points) or k > COMPONENTS:
                    continue
                count = len(points) * k
                component = pa.nulls(count, pa.int32()) if kind == "scalar" else np.tile(np.arange(k), len(points))
                signal = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [name])
                columns = [
                    signal,
                    pa.array(component, pa.int32()),
                    np.repeat(points.steps, k),
                    np.repeat(points.times, k),
                    points.values.reshape(-1).astype(np.float64),
                ]
                writer.write_table(pa.table(columns, schema=schema))
    return path
