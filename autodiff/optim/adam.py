"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.optim._native import NativeOptimizer, check_adam, check_modes, means
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Adam", "AdamW"]

_STATE = ("exp_avg", "exp_avg_sq", "step")
_AMSGRAD_STATE = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step")


class Adam(NativeOptimizer):
    """Steps scaled by running means of the gradient and its square (Kingma and Ba, 2015).

    Each step, with g the gradient (negated to maximize) plus weight_decay times the parameter:
    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; parameter -= lr m' / (sqrt(v') +
    eps), where m' and v' are m and v without their bias to zero, and amsgrad takes the largest v so
    far. With decoupled_weight_decay the parameter is multiplied by 1 - lr weight_decay instead.

    `foreach`, `capturable` and `fused` choose among PyTorch's implementations; here they change
    nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.Adam([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError(
                "lr as a Tensor is not supported for capturable=False and foreach=True"
            )
        check_adam(lr, betas, eps, weight_decay)
        betas = _plain_betas(betas, bool(foreach) and not capturable)
        names = (
            "lr betas eps weight_decay amsgrad maximize foreach capturable differentiable "
            "fused decoupled_weight_decay"
        )
        super().__init__(params, self._options(locals(), names))
        check_modes(differentiable, foreach, fused)

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return ("adam_amsgrad", _AMSGRAD_STATE) if group["amsgrad"] else ("adam", _STATE)

    def _numbers(self, group: Group) -> Sequence[Any]:
        return (*group["betas"], group["eps"], group["decoupled_weight_decay"])

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        way, size = means(g, now, group)
        first, second = group["betas"]
        step = now["step"]
        if group["amsgrad"]:
            size = now["max_exp_avg_sq"] = size.maximum(now["max_exp_avg_sq"])
        rate = -(group["lr"] / (1 - first**step))  # in PyTorch's order, where float32 meets float64
        below = size.sqrt() / ((1 - second**step).sqrt() * rate) + group["eps"] / rate
        moved: Tensor = x + way / below
        return moved


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019).

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.AdamW([w], lr=0.1, weight_decay=0.5).step()
    >>> w.detach()
    tensor([0.8500])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        options = self._options(locals())
        super().__init__(params, **options, decoupled_weight_decay=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


def _plain_betas(betas: Sequence[Any], foreach: bool) -> Any:
    """The betas as numbers or 0-d tensors. ValueError where only one is a tensor."""
    if not all(isinstance(b, float) for b in betas) and not all(
        isinstance(b, Tensor) for b in betas
    ):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor) and foreach:
            raise ValueError(
                f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True"
            )
    return tuple(b.squeeze() if isinstance(b, Tensor) else b for b in betas)
