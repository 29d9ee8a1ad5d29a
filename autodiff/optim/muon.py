"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.dtypes import bfloat16
from autodiff.ops.blended import addmm
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import zeros_like
from autodiff.optim._composed import ComposedOptimizer, check_at_least_0
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Muon"]


class Muon(ComposedOptimizer):
    """Steps along a mean of the gradient, made nearly orthogonal (Jordan, 2024): of matrices alone.

    Each step, with g the gradient: m = momentum m + (1 - momentum) g; u = momentum m + (1 -
    momentum) g with nesterov, else m; then `ns_steps` times, from X = u / max(|u|, eps), by
    Newton and Schulz: X = a X + (b A + c A A) X, where A = X X^T and (a, b, c) are the
    ns_coefficients, in bfloat16; parameter -= lr weight_decay parameter + lr s X. The scale s of
    n rows and m columns is sqrt(max(1, n / m)) where adjust_lr_fn is None or "original", and
    0.2 sqrt(max(n, m)) where it is "match_rms_adamw".

    >>> w = ad.eye(2).requires_grad_()
    >>> w.grad = ad.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> optim.Muon([w], lr=0.5, weight_decay=0).step()
    >>> (w.detach()[0, 1] < -0.3).item()
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_at_least_0(lr=lr, momentum=momentum, **{"weight decay": weight_decay})
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(params, self._options(locals()))
        for x in (x for group in self.param_groups for x in group["params"]):
            if x.ndim != 2:
                raise ValueError(
                    "Muon only supports 2D parameters whereas we found a parameter with size: "
                    f"{x.shape}"
                )

    def _update(self, x: Tensor, g: Tensor, state: Any, group: Group, lr: Tensor) -> None:
        if g.ndim != 2:
            raise ValueError("Param gradient must be a 2D matrix")
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = zeros_like(g)
        mean, momentum = state["momentum_buffer"], group["momentum"]
        mean.lerp_(g, 1 - momentum)
        update = g.lerp(mean, momentum) if group["nesterov"] else mean
        update = _orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        n, m = x.shape
        scale = math.sqrt(max(1, n / m))
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(n, m))
        x.mul_(1 - lr * group["weight_decay"])
        x.addcmul_(to_dtype(update, x.dtype), to_dtype(lr * scale, x.dtype), value=-1)


def _orthogonal(g: Tensor, coefficients: Sequence[float], steps: int, eps: float) -> Tensor:
    """U V^T of the singular value decomposition of g, nearly: singular values come near to 1."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    high = g.shape[0] > g.shape[1]
    x = to_dtype(g, bfloat16)
    x = x.t() if high else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.t()
        x = addmm(x, addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.t() if high else x
