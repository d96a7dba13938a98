"""Why a training failed, in words."""

from __future__ import annotations

import sys

from workbench.cards import WorkbenchError


def in_words(error: BaseException) -> str:
    """An exception as one sentence for people."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "OutOfMemoryError", None) if torch else None
    text = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "not enough memory" in text:
        return f"The training ran out of memory; a smaller batch_size or model needs less. ({text or 'MemoryError'})"
    if cuda is not None and isinstance(error, cuda):
        return f"The GPU ran out of memory; a smaller batch_size or model needs less. ({text.splitlines()[0]})"
    if isinstance(error, WorkbenchError):
        return text
    line = text.strip().splitlines()[0] if text.strip() else "no message"
    return f"{type(error).__name__}: {line}"
