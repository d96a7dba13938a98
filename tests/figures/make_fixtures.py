"""Writes tests/figures/fixtures/*.json: the frames that Python's and TypeScript's unit tests both read.

Run from the root, after a change of the frames' form: ``python -m tests.figures.make_fixtures``. Each file holds
``{"head": message, "buffers": [base64 of little-endian float32]}``. What depends on the clock or on chance (ids, times)
is replaced by fixed values, so that a run without changes writes the same bytes.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.figures.recorded import CARD, START, feed_of, record
from workbench.journal import CommandRecord, Inbox

FOLDER = Path(__file__).parent / "fixtures"
CHARTS = {v.id: {"width": 120, "range": None, "component": None, "run": None} for v in CARD.views}


def messages(store: Path) -> dict[str, tuple[dict[str, Any], list[bytes]]]:
    """Fixture name → message and buffers, made by a real feed from real journals of drawn data."""
    made: dict[str, tuple[dict[str, Any], list[bytes]]] = {}
    empty = feed_of(store)
    made["spec"] = ({**empty.snapshot(), "view": "v1", "store": "/home/you/.workbench"}, [])
    made["frame_no_runs"] = _frame(empty, {})
    broken, mended = record(store, "broken").go(400, nan_at=(123, 124, 250)), record(store, "mended").go(300)
    broken.find(20, 140).find(200, None)
    feed = feed_of(store)
    feed.perform("set", {"values": {"epsilon": 0.2}})
    [command] = Inbox(broken.run.dir).after(0)
    broken.writer.record_commands(
        [CommandRecord.of(command, "applied", step=210, old={"epsilon": 0.1}, new={"epsilon": 0.2})]
    )
    [command] = Inbox(mended.run.dir).after(0)
    refusal = CommandRecord.of(command, "refused", step=210, reason="epsilon must lie between 0 and 0.5 pixel; got 8.")
    mended.writer.record_commands([refusal])
    feed.perform("set", {"values": {"tight": False}})
    made["frame_full"] = _frame(feed, CHARTS)
    made["frame_zoomed"] = _frame(feed, {"loss": {"width": 120, "range": [100, 150]}, "width": {"component": 2}})
    light, _ = made["frame_full"]
    made["frame_light"] = ({**light, "n": light["n"] + 1, "full": False, "charts": None}, [b""])
    mended.end("failed", "FloatingPointError: the wave broke at step 299")
    made["frame_failed"] = _frame(feed, {})
    feed.close()
    broken.end()
    return {name: _fixed(message) for name, message in made.items()}


def _frame(feed: Any, charts: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    feed.subscribe("v1", {"active": True, "charts": charts, "at": None}, lambda head, buffers: None)
    with feed.borrowed():
        found = feed.frame("v1", force=True)
    assert found is not None
    feed.close()
    return found


def _fixed(message: tuple[dict[str, Any], list[bytes]]) -> tuple[dict[str, Any], list[bytes]]:
    head, buffers = message
    text = json.dumps(head)
    for i, run_id in enumerate(sorted(set(re.findall(r"\d{8}-\d{6}-demo-waves-\w{4}", text)))):
        text = text.replace(run_id, f"20261124-120000-demo-waves-aaa{i}")
    clock = time.time()

    def still(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: still(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [still(v, key) for v in value]
        if key in ("time", "started") and isinstance(value, float) and abs(value - clock) < 3600:
            return START
        return {"age_s": 0.4, "rate": 38.0, "eta_s": 4.0, "version": 1, "n": 7, "full_n": 7}.get(key, value)

    return still(json.loads(text)), buffers


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as store:
        for name, (head, buffers) in messages(Path(store)).items():
            data = {"head": head, "buffers": [base64.b64encode(b).decode() for b in buffers]}
            text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
            text = re.sub(r"\[\s+(-?[\d.]+),\s+(-?[\d.]+)\s+\]", r"[\1, \2]", text)
            (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
