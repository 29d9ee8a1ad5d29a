"""LRScheduler: the base of schedulers."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from autodiff.changes import changes, recorder_here
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor

__all__ = ["LRScheduler"]


def _after_the_tape(step: Callable[..., Any]) -> Callable[..., Any]:
    """A scheduler's `step`, which a compiled function makes in Python, after what it records."""

    @functools.wraps(step)
    def stepped(self: LRScheduler, *args: Any, **kwargs: Any) -> Any:
        if changes.recorder is None or self._is_initial or (recorder := recorder_here()) is None:
            return step(self, *args, **kwargs)
        if any(isinstance(x, Tensor) for x in (*args, *kwargs.values())):
            return step(self, *args, **kwargs)
        return recorder.do_after(lambda: step(self, *args, **kwargs))

    return stepped


class LRScheduler:
    """Sets the learning rate of each group of an optimizer, at once and at each `step()`.

    A subclass defines `get_lr`. With last_epoch >= 0 a training goes on, and the groups must have
    an "initial_lr".

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1)
    >>> optimizer.step()
    >>> schedule.step()
    >>> optimizer.param_groups[0]["lr"]
    0.1
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False  # while the constructor sets the first rates

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _after_the_tape(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    "scheduler with last_epoch >= 0: load the optimizer's state first"
                )
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        if optimizer._opt_called is None:
            optimizer._opt_called = False
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    @_after_the_tape
    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch, or (deprecated) of the one given."""
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first value "
                "of the learning rate schedule is skipped. Call `optimizer.step()` first.",
                UserWarning,
                stacklevel=3,
            )
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set(None if epoch is None else self._closed_rates())

    def _set(self, rates: list[Any] | None = None) -> None:
        """Set these rates, or those that get_lr computes."""
        if rates is None:
            self._get_lr_called_within_step = True
            try:
                rates = self.get_lr()
            finally:
                self._get_lr_called_within_step = False
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_lr(group, rate)
        self._last_lr = values_of(self.optimizer, "lr")

    def get_last_lr(self) -> list[Any]:
        """The rates set last, one a group."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The rates of `last_epoch`, computed from those of the epoch before."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use "
                "`get_last_lr()`.",
                UserWarning,
                stacklevel=2,
            )
        return self._rates()

    def _rates(self) -> list[Any]:
        """What get_lr returns: the rates times the factor, where a schedule has one."""
        factor = self._factor()
        rates = values_of(self.optimizer, "lr")
        return rates if factor is None else [rate * factor for rate in rates]

    def _factor(self) -> float | None:
        """What the rates are multiplied by to be those of `last_epoch`; None leaves them."""
        raise NotImplementedError

    def _closed_rates(self) -> list[Any] | None:
        """The rates of `last_epoch` from the initial ones, if that can be told."""
        factor = self._closed_factor()
        return None if factor is None else [base * factor for base in self.base_lrs]

    def _closed_factor(self) -> float | None:
        return None

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer."""
        if recorder := recorder_here():
            recorder.stay_eager("it asks for the state of a scheduler")
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict gave; the optimizer's rates are in the optimizer's state."""
        self.__dict__.update(state_dict)


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def values_of(optimizer: Optimizer, key: str) -> list[Any]:
    """An option of all groups; tensors are copied."""
    return [_copied(group[key]) for group in optimizer.param_groups]


def each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """An argument as one value for each group. ValueError where it has other than that many."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        value = [value] * groups
    elif len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has "
            f"{len(value)} values, param_groups has {groups}."
        )
    return [_copied(item) for item in value]


def set_lr(group: dict[str, Any], rate: Any) -> None:
    """Set a group's rate; in place where it is a tensor."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(float(rate))
    else:
        group["lr"] = rate


def warn_of_epoch() -> None:
    """Warn a caller of step() that gave an epoch."""
    warnings.warn(
        "The epoch parameter in `scheduler.step()` is deprecated: call `scheduler.step()` without "
        "it",
        UserWarning,
        stacklevel=4,
    )
