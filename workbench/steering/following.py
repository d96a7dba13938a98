"""Letting rules act at a boundary: a firing becomes an ordinary command of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.cards.controls import canonical

if TYPE_CHECKING:
    from workbench.steering.session import Session


def follow(session: Session, step: int) -> None:
    """Issue what the rules set before `step`, unless a command of an earlier attempt or of the parent did it."""
    assert session.rules is not None
    new = step >= session.desk.hold  # before it, what the rules did is among the recorded commands
    undone = step == session.beginning.undone_at  # a fork before a rule's own row
    for firing in session.rules.due(step, (lambda: _asked(session)) if new else tuple):
        payload = {"values": firing.values, "rule": firing.label}
        again = session.replayed[0] == step and payload in session.replayed[1]
        if new and not undone and not again and not _is_waiting(session, payload):
            session.inbox.issue("set", payload, at_step=step, source="rule")
            session.look_at_once()


def _is_waiting(session: Session, payload: dict[str, Any]) -> bool:
    """Whether an attempt that was killed right then had issued it already."""
    session.receive()
    waiting = session.desk.waiting
    return any(c.source == "rule" and c.at_step == session.step and c.payload == payload for c in waiting)


def _asked(session: Session) -> set[str]:
    """Controls that somebody else's commands set at this boundary: a ramp gives way to them."""
    session.receive()
    sets = (c for c in session.desk.waiting if c.kind == "set" and c.source != "rule")
    now = (c for c in sets if (c.at_step or 0) <= session.step)
    return {canonical(name) for c in now for name in c.payload.get("values", {})}
