"""What a guard does to registered modules and optimizers: put back buffers, take back an update, lower a rate once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.steering.training import Training

_State = dict[str, Any]


def buffers(training: Training) -> _State:
    """Copies of all buffers of the registered modules, by module and name."""
    return {
        name: {key: buffer.detach().clone() for key, buffer in module.named_buffers()}
        for name, module in training.modules.items()
    }


def put_back(training: Training, kept: Mapping[str, Mapping[str, Any]]) -> None:
    """Parameters and buffers as in `kept`, in place, and unseen by a backward pass whose gradients will be dropped."""
    for name, tensors in kept.items():
        module = training.modules[name]
        standing = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for key, tensor in tensors.items():
            standing[key].data.copy_(tensor)


def before_update(training: Training, standing: Mapping[str, Mapping[str, Any]]) -> _State:
    """All that an update moves, copied: parameters and the optimizers' states, with the buffers in `standing`."""
    modules = {
        name: {**standing[name], **{key: p.detach().clone() for key, p in module.named_parameters()}}
        for name, module in training.modules.items()
    }
    optimizers = {
        name: [_cloned(optimizer.state.get(p)) for group in optimizer.param_groups for p in group["params"]]
        for name, optimizer in training.optimizers.items()
    }
    return {"modules": modules, "optimizers": optimizers}


def take_back(training: Training, kept: Mapping[str, Any]) -> None:
    """Everything as `before_update` found it; learning rates stay, as schedules count batches."""
    put_back(training, kept["modules"])
    for name, states in kept["optimizers"].items():
        optimizer = training.optimizers[name]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for parameter, state in zip(parameters, states, strict=True):
            optimizer.state.pop(parameter, None)
            if state is not None:
                optimizer.state[parameter] = _cloned(state)


def lower_once(training: Training, factor: float) -> Callable[[], None]:
    """Multiply every rate until the optimizer's next step is done; returns what ends it at the latest."""
    ends = [_lower_once(optimizer, factor) for optimizer in training.optimizers.values()]

    def end_all() -> None:
        for end in ends:
            end()

    return end_all


def _lower_once(optimizer: Any, factor: float) -> Callable[[], None]:
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * factor

    def restore(*_: Any) -> None:
        for group, rate in zip(optimizer.param_groups, rates, strict=bool(rates)):
            group["lr"] = rate
        rates.clear()

    handle = optimizer.register_step_post_hook(restore)  # which cannot be removed while it runs

    def end() -> None:
        handle.remove()
        restore()

    return end


def _cloned(state: Mapping[str, Any] | None) -> _State | None:
    if state is None:
        return None
    return {key: value.detach().clone() if hasattr(value, "detach") else value for key, value in state.items()}
