"""What a run was trained with: versions, machine, the user's code; secrets scrubbed."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from typing import Any

_PACKAGES = ("balance-workbench", "torch", "lightning", "numpy", "hydra-core", "mlflow")
_DIFF_LIMIT = 200_000
_SECRET = re.compile(
    r"(?i)\b([\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key|credential)[\w-]*)(\s*[=:]\s*)(['\"]?)[^\s'\"]+\3"
)
_URL = re.compile(r"(://[^/\s:@]+:)[^@\s]+@")


def environment() -> dict[str, Any]:
    """Versions, device, threads, and the git commit and diff of the working directory, as plain data."""
    torch = sys.modules.get("torch")
    cuda = bool(torch and torch.cuda.is_available())
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": {p: _version(p) for p in _PACKAGES},
        "threads": torch.get_num_threads() if torch else None,
        "device": torch.cuda.get_device_name(0) if torch and cuda else "cpu",
        "argv": [scrub(a) for a in sys.argv],
        "git": _git(),
    }


def scrub(text: str) -> str:
    """The text with passwords, tokens and keys replaced by ``***``."""
    return _URL.sub(r"\1***@", _SECRET.sub(r"\1\2\3***\3", text))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git() -> dict[str, str] | None:
    commit = _run("git", "rev-parse", "HEAD")
    if not commit:
        return None
    diff = _run("git", "diff", "HEAD")
    note = "" if len(diff) <= _DIFF_LIMIT else f"\n… cut at {_DIFF_LIMIT:,} characters"
    return {"commit": commit.strip(), "diff": scrub(diff[:_DIFF_LIMIT]) + note}


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
