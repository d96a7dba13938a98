"""The set-up: what it cannot bring, it says in one sentence that names the command to type."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def setup(monkeypatch) -> ModuleType:
    """The set-up script as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("workbench_setup", ROOT / "scripts" / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_where_packages_cannot_be_had_the_log_is_named_and_the_next_call_tries_again(tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "requirements.lock").write_text("a-package-that-nobody-serves==1.0\n")
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, tmp_path / "scripts" / "setup.py"], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, env=os.environ | {"PIP_NO_INDEX": "1"},
        )  # fmt: skip
        assert done.returncode == 1
        assert "Installing 1 packages" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("set-up: pip failed; all it said is in ")
    assert "a-package-that-nobody-serves" in (tmp_path / ".venv" / "setup.log").read_text()


def test_without_apt_the_missing_chromium_is_named_with_its_command(setup, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="sudo apt-get install chromium"):
        setup.fetch_chromium()


def test_a_step_is_done_again_when_what_it_depends_on_changed(setup, monkeypatch, tmp_path):
    monkeypatch.setattr(setup, "VENV", tmp_path)
    lock = tmp_path / "lock"
    lock.write_text("a==1")
    first = setup.fingerprint(lock)
    assert setup.once("lock", first)
    (tmp_path / ".lock").write_text(first)
    assert not setup.once("lock", setup.fingerprint(lock))
    lock.write_text("a==2")
    assert setup.once("lock", setup.fingerprint(lock))


def test_the_panel_is_rebuilt_when_a_source_or_a_design_token_changed(setup, tmp_path):
    build_panel = setup.build_panel
    app = tmp_path / "extensions" / "panel"
    static = tmp_path / "workbench" / "panels" / "static"
    tokens = tmp_path / "workbench" / "figures" / "tokens.json"
    for folder in (app / "node_modules", static.parent, tokens.parent):
        folder.mkdir(parents=True)
    tokens.write_text("{}")
    build = "mkdir -p ../../workbench/panels/static && touch ../../workbench/panels/static/panel.js"
    (app / "package.json").write_text(f'{{"name": "tiny", "version": "1.0.0", "scripts": {{"build": "{build}"}}}}')
    (app / "package-lock.json").write_text('{"name": "tiny", "lockfileVersion": 3, "packages": {"": {}}}')
    assert not build_panel.up_to_date(tmp_path)
    build_panel.build(tmp_path, build_panel.find_npm())
    assert build_panel.up_to_date(tmp_path)
    (app / "node_modules" / "unrelated.js").write_text("x")
    assert build_panel.up_to_date(tmp_path)
    tokens.write_text('{"accent": "#345"}')
    assert not build_panel.up_to_date(tmp_path)
