"""Schedulers stepped inside a compiled step: their Python goes on, and the rates take effect."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import SIZE, Trainer, adam, bits, sgd

import autodiff as ad
from autodiff import optim
from autodiff.optim import lr_scheduler as schedules


class Halved(schedules.LRScheduler):
    """A schedule of a user's."""

    def get_lr(self) -> list[float]:
        return [rate / 2 if self.last_epoch % 3 == 1 else rate for rate in self.base_lrs]


SCHEDULERS: dict[str, Callable[[optim.Optimizer], Any]] = {
    "exponential": lambda o: schedules.ExponentialLR(o, 0.9),
    "lambda": lambda o: schedules.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "one cycle": lambda o: schedules.OneCycleLR(o, max_lr=0.2, total_steps=30),
    "cyclic": lambda o: schedules.CyclicLR(o, 0.01, 0.1, 4, cycle_momentum=False),
    "chained": lambda o: schedules.ChainedScheduler(
        [schedules.StepLR(o, 2), schedules.ExponentialLR(o, 0.9)]
    ),
    "sequential": lambda o: schedules.SequentialLR(
        o, [schedules.ConstantLR(o, 0.1), schedules.ExponentialLR(o, 0.9)], [3]
    ),
    "a user's": Halved,
}


class Scheduled(Trainer):
    """A step that sets the rate of the next one."""

    def train_step(self, x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        loss = super().train_step(x, y)
        self.scheduler.step()
        return loss


def pair(optimizer: Any, scheduler: Any) -> list[Scheduled]:
    trainers = [Scheduled(optimizer, lambda step: step), Scheduled(optimizer)]
    for t in trainers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a second scheduler, made before the first step
            t.scheduler = scheduler(t.optimizer)
    return trainers


def states(t: Scheduled) -> Any:
    groups = [{k: v for k, v in g.items() if k != "params"} for g in t.optimizer.param_groups]
    return t.state(), groups, getattr(t.scheduler, "last_epoch", 0), t.scheduler.get_last_lr()


@pytest.mark.parametrize("optimizer", [sgd, adam])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_goes_on_in_a_compiled_step(name: str, optimizer: Any) -> None:
    trainers = pair(optimizer, SCHEDULERS[name])
    x, y = ad.randn(3, SIZE), ad.randn(3, 2)
    for seed in range(12):
        losses = []
        for t in trainers:
            ad.manual_seed(seed)
            losses.append(bits(t.step(x, y)))
        assert losses[0] == losses[1]
        assert states(trainers[0]) == states(trainers[1])
    stats = trainers[1].step.stats()
    assert (stats.recordings, stats.eager) == (1, ())
    assert stats.runs >= 9


def test_repeat_and_epoch_step_the_scheduler() -> None:
    eager, compiled = pair(sgd, SCHEDULERS["exponential"])
    x, y = ad.randn(9, SIZE), ad.randn(9, 2)
    ad.manual_seed(0)
    want = ad.stack([eager.step(x, y).detach() for _ in range(6)])
    ad.manual_seed(0)
    assert bits(compiled.step.repeat(6, x, y)) == bits(want)
    ad.manual_seed(1)
    order = ad.randperm(9)
    want = ad.stack([eager.step(x[i], y[i]).detach() for i in order.split(3)])
    ad.manual_seed(1)
    order = ad.randperm(9)
    assert bits(compiled.step.epoch([x, y], 3, order)) == bits(want)
    assert states(eager) == states(compiled)


def test_rates_set_between_the_steps_hold_too() -> None:
    trainers = pair(sgd, SCHEDULERS["exponential"])
    x, y = ad.randn(3, SIZE), ad.randn(3, 2)
    for seed in range(8):
        for t in trainers:
            ad.manual_seed(seed)
            t.step(x, y)
            if seed % 3 == 1:
                t.optimizer.param_groups[0]["lr"] = 0.5
            if seed == 5:
                t.optimizer.param_groups[0]["momentum"] = 0.0
        assert states(trainers[0]) == states(trainers[1])


def test_a_scheduler_before_the_optimizer_keeps_a_step_eager() -> None:
    class Early(Trainer):
        def train_step(self, x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
            self.scheduler.step()
            return super().train_step(x, y)

    eager, compiled = Early(sgd, lambda step: step), Early(sgd)
    x, y = ad.randn(3, SIZE), ad.randn(3, 2)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for seed in range(12):
            for t in (eager, compiled):
                ad.manual_seed(seed)
                t.step(x, y)
            assert eager.state() == compiled.state()
    assert any("steps a scheduler before an optimizer" in str(w.message) for w in told)


def test_check_steps_the_scheduler_once() -> None:
    trainer = Scheduled(sgd, lambda step: ad.compile(step, check=True))
    for _ in range(5):
        trainer.step(ad.ones(3, SIZE), ad.ones(3, 2))
    assert trainer.scheduler.last_epoch == 5


class Mine(optim.Optimizer):
    """An optimizer of a user's, which keeps all that changes in tensors."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @ad.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["step"], state["mean"] = ad.zeros(()), ad.zeros_like(p)
                state["step"] += 1
                state["mean"].lerp_(p.grad, 0.1)
                p.sub_(group["lr"] * state["mean"] / (1 - 0.9 ** state["step"]))


def test_an_optimizer_of_ones_own_is_recorded_where_it_counts_in_tensors() -> None:
    runs = []
    for compiled in (False, True):
        ad.manual_seed(0)
        layer = ad.nn.Linear(3, 2)
        optimizer = Mine(layer.parameters(), 0.1)

        def step(x: ad.Tensor, layer: Any = layer, optimizer: Any = optimizer) -> ad.Tensor:
            optimizer.zero_grad()
            loss = layer(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        call: Any = ad.compile(step) if compiled else step
        found = []
        for i in range(12):
            found.append(bits([call(ad.ones(4, 3) * i), *layer.parameters()]))
            if i in (5, 8):
                optimizer.param_groups[0]["lr"] *= 0.5
            if i == 9:
                optimizer.load_state_dict(optimizer.state_dict())
        runs.append(found)
    assert runs[0] == runs[1]
    assert call.stats().runs
    assert not call.stats().eager


def set_each(group: dict[str, Any], rate: float) -> None:
    group["lr"] = rate


def set_all(group: dict[str, Any], rate: float) -> None:
    group["momentum"] = 0.9
    group["lr"] = rate
    group["weight_decay"] = rate / 10


@pytest.mark.filterwarnings("ignore:.*stays eager")
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("put", [set_each, set_all])
def test_a_rate_that_the_step_sets_is_set_at_each_call(put: Any, given: bool) -> None:
    """Also where it was that when the step was recorded, and is another by now."""

    def trained(compiled: bool) -> tuple[Any, Any]:
        ad.manual_seed(1)
        layer = ad.nn.Linear(3, 2)
        optimizer = optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)

        def step(x: ad.Tensor, rate: float) -> ad.Tensor:
            for group in optimizer.param_groups:
                put(group, rate if given else 0.1)
            optimizer.zero_grad()
            loss = layer(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        call = ad.compile(step) if compiled else step
        found = []
        for i in range(30):
            found.append(bits([call(ad.randn(4, 3), (1 + i // 6) / 10), layer.weight]))
            found.append(optimizer.param_groups[0]["lr"])
            if i % 5 == 4:
                optimizer.param_groups[0]["lr"] = 0.3
            if i % 7 == 4:
                optimizer.param_groups[0]["momentum"] = 0.5
        return found, call

    found, step = trained(True)
    assert found == trained(False)[0]
    assert step.stats().runs >= 8


def test_what_the_step_sets_of_a_scheduler_is_set_at_each_call() -> None:
    def trained(compiled: bool) -> list[Any]:
        ad.manual_seed(1)
        layer = ad.nn.Linear(3, 2)
        optimizer = optim.SGD(layer.parameters(), lr=0.1)
        scheduler = schedules.ExponentialLR(optimizer, 0.5)

        def step(x: ad.Tensor) -> None:
            optimizer.zero_grad()
            layer(x).square().mean().backward()
            optimizer.step()
            scheduler.gamma = 0.9
            scheduler.step()

        call = ad.compile(step) if compiled else step
        found = []
        for i in range(12):
            call(ad.ones(4, 3))
            found.append(bits([layer.weight, scheduler.get_last_lr()]))
            if i == 5:
                scheduler.gamma = 0.5
        assert not compiled or call.stats().runs >= 8  # type: ignore[attr-defined]
        return found

    assert trained(True) == trained(False)
