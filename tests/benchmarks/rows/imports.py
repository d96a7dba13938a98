"""What the notebook side costs before anything is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.benchmarks.figures import Row, Value, of

NUMBER = 8
HEAVY = ("torch", "lightning", "mlflow")
_CHILD = """
import json, sys, time
from tests.benchmarks.machine import memory
began = time.perf_counter()
import workbench
imported = time.perf_counter()
panel = workbench.open("certified/ibp")
built = time.perf_counter()
print(json.dumps({"import": imported - began, "panel": built - imported, "memory": memory()["now"],
                  "heavy": [m for m in %r if m in sys.modules]}))
"""


def measure(quick: bool) -> Row:
    """Fresh processes that import the package and build a panel object."""
    repeats = 3 if quick else 15
    found = []
    alone = {**os.environ, "WORKBENCH_SPARES": "0"}  # else processes that import torch would run beside the clock
    for _ in range(repeats):
        told = subprocess.run(
            [sys.executable, "-c", _CHILD % (HEAVY,)], capture_output=True, text=True, check=True, env=alone
        )
        found.append(json.loads(told.stdout))
    heavy = sorted({m for f in found for m in f["heavy"]})
    return Row(
        "import workbench, and a panel object",
        f"{repeats} fresh processes. That {', '.join(HEAVY)} stay out is a test of the suite; here it is counted.",
        [Value(f"of {', '.join(HEAVY)} imported", float(len(heavy)), "packages", most=0)],
        [
            of("import workbench", [1e3 * f["import"] for f in found], "ms"),
            of("workbench.open('certified/ibp'), its imports included", [f["panel"] for f in found], "s"),
            of("resident memory of the process then", [f["memory"] for f in found], "MB"),
        ],
        f"Imported: {', '.join(heavy)}." if heavy else "",
    )  # fmt: skip
