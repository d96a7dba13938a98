"""Where and with what a benchmark ran."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psutil

PACKAGES = (
    "numpy", "torch", "lightning", "mlflow", "tensorboard", "jupyterlab", "anywidget", "plotly", "playwright",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Processor, cores, memory and system."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Python, what is measured, what is measured against, and the browser."""
    found = {"python": platform.python_version()}
    for name in ("balance-workbench", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if browser := shutil.which("chromium"):
        said = subprocess.run([browser, "--version"], capture_output=True, text=True).stdout.split()
        found["chromium"] = next((w for w in said if w[0].isdigit()), "unknown")
    return found


def load() -> float:
    """Processes that wanted a core, mean of the last minute."""
    return round(os.getloadavg()[0], 2)


def memory(pid: int | str = "self") -> dict[str, float]:
    """Resident memory of a process now and at its highest, in MB (10⁶ bytes), as Linux counts it."""
    said = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {name: int(said[key].split()[0]) * 1024 / 1e6 for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))}


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
