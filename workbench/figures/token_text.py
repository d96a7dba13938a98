"""A stretch of text with a category for each token, in one of its layers: which expert each one went to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from workbench.figures.ancestry import text_at
from workbench.figures.chartdata import TokensData
from workbench.figures.charts import Request, builds, waiting
from workbench.figures.lines import one_of

_KEYS = {"tokens", "categories", "names", "title"}


@builds("tokens")
def tokens(request: Request, common: dict[str, Any]) -> TokensData:
    """One run's text at the newest step or the time slider's, in the layer asked for, else the last."""
    name = request.view.lines()[0].signal
    for run in request.runs[:1]:
        found = text_at(run, name, request.at)
        if found is None:
            continue
        shared = {**common, "step": found[0], "run": run.id}
        data = read(found[1])
        if data is None:
            words = f"{name} is a text of another kind: workbench.signals.tokens makes what is drawn here."
            return TokensData(**{**shared, "empty": words})
        layers = np.asarray(data["categories"], dtype=np.float64)
        component, components = one_of(request, request.signal(name), len(layers))
        count = max(len(data["names"]), int(layers.max(initial=-1)) + 1)
        names = (*data["names"], *(str(i + 1) for i in range(len(data["names"]), count)))
        chosen = layers[component]
        counts = np.bincount(chosen[chosen >= 0].astype(np.intp), minlength=count)
        title = " · ".join(t for t in (data["title"], common["subtitle"]) if t)
        return TokensData(
            **{**shared, "component": component, "components": components if len(components) > 1 else (),
               "subtitle": title},
            pieces=tuple(data["tokens"]), categories=chosen, names=names,
            shares=tuple((counts / max(chosen.size, 1)).tolist()),
        )  # fmt: skip
    return TokensData(**{**common, "empty": common["empty"] or waiting(request, [name])})


def read(text: str) -> dict[str, Any] | None:
    """What `workbench.signals.tokens` made, as plain data; None: a text of another kind."""
    if not text.startswith('{"tokens":'):
        return None
    try:
        data = json.loads(text)
        layers = np.asarray(data["categories"], dtype=np.int64)
        known = set(data) == _KEYS and layers.ndim == 2 and layers.shape[1] == len(data["tokens"]) and len(layers) > 0
    except (ValueError, TypeError, KeyError):
        return None
    return data if known else None
