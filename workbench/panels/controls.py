"""Controls as ordinary ipywidgets, for one's own layouts: they steer the panel's runs and follow what they applied."""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets

from workbench.cards import Control, UnknownName, WorkbenchError
from workbench.figures.feed import Feed
from workbench.figures.ticker import logger
from workbench.runs import FINAL


class Controls(Mapping[str, ipywidgets.ValueWidget]):
    """Widgets by control name (``controls["epsilon"]``), each made when first asked for and then the same.

    A live or stage control moves every run shown and follows what the runs applied; a value that is refused jumps
    back, with the reason as its tooltip. A launch control holds the value for `Panel.start`.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._controls = feed.card.controls
        self._widgets: dict[str, ipywidgets.ValueWidget] = {}
        self._view = f"controls-{secrets.token_hex(4)}"
        self._quiet = threading.local()  # whoever follows a frame does so on the feed's thread, not on the user's
        self._last: dict[str, Any] = {}

    def __getitem__(self, name: str) -> ipywidgets.ValueWidget:
        if name not in self._controls:
            raise UnknownName("control", name, self._controls, where=self._feed.card.id)
        if name not in self._widgets:
            control = self._controls[name]
            self._last[name] = self._present(control)
            self._widgets[name] = widget = make(control, self._last[name])
            widget.observe(lambda change, control=control: self._moved(control, change["new"]), "value")
            self._feed.subscribe(self._view, {"charts": {}}, self._follow)
        return self._widgets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._controls)

    def __len__(self) -> int:
        return len(self._controls)

    def launch_values(self) -> dict[str, Any]:
        """Values of the launch controls that were moved away from their defaults."""
        return {
            name: widget.value
            for name, widget in self._widgets.items()
            if self._controls[name].when == "launch" and widget.value != self._controls[name].default
        }

    def close(self) -> None:
        """Take the widgets off the page and follow no longer."""
        self._feed.receive({"type": "bye", "view": self._view}, self._follow)
        for widget in self._widgets.values():
            widget.close()
        self._widgets.clear()

    def _present(self, control: Control) -> Any:
        with self._feed.borrowed():
            runs = self._feed.state()["runs"]
        return runs[0]["values"].get(control.name, control.default) if runs else control.default

    def _moved(self, control: Control, value: Any) -> None:
        if getattr(self._quiet, "on", False):
            return
        widget = self._widgets[control.name]
        try:
            if control.when == "launch":
                self._last[control.name] = control.check(value)
            else:
                self._feed.perform("set", {"values": {control.name: value}})
            widget.tooltip = control.help
        except WorkbenchError as error:
            logger.warning("%s", error)
            self._put(control.name, self._last[control.name])
            widget.tooltip = str(error)

    def _follow(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        """A frame: show what the first run applied, unless a command is still on its way."""
        if message["type"] != "frame" or not message["runs"]:
            return
        run = message["runs"][0]
        moving = {name for pending in run["pending"] for name in pending["values"]}
        for name in self._widgets:
            if self._controls[name].when != "launch" and name in run["values"] and name not in moving:
                self._last[name] = run["values"][name]
                self._put(name, run["values"][name])
        if run["state"] not in FINAL:  # an ended run has nothing more to tell: the view's lease runs out
            self._feed.receive({"type": "ack", "view": self._view, "n": message["n"]}, self._follow)

    def _put(self, name: str, value: Any) -> None:
        with self._silently():
            if self._widgets[name].value != value:
                self._widgets[name].value = value

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self._quiet.on = True
        try:
            yield
        finally:
            self._quiet.on = False


def make(control: Control, value: Any) -> ipywidgets.ValueWidget:
    """The widget that suits a control: slider, log slider, number box, check box, drop-down or text."""
    shared = {
        "value": value, "description": control.label, "tooltip": control.help,
        "style": {"description_width": "initial"},
    }  # fmt: skip
    if control.kind == "bool":
        return ipywidgets.Checkbox(**shared)
    if control.kind == "choice":
        return ipywidgets.Dropdown(options=list(control.choices), **shared)
    if control.kind == "text":
        return ipywidgets.Text(continuous_update=False, **shared)
    low, high = control.min, control.max
    if control.kind == "int":
        if low is None or high is None or control.scale != "linear":
            ends = {"min": -(2**53) if low is None else int(low), "max": 2**53 if high is None else int(high)}
            return ipywidgets.BoundedIntText(**ends, **shared)
        ends = {"min": int(low), "max": int(high), "step": int(control.step or 1)}
        return ipywidgets.IntSlider(continuous_update=False, **ends, **shared)
    if low is None or high is None:
        return ipywidgets.FloatText(continuous_update=False, **shared)
    if control.scale in ("log", "log2"):
        floor = low if low > 0 else float(control.default or high) / 1000  # a log slider has no place for 0
        decades = {"min": math.log10(min(floor, value or floor)), "max": math.log10(high)}
        return ipywidgets.FloatLogSlider(
            base=10, step=0.01, readout_format=".3g", continuous_update=False, **decades, **shared
        )
    step = control.step or (high - low) / 200
    return ipywidgets.FloatSlider(min=low, max=high, step=step, readout_format=".4g", continuous_update=False, **shared)
