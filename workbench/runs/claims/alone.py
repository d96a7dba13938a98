"""Claims that need no runs, in a process of their own: ``python -m workbench.runs.claims.alone ID CLAIM SEED …``."""

from __future__ import annotations

import json
import sys
import time

from workbench.cards import card
from workbench.runs.claims.measure import function_of
from workbench.runs.environment import environment


def main(experiment: str, claim_id: str, *seeds: str) -> int:
    """Print what the claim's functions return for each seed, and where, as one line of JSON."""
    found, begun = card(experiment), time.monotonic()
    claim = next(c for c in found.claims if c.id == claim_id)
    values = []
    for comparison in claim.comparisons:
        function, gets = function_of(found, comparison.metric)
        values.append([_plain(function(int(s))) for s in seeds] if function is not None and gets == "seed" else [])
    minutes = (time.monotonic() - begun) / 60
    print(json.dumps({"values": values, "minutes": minutes, "environment": environment(code=False)}))
    return 0


def _plain(value: object) -> object:
    return value.item() if hasattr(value, "item") else value


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
