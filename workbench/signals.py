"""What a method calls to show something: `emit(name, value)`. Costs nothing until a session listens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from workbench.cards.errors import InvalidValue

RESPONSES = 8  # a step
TOKENS = 2000  # of a text
_LONGEST = 4000  # characters of a prompt or response
_UNPRINTABLE = re.compile(r"[^\n\t\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")

_listener: Callable[[str, Any], None] | None = None


def emit(name: str, value: Any) -> None:
    """Record a value of the signal `name` at the present step.

    Numbers, arrays, tensors (copied; a CUDA tensor without synchronisation) and text are taken. Several emits of one
    name in a step: the last wins. Without a session it does nothing; any thread may call it.
    """
    if _listener is not None:
        _listener(name, value)


def listen(listener: Callable[[str, Any], None] | None) -> None:
    """Make `listener(name, value)` receive every emit of this process; None: nobody. For sessions."""
    global _listener
    _listener = listener


def histogram(values: Any, low: float, high: float, bins: int) -> np.ndarray:
    """Counts in `bins` equal bins of [low, high], shape (bins,) int64; outliers fall into the end bins.

    For a `Signal` of shape ``histogram`` with ``edges=(low, high, bins)``. Non-finite values are left out.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    return np.histogram(np.clip(array, low, high), bins=bins, range=(low, high))[0]


def responses(sampled: Iterable[Mapping[str, Any]], marks: Iterable[str] = ()) -> str:
    """A few sampled responses of a language model as one text, for a `Signal` of shape ``responses``.

    ``emit("responses", responses([{"prompt": "2 + 1 =", "text": "A 3 <eos>", "reward": 1.0}], marks=("A",)))``

    Args:
        sampled: for each response ``text`` (as it reads, or tokens with spaces between them) and, where there are such,
            ``prompt``, ``reward`` (a number) and ``note`` (a few words). The first 8 are kept; of what is longer than
            4,000 characters the middle is left out.
        marks: tokens that a reader looks for (``V``), set apart where they stand alone; ``<such>`` always are.

    Raises:
        InvalidValue: a response without text, or with keys other than these.
    """
    kept = [_response(one) for one in islice(sampled, RESPONSES)]
    return json.dumps({"responses": kept, "marks": [str(m) for m in marks]}, ensure_ascii=False, allow_nan=False)


def tokens(pieces: Sequence[str], categories: Any, names: Sequence[str] = (), title: str = "") -> str:
    """A stretch of text with a category for each token in each layer, for a `Signal` of shape ``tokens``.

    ``emit("routes", tokens(["th", "e", " cat"], routes, names=["expert 1", "expert 2"]))``

    Args:
        pieces: the tokens as they read, shape (tokens,); the first 2,000 are kept. A byte that is no text of its own is
            written as ``bytes.decode(errors="surrogateescape")`` gives it and, like a control character, shown in hex.
        categories: whole numbers, shape (tokens,) or (layers, tokens); -1: none (a token that was dropped).
        names: of the categories, from 0 on; those without one are numbered from 1.
        title: which text this is.

    Raises:
        InvalidValue: categories that are no whole numbers from -1 on, or of another shape.
    """
    found = np.asarray(categories)
    layers = np.atleast_2d(found)
    if found.ndim not in (1, 2) or layers.shape[1] != len(pieces) or found.dtype.kind not in "iu":
        raise InvalidValue(
            f"Categories are whole numbers of shape (tokens,) or (layers, tokens) for {len(pieces)} tokens; "
            f"got {found.dtype} of shape {found.shape}."
        )
    if layers.size and int(layers.min()) < -1:
        raise InvalidValue(f"Categories count from 0 (-1: none); got {int(layers.min())}.")
    data = {
        "tokens": [_UNPRINTABLE.sub(_hex, str(piece)) for piece in pieces[:TOKENS]],
        "categories": layers[:, :TOKENS].tolist(), "names": [str(n) for n in names], "title": str(title),
    }  # fmt: skip
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _hex(found: re.Match[str]) -> str:
    """``<0x0B>``, as tokenizers write a byte."""
    code = ord(found.group())
    return f"<0x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02X}>"


def _response(one: Mapping[str, Any]) -> dict[str, Any]:
    known = {"prompt", "text", "reward", "note"}
    if "text" not in one or not set(one) <= known:
        raise InvalidValue(
            f"A response has a text and may have prompt, reward and note; got {', '.join(map(str, one)) or 'nothing'}."
        )
    reward = None if one.get("reward") is None else float(one["reward"])
    return {
        "prompt": _cut(str(one.get("prompt", ""))),
        "text": _cut(str(one["text"])),
        "reward": reward if reward is not None and math.isfinite(reward) else None,
        "note": _cut(str(one.get("note", ""))),
    }


def _cut(text: str) -> str:
    """At most 4,000 characters: the beginning, and the end, where the answer stands."""
    half = _LONGEST // 2 - 2
    return text if len(text) <= _LONGEST else f"{text[:half]} … {text[-half:]}"
