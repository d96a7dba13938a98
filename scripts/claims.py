"""Make docs/claims.md and the README's number from the committed results in claims/; `--check` only compares."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from workbench.runs.claims import load
from workbench.runs.claims.tables import headline, page

ROOT = Path(__file__).parents[1]
PAGE, README, RESULTS = ROOT / "docs" / "claims.md", ROOT / "README.md", ROOT / "claims"
MARKERS = re.compile(r"(<!-- claims -->).*?(<!-- /claims -->)", re.DOTALL)


def made() -> dict[Path, str]:
    """What page and README ought to be."""
    files = load(RESULTS)
    said = (
        f"**{headline(files).rstrip('.')}** ([which, and by how much](docs/claims.md)). `make claims` computes it anew."
    )
    return {PAGE: page(files), README: MARKERS.sub(lambda m: f"{m[1]}{said}{m[2]}", README.read_text())}


def main() -> int:
    """Write them, or with `--check` name those that are out of date."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true")
    check = options.parse_args().check
    stale = {path: text for path, text in made().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if not check:
            path.write_text(text)
        print(f"{path.relative_to(ROOT)} {'is out of date: python scripts/claims.py' if check else 'made anew'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
