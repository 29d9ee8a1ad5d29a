"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from autodiff.grad_mode import enable_grad
from autodiff.native import NULL, describe, error, ffi, lib, take_failure
from autodiff.optim.optimizer import Group, Optimizer
from autodiff.tensor import Tensor, own

__all__ = ["SGD"]

_options = itemgetter("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")


class SGD(Optimizer):
    """Gradient descent with momentum, Nesterov momentum and weight decay.

    Each step, with g the gradient (negated to maximize) plus weight_decay times the parameter:
    buffer = momentum * buffer + (1 - dampening) * g, at first g; parameter -= lr * buffer, or for
    nesterov lr * (g + momentum * buffer). One native call updates a group.

    `foreach` and `fused` choose among PyTorch's implementations; here they change nothing.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        if differentiable:
            raise RuntimeError("SGD: differentiable=True is not supported: a step is not recorded")
        if fused and foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; returns what the closure returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group, hyper in zip(self.param_groups, self._hypers(), strict=True):
            hyper[0:6] = _options(group)
            self._update(group, hyper)
        return loss

    def _hypers(self) -> list[Any]:
        """C memory for each group's options: it stays, so that a record may point to it."""
        found: list[Any] = self.__dict__.setdefault("_hyper", [])
        while len(found) < len(self.param_groups):
            found.append(ffi.new("double[6]"))
        return found[: len(self.param_groups)]

    def _update(self, group: Group, hyper: Any) -> None:
        params, ps, gs = [], [], []
        for x in group["params"]:
            gradient = None if x._acc is None else x._acc.grad
            if gradient is not None:
                params.append(x)
                ps.append(x._p)
                gs.append(gradient._p)
        n = len(ps)
        if not hyper[1]:
            if lib.ad_sgd(n, ps, gs, NULL, hyper):
                raise error("SGD.step", *ps, *gs)
            return
        states = [self.state[x] for x in params]
        kept = [state.get("momentum_buffer") for state in states]
        buffers = ffi.new("ad_tensor *[]", [NULL if b is None else b._p for b in kept])
        failure = take_failure() if lib.ad_sgd(n, ps, gs, buffers, hyper) else None
        for i, state in enumerate(states):
            if kept[i] is None and buffers[i]:
                state["momentum_buffer"] = own(buffers[i], "SGD.step")
        if failure is not None:
            raise describe(failure, "SGD.step", *ps, *gs)
