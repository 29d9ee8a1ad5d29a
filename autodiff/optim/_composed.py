"""Optimisers whose step is made of operations on tensors, a parameter after the other."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from autodiff.dtypes import float64
from autodiff.grad_mode import enable_grad, no_grad
from autodiff.native import ffi
from autodiff.ops.create import zeros
from autodiff.optim.optimizer import Group, Optimizer
from autodiff.tensor import Tensor

__all__ = ["ComposedOptimizer"]


class ComposedOptimizer(Optimizer):
    """Base of optimisers that are no single native call. A subclass updates one parameter."""

    _live = ("lr",)

    def _update(self, x: Tensor, g: Tensor, state: Any, group: Group, lr: Tensor) -> None:
        """Move a parameter by its gradient; `lr` is the group's, a 0-d tensor of float64."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; returns what the closure returned."""
        loss = None if closure is None else enable_grad()(closure)()
        self._set_rates()
        with no_grad():
            for group, lr in zip(self.param_groups, self._rates(), strict=True):
                for x in group["params"]:
                    if (g := x.grad) is not None:
                        self._update(x, g, self.state[x], group, lr)
        return loss

    # ---- learning rates: in memory that stays, so that a record may point to it ----

    def _rates(self) -> list[Tensor]:
        found: list[Tensor] = self.__dict__.setdefault("_rate", [])
        while len(found) < len(self.param_groups):
            found.append(zeros((), dtype=float64))
        return found[: len(self.param_groups)]

    def _set_rates(self) -> None:
        for group, x in zip(self.param_groups, self._rates(), strict=True):
            ffi.memmove(x._p.data, struct.pack("d", float(group["lr"])), 8)

    def _relied_on(self, states: bool) -> list[Any]:
        return [*super()._relied_on(states), *self._rates()]

    def _refresh(self) -> None:
        super()._refresh()
        self._set_rates()


def check_at_least_0(**options: Any) -> None:
    """ValueError for a negative option, or learning rates of several."""
    for name, value in options.items():
        if name == "lr" and isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not value >= 0.0:
            what = "Learning rate" if name == "lr" else name
            raise ValueError(f"{what} should be >= 0 but is: {value}")
