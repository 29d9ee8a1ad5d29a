"""Adafactor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autodiff.dtypes import finfo, float64
from autodiff.ops.create import full_like, zeros_like
from autodiff.optim._each import EachParameter, at_least_0
from autodiff.optim._native import count
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Adafactor"]


class Adafactor(EachParameter):
    """Steps scaled by a running mean of squared gradients that takes little memory (Shazeer, 2018).

    Of a matrix (the last two dimensions) only the means v of rows and of columns are kept. In step
    t they move to those of now by t^beta2_decay; the update g / sqrt(v), g the gradient, is made
    shorter where its root mean square is above d, and the parameter moves by it times
    min(lr, 1 / sqrt(t)) times its own root mean square, or eps[1] where that is larger. Divisors
    are at least eps[0], by default that of the dtype. The parameter is first multiplied by
    1 - lr weight_decay. `foreach` chooses among PyTorch's implementations; here it changes nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.Adafactor([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.9000])
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
        at_least_0(lr=lr)
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        at_least_0(epsilon1=0 if eps[0] is None else eps[0], epsilon2=eps[1])
        if not d >= 1:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        at_least_0(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over state; counts saved as numbers become tensors."""
        super().__setstate__(state)
        for own in self.state.values():
            if own and not isinstance(own["step"], Tensor):
                own["step"] = full_like(count({}), float(own["step"]))

    def _update(self, x: Tensor, g: Tensor, group: Group) -> None:
        state, lr = self.state[x], float(group["lr"])
        g = -g if group["maximize"] else g
        least, least_size = group["eps"]
        least = finfo(x.dtype).eps if least is None else least
        if not state:
            kept = {"variance": g}
            if g.ndim > 1:
                kept = {"row_var": g[..., :1], "col_var": g[..., :1, :]}
            state.update({"step": count(group), **{k: zeros_like(v) for k, v in kept.items()}})
        t = state["step"].add_(1).to(float64)
        rate = _size(x).clamp(min=least_size) * (t**-0.5).clamp(max=lr)
        if group["weight_decay"]:
            x.mul_(1 - lr * group["weight_decay"])
        new = (t ** group["beta2_decay"]).to(g.dtype)
        if g.ndim > 1:
            square = g * g
            rows = state["row_var"].lerp_(square.mean(-1, True), new)
            columns = state["col_var"].lerp_(square.mean(-2, True), new)
            v = rows @ columns / rows.mean(-2, True).clamp(min=least)
        else:
            v = state["variance"].lerp_(g * g, new)
        y = v.clamp(min=least * least).rsqrt() * g
        x.sub_(y * (rate / (_size(y) / group["d"]).clamp(min=1.0)).to(x.dtype))


def _size(x: Tensor) -> Tensor:
    """The root of the mean square, in float64."""
    size: Tensor = x.norm().to(float64) / x.numel() ** 0.5
    return size
