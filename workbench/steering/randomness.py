"""Named random streams, and code that draws without being noticed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.cards import InvalidValue

STREAMS = ("init", "data", "augment", "method", "eval")


def entropy(seed: int, name: str, *keys: int | str) -> int:
    """A 128-bit number that depends on its arguments alone."""
    text = json.dumps([seed, name, *keys])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


class Streams:
    """The named generators of a run: NumPy ones and their torch twins."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._numpy: dict[str, np.random.Generator] = {}
        self._torch: dict[str, Any] = {}

    def numpy(self, name: str, *keys: int | str) -> np.random.Generator:
        """The stream `name`; with keys a fresh generator at each call."""
        _known(name)
        if keys:
            return np.random.Generator(np.random.PCG64(entropy(self.seed, name, *keys)))
        if name not in self._numpy:
            self._numpy[name] = np.random.Generator(np.random.PCG64(entropy(self.seed, name)))
        return self._numpy[name]

    def torch(self, name: str, *keys: int | str, device: str = "cpu") -> Any:
        """The torch twin of `numpy`."""
        import torch

        _known(name)
        full = f"{name}@{device}"
        if not keys and full in self._torch:
            return self._torch[full]
        generator = torch.Generator(device=device)
        generator.manual_seed(entropy(self.seed, name, "torch", *keys) % 2**63)
        if not keys:
            self._torch[full] = generator
        return generator

    def state_dict(self) -> dict[str, Any]:
        """States as JSON text (NumPy) and uint8 tensors (torch), loadable without pickle."""
        return {
            "numpy": {n: json.dumps(g.bit_generator.state) for n, g in self._numpy.items()},
            "torch": {n: g.get_state() for n, g in self._torch.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        for name, text in state["numpy"].items():
            self.numpy(name).bit_generator.state = json.loads(text)
        for full, tensor in state["torch"].items():
            name, device = full.split("@", 1)
            self.torch(name, device=device).set_state(tensor)


def _known(name: str) -> None:
    if name not in STREAMS:
        raise InvalidValue(f"There is no random stream '{name}'; use one of {', '.join(STREAMS)}.")


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators (torch only if it is imported)."""
    number = entropy(seed, "global")
    random.seed(number)
    np.random.seed(number % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(number % 2**63)


def global_state() -> dict[str, Any]:
    """The state of every global generator, as plain data and uint8 tensors."""
    version, numbers, gauss = random.getstate()
    name, keys, pos, has, cached = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": json.dumps([version, list(numbers), gauss]),
        "numpy": json.dumps([str(name), np.asarray(keys).tolist(), int(pos), int(has), float(cached)]),
    }
    if torch := sys.modules.get("torch"):
        state["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_global_state(state: dict[str, Any]) -> None:
    """Put back what `global_state` returned."""
    version, numbers, gauss = json.loads(state["python"])
    random.setstate((version, tuple(numbers), gauss))
    name, keys, pos, has, cached = json.loads(state["numpy"])
    np.random.set_state((name, np.array(keys, dtype=np.uint32), pos, has, cached))
    if "torch" in state:
        import torch

        torch.set_rng_state(state["torch"])
        if "cuda" in state:
            torch.cuda.set_rng_state_all(state["cuda"])


@contextlib.contextmanager
def unnoticed(seed: int, step: int, modules: tuple[Any, ...]) -> Iterator[None]:
    """Run with own global random state (a function of seed and step), modules in eval mode; then undo all of it.

    Buffers of the modules come back as they were, and so do the modes of every submodule.
    """
    before = _fast_state()
    modes = [(m, m.training) for module in modules for m in module.modules()]
    buffers = [(b, b.detach().clone()) for module in modules for b in module.buffers()]
    for module in modules:
        module.eval()
    number = entropy(seed, "eval", step)
    random.seed(number)
    np.random.seed(number % 2**32)
    torch = sys.modules.get("torch")
    if torch:
        torch.manual_seed(number % 2**63)
    try:
        yield
    finally:
        _restore_fast(before)
        for module, mode in modes:
            module.training = mode
        if buffers and torch:
            with torch.no_grad():
                for buffer, old in buffers:
                    buffer.copy_(old)


def _fast_state() -> tuple[Any, ...]:
    torch = sys.modules.get("torch")
    tensors: tuple[Any, ...] = ()
    if torch:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        tensors = (torch.get_rng_state(), cuda)
    return random.getstate(), np.random.get_state(), tensors


def _restore_fast(state: tuple[Any, ...]) -> None:
    python, numpy_, tensors = state
    random.setstate(python)
    np.random.set_state(numpy_)
    if tensors:
        torch = sys.modules["torch"]
        torch.set_rng_state(tensors[0])
        if tensors[1] is not None:
            torch.cuda.set_rng_state_all(tensors[1])
