"""Adafactor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autodiff.dtypes import finfo, float64
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import full_like, zeros_like
from autodiff.optim._composed import ComposedOptimizer, check_at_least_0
from autodiff.optim._native import count
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Adafactor"]


class Adafactor(ComposedOptimizer):
    """Adam's scaling by means of squares, of matrices by those of rows and columns alone (Shazeer
    and Stern, 2018).

    Step t, with g the gradient (negated to maximize), w = t^beta2_decay, eps = (e1, e2): r and c,
    of the rows and columns of g^2, move to their means by w; v = r c / max(mean of r, e1), or for
    vectors v moves to g^2 by w; u = g / sqrt(max(v, e1^2)); the rate is
    max(e2, rms of the parameter) min(lr, 1 / sqrt(t)); parameter -= lr weight_decay parameter +
    rate u / max(1, rms of u / d). e1 is the dtype's machine epsilon where it is None.

    `foreach` chooses among PyTorch's implementations; here it changes nothing.

    >>> w = ad.ones(2).requires_grad_()
    >>> w.grad = ad.tensor([3.0, -2.0])
    >>> optim.Adafactor([w], lr=0.5).step()
    >>> w.detach()
    tensor([0.5000, 1.5000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_at_least_0(lr=lr)
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        check_at_least_0(epsilon1=0 if eps[0] is None else eps[0], epsilon2=eps[1])
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        check_at_least_0(weight_decay=weight_decay)
        super().__init__(params, self._options(locals()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over state; counts saved as numbers become tensors."""
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            for x in group["params"]:
                own = self.state.get(x, {})
                if own and not isinstance(own["step"], Tensor):
                    own["step"] = full_like(count(group), float(own["step"]))

    def _update(self, x: Tensor, g: Tensor, state: Any, group: Group, lr: Tensor) -> None:
        if not state:
            state.update(_start(g, group))
        g = -g if group["maximize"] else g
        least, floor = group["eps"]
        least = finfo(x.dtype).eps if least is None else least
        state["step"].add_(1)
        t = to_dtype(state["step"], float64)
        share = to_dtype(t ** group["beta2_decay"], g.dtype)
        rate = _rms(x, 1.0).clamp(min=floor) * lr.minimum(t**-0.5)
        if group["weight_decay"] != 0:
            x.mul_(1 - lr * group["weight_decay"])
        if g.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            for own, dim in ((rows, -1), (columns, -2)):
                squares = g.norm(dim=dim, keepdim=True).square() / g.shape[dim]
                own.lerp_(squares, share)
            means = (rows @ columns) / rows.mean(-2, keepdim=True).clamp(min=least)
        else:
            means = state["variance"].lerp_(g * g, share)
        update = means.clamp(min=least * least).rsqrt() * g
        rate = rate / _rms(update, group["d"]).clamp(min=1.0)
        x.addcmul_(update, to_dtype(rate, x.dtype), value=-1)


def _start(g: Tensor, group: Group) -> dict[str, Any]:
    """The state of a parameter before its first step."""
    state: dict[str, Any] = {"step": count(group)}
    if g.ndim > 1:
        rows, columns = [*g.shape[:-1], 1], [*g.shape[:-2], 1, g.shape[-1]]
        return {**state, "row_var": g.new_zeros(rows), "col_var": g.new_zeros(columns)}
    return {**state, "variance": zeros_like(g)}


def _rms(x: Tensor, d: float) -> Tensor:
    """The root of the mean of squares, over d."""
    root: Tensor = to_dtype(x.norm(2), float64)
    return root / (x.numel() ** 0.5 * d) if x.numel() else root
