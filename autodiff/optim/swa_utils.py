"""`autodiff.optim.swa_utils`: averages of a model's parameters over the steps of a training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from autodiff.changes import recorder_here
from autodiff.dtypes import int64
from autodiff.grad_mode import no_grad
from autodiff.native import lib
from autodiff.nn.module import Module
from autodiff.ops.arithmetic import where
from autodiff.ops.create import full
from autodiff.optim.lr_scheduler.base import LRScheduler, each_group
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, Any], Any]  # of the average, a new value and their count
Averages = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """An exponential moving average: decay * average + (1 - decay) * value.

    >>> optim.swa_utils.get_ema_avg_fn(0.9)(ad.tensor(1.0), ad.tensor(2.0), 1)
    tensor(1.1000)
    """
    _check_decay(decay)
    return lambda average, value, count: decay * average + (1 - decay) * value


def get_swa_avg_fn() -> Average:
    """The mean of all values so far, from that of `count` and one more.

    >>> optim.swa_utils.get_swa_avg_fn()(ad.tensor(1.0), ad.tensor(2.0), 1)
    tensor(1.5000)
    """
    return lambda average, value, count: average + (value - average) / (count + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """As get_ema_avg_fn, in place and for many tensors.

    >>> means = [ad.tensor([1.0])]
    >>> optim.swa_utils.get_ema_multi_avg_fn(0.9)(means, [ad.tensor([2.0])], 1)
    >>> means
    [tensor([1.1000])]
    """
    _check_decay(decay)
    return _in_place(lambda count: 1 - decay, get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Averages:
    """As get_swa_avg_fn, in place and for many tensors.

    >>> means = [ad.tensor([1.0])]
    >>> optim.swa_utils.get_swa_multi_avg_fn()(means, [ad.tensor([2.0])], 1)
    >>> means
    [tensor([1.5000])]
    """
    return _in_place(lambda count: 1 / (count + 1), get_swa_avg_fn())


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def _in_place(weight: Callable[[Any], float | Tensor], whole: Average) -> Averages:
    """Averages that move by a weight towards the values; `whole` is for tensors of integers."""

    def update(averages: Sequence[Tensor], values: Sequence[Tensor], count: Any) -> None:
        with no_grad():
            by = weight(count)
            for average, value in zip(averages, values, strict=True):
                if average.is_floating_point():
                    if isinstance(by, Tensor) and average.element_size() >= by.element_size():
                        average.copy_(average.lerp(value, by.to(average)))
                    else:  # which narrow ones are not rounded to
                        average.copy_(average.lerp(value, float(by)))
                else:
                    average.copy_(whole(average, value, count))

    return update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of those it is shown.

    `update_parameters(model)` takes in the parameters of a model, by avg_fn(average, value, count)
    for each of them or multi_avg_fn(averages, values, count) for all of a dtype; the mean of all
    (stochastic weight averaging, Izmailov et al., 2018) where neither is given. With use_buffers
    the buffers are averaged as well, else they are the model's last.

    >>> model = nn.Linear(1, 1)
    >>> average = optim.swa_utils.AveragedModel(model)
    >>> average.update_parameters(model)
    >>> ad.equal(average.module.weight, model.weight)
    True
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        self.register_buffer("n_averaged", full((), 0, dtype=int64))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @staticmethod
    def _all(model: Module) -> Iterable[Tensor]:
        return itertools.chain(model.parameters(), model.buffers())

    def update_parameters(self, model: Module) -> None:
        """Take the model's parameters into the averages."""
        mine: Iterable[Tensor] = self._all(self.module) if self.use_buffers else self.parameters()
        theirs: Iterable[Tensor] = self._all(model) if self.use_buffers else model.parameters()
        pairs = [(a.detach(), b.detach()) for a, b in zip(mine, theirs, strict=False)]
        first = self.n_averaged == 0
        recorded = _is_recorded_later(first)
        if not recorded and first:
            for average, value in pairs:
                average.copy_(value)
        elif self.avg_fn is not None:
            for average, value in pairs:
                average.copy_(self.avg_fn(average, value, self.n_averaged))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            for same in _by_dtype(pairs):
                update([a for a, _ in same], [b for _, b in same], self.n_averaged)
        for average, value in pairs if recorded else ():  # a run may begin anew
            average.copy_(where(first, value, average))
        if not self.use_buffers:
            for kept, given in zip(self.module.buffers(), model.buffers(), strict=True):
                kept.detach().copy_(given.detach())
        self.n_averaged += 1


def _is_recorded_later(first: Tensor) -> bool:
    """Whether this is recorded, and averages have begun: what is made of their count is no look."""
    recorder = recorder_here()
    if recorder is None:
        return False
    if recorder.apart(lambda: bool(first)):
        lib.ad_tape_break(lib.AD_TAPE_STARTED)  # the next call may be recorded
        return False
    return True


def _by_dtype(pairs: list[tuple[Tensor, Tensor]]) -> Iterable[list[tuple[Tensor, Tensor]]]:
    found: dict[Any, list[tuple[Tensor, Tensor]]] = {}
    for pair in pairs:
        found.setdefault((pair[0].dtype, pair[1].dtype), []).append(pair)
    return found.values()


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Make the running statistics of batch normalisation those of the data of a loader.

    A batch may be a tuple or list that begins with the input. The model runs in training mode,
    without gradients, and is left in the mode it was in.

    >>> model = nn.BatchNorm1d(1)
    >>> optim.swa_utils.update_bn([ad.tensor([[1.0], [3.0]])], model)
    >>> model.running_mean
    tensor([2.])
    """
    norms: list[Any] = [m for m in model.modules() if _is_batch_norm(m)]
    if not norms:
        return
    momenta, was_training = [m.momentum for m in norms], model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    with no_grad():
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


def _is_batch_norm(module: Module) -> bool:
    return any(kind.__name__ == "_BatchNorm" for kind in type(module).__mro__)


class SWALR(LRScheduler):
    """Rates that go to swa_lr in anneal_epochs, by half a cosine ("cos") or a line ("linear").

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(3)]
    [0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = each_group("swa_lr", optimizer, swa_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far the rates have gone after a step."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def _rates(self) -> list[Any]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            last, rate = group["swa_lr"], group["lr"]
            first = last if before == 1 else (rate - before * last) / (1 - before)
            rates.append(last * now + first * (1 - now))
        return rates
