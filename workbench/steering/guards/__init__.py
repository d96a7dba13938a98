"""Guards that any run can switch on."""

from workbench.steering.guards.guard import LossGuard

__all__ = ["LossGuard"]
