"""NAdam and RAdam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.ops.create import ones_like
from autodiff.optim._native import NativeOptimizer, check_adam, check_at_least_0, means
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["NAdam", "RAdam"]


class NAdam(NativeOptimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    Step t, with g, m and v as in Adam, mu(t) = beta1 (1 - 0.96^(t momentum_decay) / 2), and P the
    product of all mu so far: parameter -= lr ((1 - mu(t)) / (1 - P) g + mu(t + 1) /
    (1 - P mu(t + 1)) m) / (sqrt(v / (1 - beta2^t)) + eps).

    `foreach` and `capturable` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.NAdam([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.8944])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_adam(lr, betas, eps, weight_decay)
        check_at_least_0("momentum_decay value", momentum_decay)
        names = (
            "lr betas eps weight_decay momentum_decay decoupled_weight_decay maximize foreach "
            "capturable differentiable"
        )
        super().__init__(params, self._options(locals(), names))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return "nadam", ("exp_avg", "exp_avg_sq", "step", "mu_product")

    def _numbers(self, group: Group) -> Sequence[Any]:
        decoupled, decay = group["decoupled_weight_decay"], group["momentum_decay"]
        return (*group["betas"], group["eps"], decoupled, decay)

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        way, size = means(g, now, group)
        (first, second), lr, step = group["betas"], group["lr"], now["step"].item()
        mu, after = (
            first * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
        )
        product = now["mu_product"] = now["mu_product"] * mu
        below = (size / (1 - second**step)).sqrt() + group["eps"]
        way = g * (lr * (1 - mu) / (1 - product)) + way * (lr * after / (1 - product * after))
        moved: Tensor = x - way / below
        return moved

    def _start(self, x: Tensor, group: Group) -> dict[str, Any]:
        state = super()._start(x, group)
        product = ones_like(state["step"])
        return {"step": state.pop("step"), "mu_product": product, **state}


class RAdam(NativeOptimizer):
    """Adam that scales by the mean square only once that is reliable (Liu et al., 2020).

    Step t, with g, m and v as in Adam, L = 2 / (1 - beta2) - 1 and n = L - 2 t beta2^t /
    (1 - beta2^t): parameter -= lr m / (1 - beta1^t) s, where s is 1 for n <= 5 and else
    sqrt((n - 4)(n - 2) L / ((L - 4)(L - 2) n)) sqrt(1 - beta2^t) / (sqrt(v) + eps).

    `foreach` and `capturable` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.RAdam([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_adam(lr, betas, eps, weight_decay)
        names = (
            "lr betas eps weight_decay maximize foreach capturable decoupled_weight_decay "
            "differentiable"
        )
        super().__init__(params, self._options(locals(), names))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return "radam", ("exp_avg", "exp_avg_sq", "step")

    def _numbers(self, group: Group) -> Sequence[Any]:
        return (*group["betas"], group["eps"], group["decoupled_weight_decay"])

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        way, size = means(g, now, group)
        (first, second), step = group["betas"], now["step"].item()
        limit = 2 / (1 - second) - 1
        correction = 1 - second**step
        n = limit - 2 * step * (1 - correction) / correction
        way = way / (1 - first**step) * group["lr"]
        if n > 5:
            rectified = (n - 4) * (n - 2) * limit / ((limit - 4) * (limit - 2) * n)
            way = way * (rectified * correction) ** 0.5 / (size.sqrt() + group["eps"])
        moved: Tensor = x - way
        return moved
