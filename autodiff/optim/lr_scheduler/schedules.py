"""Schedules that depend on the epoch alone."""

from __future__ import annotations

import math
import types
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autodiff.optim.lr_scheduler.base import LRScheduler
from autodiff.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR",
    "MultiplicativeLR", "PolynomialLR", "StepLR",
]  # fmt: skip

Lambda = Callable[[int], float]


class _FunctionLR(LRScheduler):
    """Base of schedules by a function of the epoch, the same for all groups or one for each."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Lambda | Sequence[Lambda], last_epoch: int = -1
    ) -> None:
        groups = len(optimizer.param_groups)
        if isinstance(lr_lambda, (list, tuple)):
            if len(lr_lambda) != groups:
                raise ValueError(f"Expected {groups} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas: list[Any] = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * groups
        super().__init__(optimizer, last_epoch)

    def _values(self) -> list[float]:
        return [f(self.last_epoch) for f in self.lr_lambdas]

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer and plain functions; of callable objects, their attributes."""
        state = super().state_dict()
        del state["lr_lambdas"]
        state["lr_lambdas"] = [
            None if isinstance(f, types.FunctionType) else dict(f.__dict__) for f in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict gave; the functions stay."""
        kept = self.lr_lambdas
        super().load_state_dict(state_dict)
        self.lr_lambdas = kept
        for f, attributes in zip(kept, state_dict["lr_lambdas"], strict=False):
            if attributes is not None:
                f.__dict__.update(attributes)


class LambdaLR(_FunctionLR):
    """The initial rate times lr_lambda(epoch).

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.5, 0.3333333333333333, 0.25, 0.2]
    """

    def _rates(self) -> list[Any]:
        return [base * value for base, value in zip(self.base_lrs, self._values(), strict=True)]


class MultiplicativeLR(_FunctionLR):
    """The rate times lr_lambda(epoch), at each epoch but the first.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.5, 0.25, 0.125, 0.0625]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Lambda | Sequence[Lambda], last_epoch: int = -1
    ) -> None:
        for f in lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda]:
            if not callable(f):
                raise TypeError(f"lr_lambda should be a function, but got {type(f).__name__}")
        super().__init__(optimizer, lr_lambda, last_epoch)

    def _rates(self) -> list[Any]:
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self._is_initial:
            return rates
        return [rate * value for rate, value in zip(rates, self._values(), strict=True)]


class StepLR(LRScheduler):
    """The rate times gamma every step_size epochs.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self.last_epoch == 0 or self.last_epoch % self.step_size else self.gamma

    def _closed_factor(self) -> float | None:
        return float(self.gamma ** (self.last_epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """The rate times gamma at each of the milestones, which may repeat.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        times = self.milestones[self.last_epoch]
        return float(self.gamma**times) if times else None

    def _closed_factor(self) -> float | None:
        return float(
            self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        )


class ConstantLR(LRScheduler):
    """The initial rate times factor until epoch total_iters.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.5, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if factor > 1.0 or factor < 0:
            raise ValueError("Constant multiplicative factor expected to be between 0 and 1.")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else None

    def _closed_factor(self) -> float | None:
        return self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)


class LinearLR(LRScheduler):
    """The initial rate times what goes from start_factor to end_factor in total_iters epochs.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.75, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if start_factor > 1.0 or start_factor <= 0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal to "
                "1."
            )
        if end_factor > 1.0 or end_factor < 0:
            raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def _closed_factor(self) -> float | None:
        done = min(self.total_iters, self.last_epoch)
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * done / self.total_iters


class ExponentialLR(LRScheduler):
    """The rate times gamma every epoch.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.5, 0.25, 0.125, 0.0625]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self._is_initial else self.gamma

    def _closed_factor(self) -> float | None:
        return float(self.gamma**self.last_epoch)


class PolynomialLR(LRScheduler):
    """The initial rate times (1 - epoch / total_iters)^power, until that is 0.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.75, 0.5, 0.25, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _left(self, epoch: int) -> float:
        return 1.0 - epoch / self.total_iters

    def _factor(self) -> float | None:
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        return float((self._left(self.last_epoch) / self._left(self.last_epoch - 1)) ** self.power)

    def _closed_factor(self) -> float | None:
        return float(self._left(min(self.total_iters, self.last_epoch)) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the initial rate to eta_min in T_max epochs, and back.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.5, 0.0, 0.49999999999999994, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[Any]:
        low, t, period = self.eta_min, self.last_epoch, self.T_max
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self._is_initial:
            return rates
        if (t - 1 - period) % (2 * period) == 0:  # the rate before was eta_min
            rise = (1 - math.cos(math.pi / period)) / 2
            pairs = zip(self.base_lrs, rates, strict=True)
            return [rate + (base - low) * rise for base, rate in pairs]
        ratio = (1 + math.cos(math.pi * t / period)) / (1 + math.cos(math.pi * (t - 1) / period))
        return [ratio * (rate - low) + low for rate in rates]

    def _closed_rates(self) -> list[Any]:
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]
