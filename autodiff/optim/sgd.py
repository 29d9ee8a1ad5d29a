"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.native import NULL, hold
from autodiff.optim._native import NativeOptimizer, check_modes
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor, wrap

__all__ = ["SGD"]


class SGD(NativeOptimizer):
    """Gradient descent with momentum, Nesterov momentum and weight decay.

    Each step, with g the gradient (negated to maximize) plus weight_decay times the parameter:
    buffer = momentum * buffer + (1 - dampening) * g, at first g; parameter -= lr * buffer, or for
    nesterov lr * (g + momentum * buffer). One native call updates a group.

    `foreach` and `fused` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.SGD([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.8000])
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
        check_modes(differentiable, foreach, fused)
        super().__init__(params, self._options(locals()))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return ("sgd_momentum", ("momentum_buffer",)) if group["momentum"] else ("sgd", ())

    def _numbers(self, group: Group) -> Sequence[Any]:
        return group["momentum"], group["dampening"], group["nesterov"]

    def _start(self, x: Tensor, group: Group) -> dict[str, Any]:
        return {}  # the first step makes the buffer

    def _column(self, key: str, states: list[dict[str, Any]]) -> list[Any]:
        kept = [state.get(key) for state in states]
        return [NULL if buffer is None else buffer._p for buffer in kept]

    def _take_over(self, states: list[dict[str, Any]], table: Any) -> None:
        n = len(states)
        for i, state in enumerate(states):
            if state.get("momentum_buffer") is None and table[2 * n + i]:
                state["momentum_buffer"] = wrap(hold(table[2 * n + i]))

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        momentum, buffer = group["momentum"], now.get("momentum_buffer")
        if momentum != 0:
            if buffer is None:
                way = g.detach().clone()
            else:
                way = buffer * momentum + g * (1 - group["dampening"])
            now["momentum_buffer"] = way
            g = g + way * momentum if group["nesterov"] else way
        moved: Tensor = x - g * group["lr"]
        return moved
