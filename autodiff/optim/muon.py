"""Muon, for the matrices of hidden layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.dtypes import bfloat16
from autodiff.functions import addmm
from autodiff.ops.create import zeros_like
from autodiff.optim._each import EachParameter, at_least_0
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Muon"]


class Muon(EachParameter):
    """Steps along momenta made nearly orthogonal (Jordan, 2024). Parameters are matrices.

    Each step, with g the gradient: m = momentum m + (1 - momentum) g, and with nesterov the
    momentum of that and g is taken. `ns_steps` steps of Newton and Schulz's, in bfloat16, move its
    singular values towards 1. The parameter is multiplied by 1 - lr weight_decay and moves by lr
    times that, times the root of rows / columns where there are more rows ("original"), or times
    0.2 and the root of the larger of both ("match_rms_adamw").

    >>> w = ad.eye(2, requires_grad=True)
    >>> w.grad = ad.ones(2, 2)
    >>> optim.Muon([w], lr=0.1, ns_steps=0, weight_decay=0).step()
    >>> w.detach()
    tensor([[ 0.9500, -0.0500],
            [-0.0500,  0.9500]])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: Sequence[float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        at_least_0(lr=lr, momentum=momentum, **{"weight decay": weight_decay})
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for x in (x for group in self.param_groups for x in group["params"]):
            if x.ndim != 2:
                raise ValueError(
                    f"Muon only supports 2D parameters whereas we found a parameter with size: "
                    f"{x.size()}"
                )

    def _update(self, x: Tensor, g: Tensor, group: Group) -> None:
        state, lr, momentum = self.state[x], float(group["lr"]), group["momentum"]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = zeros_like(g)
        m = state["momentum_buffer"].lerp_(g, 1 - momentum)
        m = g.lerp(m, momentum) if group["nesterov"] else m
        y = orthogonal(m, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = x.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            rate = lr * 0.2 * math.sqrt(max(rows, columns))
        else:
            rate = lr * math.sqrt(max(1, rows / max(columns, 1)))
        x.mul_(1 - lr * group["weight_decay"]).add_(y, alpha=-rate)


def orthogonal(x: Tensor, coefficients: Sequence[float], steps: int, eps: float) -> Tensor:
    """A matrix of 16 bits with x's singular vectors, the singular values near 1."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    y = x.to(bfloat16)
    y = y.T if tall else y
    y = y / y.norm().clamp(min=eps)
    for _ in range(steps):
        gram = y @ y.T
        y = addmm(y, addmm(gram, gram, gram, beta=b, alpha=c), y, beta=a)
    return y.T if tall else y
