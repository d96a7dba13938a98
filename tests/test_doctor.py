"""The doctor: true rows, a mending command for every gap, and nothing heavy loaded to find out."""

import json
import socket
import subprocess
import sys
from importlib.metadata import version

import pytest

from workbench import doctor


@pytest.fixture(scope="module")
def rows() -> dict[str, doctor.Row]:
    return {row.what: row for row in doctor.report()}


def test_it_tells_the_versions_that_are_installed(rows):
    for package in ("torch", "lightning", "mlflow", "jupyterlab"):
        assert version(package) in rows[package].found
    assert sys.version.split()[0] in rows["Python"].found


def test_it_covers_everything_a_user_may_lack(rows):
    assert {
        "Python", "torch", "processors", "store", "disk", "MLflow store", "data: digits", "data: fashion_mnist",
        "panel", "node", "Chromium", "port 8888", "port 5000",
    } <= set(rows)  # fmt: skip


def test_every_gap_comes_with_a_command_that_mends_it(rows):
    for row in rows.values():
        assert (row.mend == "") == (row.state == "ok"), row


def test_what_the_machine_lacks_is_found_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "store"))
    found = {row.what: row for row in doctor.report()}
    assert found["Chromium"].state == "note"
    assert found["Chromium"].mend.endswith("apt-get install chromium")
    assert found["store"].state == "missing"
    assert "WORKBENCH_HOME" in found["store"].mend


def test_a_port_in_use_is_noted_with_one_that_is_free():
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 5000))
        except OSError:
            pass  # somebody else holds it: as good
        else:
            taken.listen()
        row = next(row for row in doctor.report() if row.what == "port 5000")
    assert row.state == "note"
    assert "in use" in row.found
    assert row.mend.startswith("mlflow ui --port 50")


def test_the_json_form_holds_the_same_rows():
    rows = [doctor.Row("a", "missing", "é", "mend it"), doctor.Row("b", "ok", "1.0")]
    assert [doctor.Row(**entry) for entry in json.loads(doctor.to_json(rows))] == rows


def test_the_table_shows_every_finding_and_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    doctor.show([doctor.Row("a", "missing", "not here", "apt-get install a"), doctor.Row("b", "ok", "1.0")])
    shown = capsys.readouterr().out
    assert "not here" in shown
    assert "apt-get install a" in shown
    assert "1.0" in shown


def test_asking_loads_nothing_heavy():
    heavy = "{'torch', 'lightning', 'mlflow'} & set(sys.modules)"
    code = f"import sys; from workbench import doctor; doctor.report(); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
