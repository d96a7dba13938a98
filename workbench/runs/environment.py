"""What a run was trained with: versions, machine, the user's code; secrets scrubbed."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("balance-workbench", "torch", "lightning", "numpy", "hydra-core", "mlflow")
_DIFF_LIMIT = 200_000
_SECRET = re.compile(
    r"(?i)\b([\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key|credential)[\w-]*)(\s*[=:]\s*)(['\"]?)[^\s'\"]+\3"
)
_URL = re.compile(r"(://[^/\s:@]+:)[^@\s]+@")


def environment(*, code: bool = True) -> dict[str, Any]:
    """Versions, device, threads, and (`code`) the git commit and diff of the working directory, as plain data."""
    torch = sys.modules.get("torch")
    cuda = bool(torch and torch.cuda.is_available())
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "packages": {p: version(p) for p in _PACKAGES},
        "threads": torch.get_num_threads() if torch else None,
        "device": torch.cuda.get_device_name(0) if torch and cuda else "cpu",
        "argv": [scrub(a) for a in sys.argv],
        "git": _git() if code else None,
    }


def differences(recorded: Mapping[str, Any]) -> list[str]:
    """What differs here from a recorded `environment` and may change the bits, as "torch 2.13.0, was 2.12.1"."""
    here = environment(code=False)
    found = []
    for key, what in (("python", "Python"), ("machine", "machine"), ("processor", "processor")):
        if recorded.get(key) and recorded[key] != here[key]:
            found.append(f"{what} {here[key]}, was {recorded[key]}")
    then = recorded.get("packages") or {}
    found += [
        f"{p} {here['packages'][p]}, was {then[p]}" for p in _PACKAGES if then.get(p) not in (None, here["packages"][p])
    ]
    for key in ("threads", "device"):  # known only where torch is loaded
        if here["threads"] is not None and recorded.get(key) not in (None, here[key]):
            found.append(f"{key} {here[key]}, was {recorded[key]}")
    return found


def scrub(text: str) -> str:
    """The text with passwords, tokens and keys replaced by ``***``."""
    return _URL.sub(r"\1***@", _SECRET.sub(r"\1\2\3***\3", text))


@functools.cache
def _processor() -> str:
    """The processor's model, which decides the order in which kernels add up; empty where it is not told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def version(package: str) -> str | None:
    """The version of an installed distribution; None if it is not installed."""
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
