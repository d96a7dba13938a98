"""A wall clock that somebody sets: `time.time` is off by the seconds that stand in a file, read at every call."""

import os
import time

_true = time.time
_file = os.environ["FAULTS_CLOCK"]


def _set_by_somebody() -> float:
    with open(_file) as file:  # noqa: PTH123 (nothing may be imported so early that is not needed)
        return _true() + float(file.read() or 0)


time.time = _set_by_somebody
