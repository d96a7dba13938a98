"""The one tree of exceptions: every error a user can cause is a `WorkbenchError` whose text says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorkbenchError(Exception):
    """Root of everything the workbench raises for its user; `str(error)` is one or two plain sentences."""

    exit_code = 2


class UnknownName(WorkbenchError, LookupError):
    """A name (experiment, control, arm, preset, signal, run, data set) that does not exist."""

    def __init__(self, what: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        self.what, self.name, self.known = what, name, sorted(known)
        place = f" in {where}" if where else ""
        near = difflib.get_close_matches(name, self.known, n=1, cutoff=0.5)
        if near:
            hint = f" Did you mean '{near[0]}'?"
        elif self.known:
            shown = ", ".join(self.known[:12]) + (", …" if len(self.known) > 12 else "")
            hint = f" Known: {shown}."
        else:
            hint = f" There is no {what} yet."
        super().__init__(f"There is no {what} '{name}'{place}.{hint}")


class InvalidValue(WorkbenchError, ValueError):
    """A value of the wrong type, out of range, not finite, or against a rule between fields."""


class NotAllowed(WorkbenchError):
    """Something that cannot be done now (a launch control of a running run, a command to a finished run)."""


class MissingData(WorkbenchError):
    """A data set, package or file that is not on this machine; the text names the command that brings it."""


class StoreError(WorkbenchError):
    """The store of runs cannot be read or written; the text names the folder and the reason."""


class RunFailed(WorkbenchError):
    """A run ended as failed or lost."""

    exit_code = 1
