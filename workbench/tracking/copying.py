"""The copy of one run in MLflow: what was sent, what is new, and sending it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.cards.errors import WorkbenchError
from workbench.journal import Notes, RunDir
from workbench.journal.layout import KEPT_MODEL
from workbench.runs import Run, Store
from workbench.runs.lineage import origin
from workbench.runs.remarks import remarks
from workbench.tracking import describe, destination
from workbench.tracking.model import convert
from workbench.tracking.thinning import COMPONENT_POINTS, POINTS, Grid, onsets, thin

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BATCH = 1_000  # MLflow's own limit of metrics a request
_LEAST = 50  # of them, after failures
_SPAN = 200_000  # steps read from a journal at a time
_HELD = 20_000  # rows gathered before they are sent
_COMPONENTS = 32  # longer vectors (histograms) are in the Parquet file alone
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED", "lost": "FAILED"}
Row = tuple[str, float, int, int]  # key, value, timestamp in ms, step


class Copy:
    """Sends what is new of one run. Its memory is a note in the run's folder, so that any process can go on.

    MLflow drops a row that it has already (same key, step, time and value), so that a crash between sending and noting
    repeats nothing visibly.
    """

    def __init__(self, run: Run, store: Store, client: MlflowClient, uri: str) -> None:
        self.run, self.store, self.client, self.uri = run, store, client, uri
        self._key = f"mirror {uri}"
        self.state: dict[str, Any] = {
            "run_id": "", "name": "", "plan": None, "series": {}, "controls": {}, "non_finite": {}, "artifacts": [],
            "done": "", "said": {},
            **(run.notes.get(self._key) or {}),
        }  # fmt: skip
        self._tags: dict[str, str] | None = None
        self._batch = _BATCH
        self.sent = 0

    @property
    def done(self) -> bool:
        """Whether all of an ended run has been sent, with what people say of it, and it is not taken up again."""
        return self._ended_and_sent and self.state["said"] == self._said()

    @property
    def _ended_and_sent(self) -> bool:
        return bool(self.state["done"]) and self.state["done"] == self.run.state

    def _said(self) -> dict[str, Any]:
        """What may change after a run's end: people's words, and where the copy of its origin is."""
        return {**remarks(self.run), "origin": self._origin()}

    def sync(self) -> None:
        """Send what is new; when the run has ended, all of it. Raises whatever the other side raises."""
        state = self.run.state
        if state in ("queued", "starting") or self.done:
            return
        if not self.state["run_id"]:
            self._open()
        said = self._said()
        if self._ended_and_sent:
            self._set_tags()
            self.state["said"] = said
            self._remember()
            return
        if self.state["done"]:  # ended once, taken up again
            self.state.update(done="", artifacts=[])
            self.client.update_run(self.state["run_id"], status="RUNNING")
        ended = self.run.ended
        self._metrics(ended)
        self._controls(ended)
        self._set_tags()
        if ended:
            self.client.set_terminated(self.state["run_id"], status=_STATUS[state], end_time=self._end())
            self._artifacts()
            self.state.update(done=state, said=said)
            self._remember()

    def _remember(self) -> None:
        self.run.notes.set(self._key, self.state)

    # -- the run itself -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        experiment = self._experiment()
        found = self.client.search_runs([experiment], f"tags.`workbench.run_id` = '{self.run.id}'", max_results=1)
        name = describe.run_name(self.run)
        if found:
            run_id, name = found[0].info.run_id, str(found[0].info.run_name)
        else:
            tags = {"workbench.run_id": self.run.id, **self._lineage()}
            start = self._start()
            run_id = self.client.create_run(experiment, start_time=start, tags=tags, run_name=name).info.run_id
        from mlflow.entities import Param

        params = [Param(name, value) for name, value in describe.params(self.run).items()]
        for at in range(0, len(params), 100):
            self.client.log_batch(run_id, params=params[at : at + 100])
        self.state.update(run_id=run_id, name=name, plan=int(self.run.steps or 0))
        self._remember()
        address = {"run_id": run_id, "experiment_id": experiment, "uri": self.uri}
        self.run.notes.set("mlflow", address)

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self.run.experiment
        found = self.client.get_experiment_by_name(name)
        if found is None:
            card = self.run.card
            place = destination.artifact_location(self.uri, self.store, name)
            # Without its kind MLflow opens the experiment as one of language-model evaluations.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            tags |= {"mlflow.note.content": _experiment_note(card)} if card else {}
            try:
                return str(self.client.create_experiment(name, artifact_location=place, tags=tags))
            except MlflowException:  # somebody else was faster
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _lineage(self) -> dict[str, str]:
        """Forks and replays stand below the run they came from; arms that were started together share a tag instead.

        A parent made up for a group would be a row without curves that never trained, and would hide the true lineage;
        MLflow's table groups by the tag `workbench.group` with one click.
        """
        above = self._origin()
        return {"mlflow.parentRunId": above} if above else {}

    def _origin(self) -> str:
        """MLflow's id of the copy, in the same place, of the run that this one came from; empty: there is none."""
        name = origin(self.run)
        if not name:
            return ""
        copied = Notes(RunDir(self.store.path / name)).get(self._key) or {}
        return str(copied.get("run_id") or "")

    def _start(self) -> int:
        events = self.run.reader.events()
        return int(1000 * (events[0].time if events else time.time()))

    def _end(self) -> int:
        events = self.run.reader.events()
        times = [e.time for e in events[-1:]] if self.run.state != "lost" else []
        for name, kind in self.run.reader.names().items():
            if self.run.state == "lost" and kind == "scalar" and (extent := self.run.reader.extent(name)):
                times += self.run.reader.scalars(name, extent[1], extent[1]).times.tolist()
        return int(1000 * max(times, default=time.time()))

    # -- metrics ------------------------------------------------------------------------------------------------------

    def _metrics(self, ended: bool) -> None:
        self.run.refresh()
        # The newest step may still gain values; everything before it is complete.
        limit = self.run.reader.last_step + (1 if ended else 0)
        rows: list[Row] = []
        marks: dict[str, dict[str, Any]] = {}
        for name, kind in self.run.reader.names().items():
            if kind == "text":
                continue
            mark = dict(self.state["series"].get(name) or {"start": 0, "bad": []})
            span = _SPAN
            while (before := mark["start"]) < limit:
                top = min(limit, before + span)
                rows += self._rows(name, kind, mark, top, final=ended and top == limit)
                marks[name] = dict(mark)
                if len(rows) > _HELD:
                    self._deliver(rows, marks)
                if top == limit:
                    break
                span = 2 * span if mark["start"] == before else _SPAN  # a bucket may be wider than that
            if ended and (extent := self.run.reader.extent(name)):
                # MLflow shows the newest point as *the* value: let it be the last one and not a bucket's extreme.
                newest = {"start": extent[1], "bad": mark["bad"]}
                rows += self._rows(name, kind, newest, extent[1] + 1, final=True)
        self._deliver(rows, marks)

    def _deliver(self, rows: list[Row], marks: dict[str, dict[str, Any]]) -> None:
        """Send; what is remembered moves only once the rows have arrived."""
        self._send(rows)
        self.state["series"].update(marks)
        if rows:
            self._remember()
        rows.clear()
        marks.clear()

    def _rows(self, name: str, kind: str, mark: dict[str, Any], top: int, *, final: bool) -> Iterator[Row]:
        """New rows of a signal up to the step `top`; moves `mark` past them."""
        full = (self.run.config.get("tracking") or {}).get("resolution") == "full"
        start = int(mark["start"])
        grid = Grid(int(self.state["plan"] or 0), POINTS if kind == "scalar" else COMPONENT_POINTS)
        ends = np.arange(start + 1, top + 1) if full else grid.ends(start, top)
        if final and (not len(ends) or ends[-1] < top):
            ends = np.append(ends, top)
        if not len(ends):
            return
        last = int(ends[-1]) - 1
        points = (self.run.reader.scalars if kind == "scalar" else self.run.reader.arrays)(name, start, last)
        mark["start"] = int(ends[-1])
        if not len(points.steps):
            return
        table = np.asarray(points.values, np.float64).reshape(len(points.steps), -1)
        if kind != "scalar" and (points.values.ndim != 2 or not 1 <= table.shape[1] <= _COMPONENTS):
            return
        card = self.run.card
        signal = card.signal(name) if card else None
        if signal is not None and kind != "scalar" and signal.shape != "vector":
            return
        labels = signal.labels if signal else ()
        bad = list(mark["bad"]) if len(mark["bad"]) == table.shape[1] else [False] * table.shape[1]
        times = (1000 * points.times).astype(np.int64)
        for i in range(table.shape[1]):
            label = labels[i] if i < len(labels) else str(i)
            path = describe.key(name if kind == "scalar" else f"{name}/{label}")
            values = table[:, i]
            places = np.flatnonzero(np.isfinite(values)) if full else thin(points.steps, values, ends)
            for p in places:
                yield path, float(values[p]), int(times[p]), int(points.steps[p])
            for p in onsets(values, bool(bad[i])):
                yield path, float("nan"), int(times[p]), int(points.steps[p])
                text = f"{values[p]} first at step {points.steps[p]}; MLflow shows it as NaN"
                self.state["non_finite"].setdefault(path, text)
            bad[i] = bool(~np.isfinite(values[-1]))
        mark["bad"] = bad

    def _controls(self, ended: bool) -> None:
        for name, stair in describe.control_points(self.run).items():
            done = int(self.state["controls"].get(name, 0))
            rows = [(describe.key(f"control/{name}"), v, int(1000 * t), s) for s, t, v in stair[done:]]
            if ended and self.run.reader.last_step > stair[-1][0]:
                rows.append((describe.key(f"control/{name}"), stair[-1][2], self._end(), self.run.reader.last_step))
            self._send(rows)
            if rows:
                self.state["controls"][name] = len(stair)
                self._remember()

    def _send(self, rows: list[Row]) -> None:
        from mlflow.entities import Metric

        at = 0
        while at < len(rows):
            part = rows[at : at + self._batch]
            try:
                self.client.log_batch(self.state["run_id"], metrics=[Metric(*row) for row in part])
            except Exception:  # a server too slow for so many would never get anywhere
                self._batch = max(_LEAST, len(part) // 2)
                raise
            at += len(part)
            self.sent += len(part)
            self._batch = min(_BATCH, 2 * self._batch)

    # -- words and files ----------------------------------------------------------------------------------------------

    def _set_tags(self) -> None:
        from mlflow.entities import RunTag

        if self._tags is None:
            self._tags = dict(self.client.get_run(self.state["run_id"]).data.tags)
        wanted = describe.tags(self.run, self.state["non_finite"]) | self._lineage()
        new = {name: text for name, text in wanted.items() if self._tags.get(name) != text}
        items = [RunTag(name, text) for name, text in new.items()]
        for at in range(0, len(items), 100):
            self.client.log_batch(self.state["run_id"], tags=items[at : at + 100])
        self._tags.update(new)
        for gone in [name for name in self._tags if name.startswith("workbench.") and name not in wanted]:
            self.client.delete_tag(self.state["run_id"], gone)
            del self._tags[gone]
        name = describe.run_name(self.run)
        if name != self.state["name"]:  # a name given in MLflow stays until the run gets one here
            self.client.update_run(self.state["run_id"], name=name)
            self.state["name"] = name
            self._remember()

    def _artifacts(self) -> None:
        """Files of an ended run, each sent once; where a file cannot be made the reason stands in its place."""
        makers = {
            "journal.parquet": self.run.reader.export,
            "interventions.json": lambda path: _write_json(path, describe.interventions(self.run)),
            "findings.json": lambda path: _write_json(path, [f.to_json() for f in self.run.reader.findings()]),
            "environment.json": lambda path: _write_json(path, self.run.reader.meta.get("environment") or {}),
            "config.yaml": lambda path: path.write_bytes(self.run.dir.config.read_bytes()),
            "figures.html": self._figures,
        }
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            for name, make in makers.items():
                if name in self.state["artifacts"]:
                    continue
                path = Path(folder) / name
                try:
                    make(path)
                except (ImportError, WorkbenchError, ValueError, KeyError, TypeError) as error:
                    path = path.with_suffix(".missing.txt")
                    path.write_text(f"{name} could not be made: {destination.in_words(error)}\n")
                if path.exists():
                    self.client.log_artifact(self.state["run_id"], str(path))
                self.state["artifacts"].append(name)
                self._remember()
        self._model()

    def _model(self) -> None:
        """The final model, if the run kept one, as MLflow's pages, search and registry know models."""
        kept = self.run.dir.artifacts / KEPT_MODEL
        if "model" in self.state["artifacts"] or not kept.exists():
            return
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            made = Path(folder) / "model"
            try:
                convert(kept, made)
                self.client.log_artifacts(self.state["run_id"], str(made), "model")
            except WorkbenchError as error:
                note = Path(folder) / "model.missing.txt"
                note.write_text(f"{error}\n")
                self.client.log_artifact(self.state["run_id"], str(note))
        self.state["artifacts"].append("model")
        self._remember()

    def _figures(self, path: Path) -> None:
        """Every chart of the card on one page that works offline."""
        from workbench.figures.charts import chart_data
        from workbench.figures.plotly_ import figure

        card = self.run.card
        if card is None:
            return
        parts: list[str] = []
        found = [f.to_json() for f in self.run.reader.findings()]
        for view in card.views:
            fig = figure(chart_data(card, [self.run], view, width=900), findings=found)
            fig.update_layout(height=420)
            parts.append(fig.to_html(include_plotlyjs=not parts, full_html=False, config={"displaylogo": False}))
        head = f"<!doctype html><meta charset='utf-8'><title>{self.run.id}</title>"
        path.write_text(f"{head}<body style='max-width:960px;margin:auto'>" + "\n".join(parts), encoding="utf-8")


def _experiment_note(card: Any) -> str:
    return f"**{card.title}**\n\n*Phenomenon:* {card.phenomenon}\n\n*Remedy:* {card.remedy}\n\n" + "\n".join(card.notes)


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1, default=str), encoding="utf-8")
