"""A run's folder: the journal its one worker writes, the inbox for commands, notes, and the lock that tells life.

`journal.db` is written by the lock's holder alone, `inbox.db` and `notes.db` by anybody; readers follow from any
process. Damage is found by checksums and named, never shown as a value. Needs numpy and sqlite3.
"""

from workbench.journal.inbox import Inbox
from workbench.journal.layout import RunDir
from workbench.journal.lock import RunLock, is_held
from workbench.journal.notes import Notes
from workbench.journal.reader import Reader
from workbench.journal.records import (
    ArrayPoints,
    Buckets,
    CheckpointRow,
    Command,
    CommandRecord,
    Event,
    Points,
    TextPoint,
)
from workbench.journal.writer import Writer

__all__ = [
    "ArrayPoints",
    "Buckets",
    "CheckpointRow",
    "Command",
    "CommandRecord",
    "Event",
    "Inbox",
    "Notes",
    "Points",
    "Reader",
    "RunDir",
    "RunLock",
    "TextPoint",
    "Writer",
    "is_held",
]
