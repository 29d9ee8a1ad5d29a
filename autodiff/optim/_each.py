"""Optimisers whose steps are operations on one parameter after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.grad_mode import enable_grad, no_grad
from autodiff.optim.optimizer import Group, Optimizer
from autodiff.tensor import Tensor

__all__ = ["EachParameter", "at_least_0"]


class EachParameter(Optimizer):
    """Base of optimisers that define how a parameter moves by its gradient."""

    def _update(self, x: Tensor, g: Tensor, group: Group) -> None:
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; returns what the closure returned."""
        loss = None if closure is None else enable_grad()(closure)()
        with no_grad():
            for group in self.param_groups:
                for x in group["params"]:
                    if x.grad is not None and x.numel():
                        self._update(x, x.grad, group)
        return loss


def at_least_0(**options: Any) -> None:
    """ValueError for a negative option, or rates of several."""
    for name, value in options.items():
        what = "Learning rate" if name == "lr" else name
        if name == "lr" and isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not value >= 0.0:
            raise ValueError(f"{what} should be >= 0 but is: {value}")
