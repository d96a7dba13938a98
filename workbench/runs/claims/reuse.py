"""Which run may stand for another: the same configuration, code, data and versions, and nobody steered it."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import workbench
from workbench.cards import Card
from workbench.runs.environment import version
from workbench.runs.run import Run

_PACKAGES = ("torch", "numpy", "lightning")
_DECLARED = {"CARD", "CLAIMS", "VIEWS", "ARMS", "PRESETS"}  # what training cannot see, or the key has
_OF_THE_RUN = ("device", "threads")  # the rest of `run` is names, lineage, and how often something is written


def key(tree: Mapping[str, Any], code: str) -> str:
    """What a run's result is a function of, hashed: its configuration without names, and the `fingerprint`."""
    kept = {k: v for k, v in tree.items() if k not in ("arm", "preset", "tracking", "run")}
    kept["run"] = {k: (tree.get("run") or {}).get(k) for k in _OF_THE_RUN}
    return hashlib.sha256(json.dumps([kept, code], sort_keys=True, default=str).encode()).hexdigest()


def fingerprint(found: Card) -> str:
    """Hash of what trains an experiment besides its configuration; a worker records it when it starts.

    It covers the method's folder (without `claims.py`, pictures, and the card's claims, views, arms and presets: arms
    and presets are in the configuration already), the family's `_shared`, `workbench.models`, `workbench.data`, the
    SHA-256 of its data, the cadence of its probes, and the versions of Python, torch, numpy and lightning.
    """
    digest = hashlib.sha256()
    for part in (*_facts(found), *_sources(found)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _facts(found: Card) -> Iterator[bytes]:
    from workbench.data.registry import datasets

    sums = {d.name: dict(d.sha256) for d in datasets() if d.name in found.data}
    versions = {p: version(p) for p in _PACKAGES} | {"python": platform.python_version()}
    probes = {p.name: p.every for p in found.probes}
    yield json.dumps([sorted(found.data), sums, versions, probes], sort_keys=True).encode()


def _sources(found: Card) -> Iterator[bytes]:
    """Names and contents of every file whose change may change what is trained."""
    method, ours = _folder(found.package), Path(workbench.__file__).parent
    for folder in (method, method.parent / "_shared", ours / "models", ours / "data"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".pyc", ".svg") or not path.is_file() or path == method / "claims.py":
                continue
            yield f"{folder.name}/{path.relative_to(folder)}".encode()
            yield _training_part(path.read_text()) if path == method / "card.py" else path.read_bytes()


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


@functools.lru_cache(maxsize=8)
def _training_part(source: str) -> bytes:
    """A card's source without what only readers of it use, so that a note about a result does not undo the result."""
    tree = ast.parse(source)
    tree.body = [s for s in tree.body if not (isinstance(s, ast.Assign | ast.AnnAssign) and _names(s) & _DECLARED)]
    return ast.unparse(tree).encode()


def _names(statement: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {t.id for t in targets if isinstance(t, ast.Name)}


def unfit(run: Run, code: str) -> str:
    """Why a run, of a configuration that fits, must not stand for the claim's; empty: it may.

    Only a finished run may, or one under way that nobody has touched so far.
    """
    if run.kind:
        return f"it is a {run.kind}"
    state = run.state
    if state in ("failed", "stopped", "paused"):
        return f"it is {state}"
    recorded = run.reader.meta.get("fingerprint")
    if recorded != code and not (recorded is None and state in ("queued", "starting")):
        return "its code, data or versions are others, or not recorded"
    for record in run.interventions:
        if record.kind in ("set", "action") and record.outcome == "applied" and record.source != "rule":
            return f"somebody steered it at step {record.step}"
    return ""
