"""What is installed is what is declared: lock, conda environment and a wheel that works alone."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import workbench

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"pytorch": "torch"}
CONDA_ONLY = {"python", "pip", "nodejs"}


def requirements(extra: str) -> dict[str, Requirement]:
    """What an extra brings in the end, by canonical name; "" is the base."""
    texts = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    found: dict[str, Requirement] = {}
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            for inner in requirement.extras:
                found |= requirements(inner)
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_the_lock_holds_names_and_versions_only():
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), line
    assert locked()["torch"] == "2.13.0"


def test_the_lock_satisfies_every_declared_range():
    pinned = {canonicalize_name(name): version for name, version in locked().items()}
    for name, requirement in (requirements("") | requirements("dev")).items():
        assert name in pinned, f"{name} is declared but not locked"
        assert requirement.specifier.contains(pinned[name]), f"{requirement} does not admit the locked {pinned[name]}"


def test_every_locked_package_runs_on_the_oldest_python_we_promise():
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    for name in locked():
        needs = metadata(name).get("Requires-Python") or ""
        assert SpecifierSet(needs).contains(oldest), f"{name} needs Python {needs}"


def test_ranges_are_open_upwards():
    for requirement in (requirements("") | requirements("dev")).values():
        assert [clause.operator for clause in requirement.specifier] == [">="], requirement


def test_all_holds_every_extra_that_a_user_may_want():
    wanted = {
        name: r
        for e in PROJECT["optional-dependencies"]
        if e not in {"test", "dev"}
        for name, r in requirements(e).items()
    }
    assert requirements("all") == wanted


def test_every_family_of_methods_has_an_extra():
    families = {name.partition("/")[0] for name in workbench.experiments()}
    assert families <= set(PROJECT["optional-dependencies"])


def test_the_conda_environment_agrees_with_the_project():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {
        CONDA_NAMES.get(r.name, r.name): r.specifier
        for r in map(Requirement, filter(lambda x: isinstance(x, str), listed))
    }
    assert str(conda["python"]) == PROJECT["requires-python"]
    ours = {name: r.specifier for name, r in (requirements("") | requirements("all")).items()}
    assert {name: spec for name, spec in conda.items() if name not in CONDA_ONLY} == ours


def test_version_and_licence_are_said_once_and_alike():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == workbench.__version__
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_make_help_lists_every_target_and_ci_runs_the_readmes_test_command():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split())
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[1] for line in shown.splitlines()} == targets - {"setup-test"}
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert {"lab", "test"} <= set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets


# ------------------------------------------------------------------ the wheel


@pytest.fixture
def tree(tmp_path) -> Path:
    """A copy of what the wheel is made of, so that building touches nothing here."""
    copy = tmp_path / "tree"
    copy.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("workbench", "scripts", "extensions"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__", "dist"))
    return copy


def build_wheel(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-w", "out"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


def members(tree: Path) -> set[str]:
    (wheel,) = (tree / "out").glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_works_alone_with_the_built_javascript_inside(tree, tmp_path):
    done = build_wheel(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    names = members(tree)
    source = {
        p.relative_to(ROOT).as_posix()
        for p in (ROOT / "workbench").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert source <= names | {"workbench/panels/static/.sources"}
    assert "workbench/panels/static/panel.js" in names
    assert {n.partition("/")[0] for n in names} == {"workbench", f"balance_workbench-{workbench.__version__}.dist-info"}

    target = tmp_path / "installed"
    (wheel,) = (tree / "out").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, wheel]
    subprocess.run(pip, check=True, capture_output=True)
    code = (
        "import workbench, workbench.panels; from importlib.metadata import entry_points;"
        "assert workbench.experiments(), 'no experiment';"
        "assert any(e.name == 'workbench' for e in entry_points(group='console_scripts'));"
        "print(workbench.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(target)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(target)


def tiny_panel(tree: Path, build: str) -> None:
    """Replace the panel's app by one without dependencies, whose bundle is therefore out of date."""
    app = tree / "extensions" / "panel"
    shutil.rmtree(app)
    app.mkdir()
    (app / "package.json").write_text(f'{{"name": "tiny", "version": "1.0.0", "scripts": {{"build": "{build}"}}}}')
    lock = '{"name": "tiny", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"version": "1.0.0"}}}'
    (app / "package-lock.json").write_text(lock)


def test_a_wheel_builds_the_javascript_when_its_sources_changed(tree):
    tiny_panel(tree, "mkdir -p ../../workbench/panels/static && echo fresh > ../../workbench/panels/static/panel.js")
    assert build_wheel(tree).returncode == 0
    (wheel,) = (tree / "out").glob("*.whl")
    assert zipfile.ZipFile(wheel).read("workbench/panels/static/panel.js") == b"fresh\n"


@pytest.mark.parametrize(
    ("build", "says"), [("echo no bundler here && exit 3", "no bundler here"), ("true", "made no")]
)
def test_no_wheel_is_made_without_its_javascript(tree, build, says):
    tiny_panel(tree, build)
    done = build_wheel(tree)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert not list(tree.glob("out/*.whl"))
