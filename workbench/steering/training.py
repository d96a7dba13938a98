"""The torch side of a session: what is registered, what a moved learning rate means, what is hashed at the end."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim import lr_scheduler as schedulers

from workbench.cards import Control, InvalidValue
from workbench.cards.controls import SGD, Adam, controls_of

_BETAS = {"beta1": 0, "beta2": 1}
_SCALED_GROUP = ("lr", "initial_lr", "max_lr", "min_lr")
_SCALED_SCHEDULE = ("base_lrs", "max_lrs", "min_lrs", "eta_min", "_last_lr")  # the last is what Trainers log


class Training:
    """Modules, optimizers, schedulers and other stateful objects of a run, by name."""

    def __init__(self) -> None:
        self.modules: dict[str, torch.nn.Module] = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.schedulers: dict[str, Any] = {}
        self.others: dict[str, Any] = {}

    def register(self, objects: Mapping[str, Any]) -> None:
        """Sort the objects by what they are; refuses what has no state_dict."""
        for name, thing in objects.items():
            if isinstance(thing, torch.nn.Module):
                self.modules[name] = thing
            elif isinstance(thing, Optimizer):
                self.optimizers[name] = thing
            elif isinstance(thing, schedulers.LRScheduler | schedulers.ReduceLROnPlateau):
                self.schedulers[name] = thing
            elif isinstance(thing, torch.Generator | np.random.Generator):
                self.others[name] = _Generator(thing)
            elif hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict"):
                self.others[name] = thing
            else:
                raise InvalidValue(
                    f"register({name}=…) takes what has state_dict and load_state_dict, not a {type(thing).__name__}."
                )

    def stateful(self) -> Iterator[tuple[str, Any]]:
        """Everything registered, by kind and name, in order of registration."""
        for kind in ("modules", "optimizers", "schedulers", "others"):
            for name, thing in getattr(self, kind).items():
                yield f"{kind}/{name}", thing

    def gradients(self) -> dict[str, torch.Tensor]:
        """The gradients that stand, as they do inside an accumulation window, by parameter."""
        return {name: p.grad for name, p in self._parameters() if p.grad is not None}

    def restore_gradients(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Put back what `gradients` returned, and take away what stands where nothing did."""
        for name, p in self._parameters():
            kept = gradients.get(name)
            p.grad = None if kept is None else kept.to(p.device)

    def _parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        for name, module in self.modules.items():
            for key, parameter in module.named_parameters():
                yield f"{name}.{key}", parameter

    def implicit_controls(self, declared: Mapping[str, Control]) -> dict[str, Control]:
        """Controls of optimizers whose configuration declares none, so that lr is live in every run.

        And those that something registered brings along: see `_steered`.
        """
        controls = {n: c for thing in self._steered() for n, c in thing.controls().items() if n not in declared}
        for name, optimizer in self.optimizers.items():
            prefix = "optimizer." if name == "optimizer" else f"optimizer.{name.removeprefix('optimizer_')}."
            if prefix + "lr" in declared:
                continue
            group = optimizer.param_groups[0]
            template = controls_of(Adam if "betas" in group else SGD)
            for short, control in template.items():
                key = _group_key(short)
                if key in group:
                    value = float(group["betas"][_BETAS[short]] if short in _BETAS else group[key])
                    full = prefix + short
                    controls[full] = dataclasses.replace(control, name=full, default=value)
        return controls

    def veto(self, name: str, value: Any) -> str | None:
        """Why `name` cannot be set to `value` now; None: it can."""
        if not name.startswith("optimizer."):
            return next((why for thing in self._steered() if (why := thing.veto(name, value))), None)
        optimizer, short = self._find(name)
        if optimizer is None:
            return f"No optimizer is registered for {name}; call session.register(optimizer=…)."
        if not all(_group_key(short) in g for g in optimizer.param_groups):
            return f"{type(optimizer).__name__} has no {short}."
        if short != "lr":
            return None
        mine = list(self._schedules(optimizer))
        for schedule in mine:
            if type(schedule).__module__ != schedulers.__name__:
                return (
                    f"The learning rate is ruled by {type(schedule).__name__}, a schedule of your own, so it "
                    f"cannot be moved in proportion; change it inside that schedule."
                )
        if not mine and any("initial_lr" in g for g in optimizer.param_groups):
            return "The optimizer has a schedule that is not registered; call session.register(scheduler=…) with it."
        return None

    def moved(self, name: str, value: Any, old: Any) -> None:
        """Carry a set of `optimizer.*` into the optimizer and its schedules, any other to what is steered by it."""
        if not name.startswith("optimizer."):
            for thing in self._steered():
                thing.moved(name, value, old)
            return
        optimizer, short = self._find(name)
        if optimizer is None:
            return
        if short == "lr":
            self._scale(optimizer, value / old)
            return
        for group in optimizer.param_groups:
            if short in _BETAS:
                betas = list(group["betas"])
                betas[_BETAS[short]] = value
                group["betas"] = tuple(betas)
            elif group[short] == old or len(optimizer.param_groups) == 1:
                group[short] = value  # a group with its own value (no decay on biases) keeps it

    def weight_hashes(self) -> dict[str, str]:
        """SHA-256 of every tensor of every registered module, by full name."""
        return {
            f"{name}.{key}": _sha256(tensor)
            for name, module in self.modules.items()
            for key, tensor in module.state_dict().items()
            if isinstance(tensor, torch.Tensor)
        }

    def _steered(self) -> Iterator[Any]:
        """Registered things with `controls()`, `veto(name, value)` and `moved(name, value, old)` of their own."""
        return (
            thing for thing in self.others.values() if all(hasattr(thing, n) for n in ("controls", "veto", "moved"))
        )

    def _find(self, name: str) -> tuple[Optimizer | None, str]:
        *middle, short = name.split(".")[1:]
        if not middle:
            return self.optimizers.get("optimizer"), short
        return self.optimizers.get(middle[0], self.optimizers.get(f"optimizer_{middle[0]}")), short

    def _schedules(self, optimizer: Optimizer) -> Iterator[Any]:
        """Every schedule of an optimizer, nested ones too."""
        waiting = [s for s in self.schedulers.values() if getattr(s, "optimizer", None) is optimizer]
        while waiting:
            schedule = waiting.pop()
            yield schedule
            waiting.extend(getattr(schedule, "_schedulers", ()))

    def _scale(self, optimizer: Optimizer, ratio: float) -> None:
        """Multiply the base rates of groups and schedules; the schedules go on from there in proportion."""
        for group in optimizer.param_groups:
            for key in _SCALED_GROUP:
                if key in group:
                    if isinstance(group[key], torch.Tensor):
                        group[key].mul_(ratio)
                    else:
                        group[key] *= ratio
        for schedule in self._schedules(optimizer):
            for key in _SCALED_SCHEDULE:
                rate = getattr(schedule, key, None)
                if isinstance(rate, list | tuple):
                    setattr(schedule, key, [r * ratio for r in rate])
                elif isinstance(rate, int | float):
                    setattr(schedule, key, rate * ratio)


class _Generator:
    """A random generator of the method's own, as something with a state_dict."""

    def __init__(self, generator: torch.Generator | np.random.Generator) -> None:
        self.generator = generator

    def state_dict(self) -> dict[str, Any]:
        if isinstance(self.generator, torch.Generator):
            return {"torch": self.generator.get_state()}
        return {"numpy": json.dumps(self.generator.bit_generator.state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if isinstance(self.generator, torch.Generator):
            self.generator.set_state(state["torch"])
        else:
            self.generator.bit_generator.state = json.loads(state["numpy"])


def _group_key(short: str) -> str:
    return "betas" if short in _BETAS else short


def _sha256(tensor: torch.Tensor) -> str:
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    head = f"{tensor.dtype}{tuple(tensor.shape)}".encode()
    return hashlib.sha256(head + flat.numpy().tobytes()).hexdigest()
