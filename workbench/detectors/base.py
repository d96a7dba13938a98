"""The protocol of a detector, and a set of detectors that are fed together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding


class Detector:
    """Sees one phenomenon in a stream of values.

    A subclass sets the class attributes and writes `update` (or, faster, `update_block`). It keeps O(1) state and reads
    no clock, so that findings are a function of the stream alone and a replay finds the same.

    Attributes:
        id: snake_case name of the phenomenon, also the id of its findings.
        title: the same for people.
        needs: signal or control names, also as patterns (``*loss*``); ``*`` is every signal.
        remedy: what to try.
        always: loaded for every run, whether or not its card names it.
        labels: signal name → names of a vector's components, filled in by `load` from the card.
    """

    id: ClassVar[str] = ""
    title: ClassVar[str] = ""
    needs: tuple[str, ...] = ()
    remedy: str = ""
    always: ClassVar[bool] = False

    def __init__(self) -> None:
        self.labels: dict[str, tuple[str, ...]] = {}
        self._wanted: dict[str, bool] = {}

    def wants(self, name: str) -> bool:
        """Whether `needs` covers a signal or control of that name."""
        wanted = self._wanted.get(name)
        if wanted is None:
            wanted = self._wanted[name] = any(fnmatchcase(name, need) for need in self.needs)
        return wanted

    def update(self, step: int, values: Mapping[str, Any]) -> Iterable[Finding]:
        """Findings that are new or have changed with the values of this step.

        `values` holds what `needs` covers and has a value now; a control appears when it changes.
        """
        raise NotImplementedError

    def update_block(self, steps: np.ndarray, columns: Mapping[str, np.ndarray]) -> Iterable[Finding]:
        """The same for consecutive steps (n,), where every column, (n,) or (n, *shape), has a value at each of them."""
        wanted = {name: column for name, column in columns.items() if self.wants(name)}
        if wanted:
            for i, step in enumerate(steps):
                yield from self.update(int(step), {name: column[i] for name, column in wanted.items()})

    def finish(self, step: int) -> Iterable[Finding]:
        """Close what is open: the run ended at this step."""
        return ()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here, as plain JSON data."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""

    def component(self, signal: str, index: int) -> str:
        """The name of a vector's component: its label, else its number."""
        labels = self.labels.get(signal, ())
        return labels[index] if index < len(labels) else str(index)


class Detectors:
    """Detectors fed together; one that raises is taken out and says so as a finding, the others go on."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._active = list(detectors)

    def __iter__(self) -> Iterator[Detector]:
        return iter(self._active)

    def wants(self, name: str) -> bool:
        """Whether any of them needs a signal or control of that name."""
        return any(detector.wants(name) for detector in self._active)

    def update_block(self, steps: np.ndarray, columns: Mapping[str, np.ndarray]) -> list[Finding]:
        """Findings that are new or have changed; `Detector.update_block` says what the arguments are."""
        return self._ask(lambda d: d.update_block(steps, columns), int(steps[0]) if len(steps) else 0)

    def finish(self, step: int) -> list[Finding]:
        """Close everything that is open: the run ended at this step."""
        return self._ask(lambda d: d.finish(step), step)

    def _ask(self, question: Any, step: int) -> list[Finding]:
        found: list[Finding] = []
        for detector in tuple(self._active):
            try:
                found.extend(question(detector))
            except Exception as error:  # noqa: BLE001 (a detector is a guest on the thread that keeps the journal)
                self._active.remove(detector)
                found.append(_broken(detector, step, error))
        return found

    def state_dict(self) -> dict[str, Any]:
        """State of each, in order, as plain JSON data."""
        return {"detectors": [[detector.id, detector.state_dict()] for detector in self._active]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; detectors that the state does not know start afresh."""
        saved = [list(entry) for entry in state.get("detectors", ())]
        for detector in self._active:
            entry = next((e for e in saved if e[0] == detector.id), None)
            if entry is not None:
                saved.remove(entry)
                detector.load_state_dict(entry[1])


def _broken(detector: Detector, step: int, error: Exception) -> Finding:
    return Finding(
        id="detector_failed",
        title="Detector failed",
        first=step,
        last=step,
        severity="info",
        subject=detector.id,
        sentence=f"The detector {detector.id} failed at step {step} and was switched off for the rest of this run: "
        f"{type(error).__name__}: {error}",
        remedy="Training is not affected; mend the detector and scan the recorded run again.",
        evidence={"error": f"{type(error).__name__}: {error}"},
    )
