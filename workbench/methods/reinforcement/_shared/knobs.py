"""Knobs that several methods have, declared once, and what they refuse in common. Light: for cards' configurations."""

from __future__ import annotations

from typing import Any

from workbench.cards import InvalidValue, control

_KNOBS: dict[str, dict[str, Any]] = {
    "batch_size": {
        "default": 128, "min": 2, "max": 4096, "scale": "log2", "unit": "responses", "when": "launch", "help": "a step",
    },
    "clip": {
        "default": 0.2, "min": 0.05, "max": 0.5, "step": 0.01,
        "help": "the ratio to the old policy counts inside 1 - clip to 1 + clip",
    },
    "epochs": {"default": 2, "min": 1, "max": 8, "help": "how often a batch is gone through"},
    "grad_clip": {
        "default": 1.0, "min": 0.01, "max": 100, "scale": "log", "label": "gradient clipping",
        "help": "largest norm of the gradient",
    },
    "group_size": {
        "default": 8, "min": 2, "max": 64, "scale": "log2", "unit": "responses", "label": "responses a prompt",
        "help": "compared with each other; must divide the batch",
    },
    "kl_loss": {"default": 0.0, "min": 0, "max": 0.2, "step": 0.005, "label": "KL in the loss"},
    "max_new": {
        "default": 40, "min": 4, "max": 40, "unit": "tokens", "label": "longest response",
        "help": "a longer one is cut off and counts as wrong",
    },
    "minibatches": {
        "default": 2, "min": 1, "max": 16, "help": "parts of a batch, each with a step of the optimiser",
    },
    "scale_rewards": {
        "default": "group", "choices": ("group", "batch", "none"), "label": "divide by the deviation of",
    },
    "sft_batch": {
        "default": 64, "min": 1, "max": 1024, "scale": "log2", "unit": "traces", "when": "launch",
        "label": "batch of traces", "help": "a step; an epoch leaves out what does not fill one",
    },
    "temperature": {"default": 1.0, "min": 0.1, "max": 2, "step": 0.05, "help": "of sampling"},
    "traces": {"default": 1024, "min": 16, "max": 10**5, "scale": "log", "when": "launch"},
}  # fmt: skip


def knob(name: str, group: str, **changes: Any) -> Any:
    """The field of a knob, in the method's own `group` of controls; `changes` are of what `control` takes."""
    return control(**{**_KNOBS[name], "group": group, **changes})


def check_parts(batch_size: int, **parts: int) -> None:
    """Raises `InvalidValue` for the first of these settings that does not divide the batch."""
    for name, part in parts.items():
        if batch_size % part:
            raise InvalidValue(f"{name} must divide batch_size; got {part} and {batch_size} responses.")


def check_traces(sft_batch: int, traces: int) -> None:
    """Raises `InvalidValue` for a batch of more traces than there are."""
    if sft_batch > traces:
        raise InvalidValue(f"sft_batch must not exceed traces, or an epoch has no step; got {sft_batch} and {traces}.")
