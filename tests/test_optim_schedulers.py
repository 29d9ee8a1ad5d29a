"""Learning-rate schedules are PyTorch's: recorded rates, states and errors."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from golden.record_schedulers import (
    AVERAGES,
    CASES,
    ERRORS,
    GOLDEN,
    STEPS,
    advance,
    averaged,
    closed,
    kind_of,
    optimizer_of,
    rates_of,
    refused,
    run,
    schedules_of,
)

import autodiff as ad
from autodiff import optim
from autodiff.optim import lr_scheduler

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", CASES)
def test_rates_and_states_are_pytorchs(name: str) -> None:
    assert run(ad, optim, name) == RECORD["runs"][name]


@pytest.mark.parametrize("name", CASES)
def test_a_schedule_goes_on_from_saved_state(name: str) -> None:
    optimizer = optimizer_of(ad, optim, kind_of(name))
    schedulers = schedules_of(optim, optimizer, name)
    middle = STEPS // 2
    for step in range(middle + 1):
        advance(optimizer, schedulers, step)
    saved = copy.deepcopy([s.state_dict() for s in schedulers]), optimizer.state_dict()
    other = optimizer_of(ad, optim, kind_of(name))
    resumed = schedules_of(optim, other, name)
    for scheduler, state in zip(resumed, saved[0], strict=True):
        scheduler.load_state_dict(state)
    other.load_state_dict(saved[1])
    rates = [rates_of(other)]
    for step in range(middle + 1, STEPS):
        advance(other, resumed, step)
        rates.append(rates_of(other))
    assert rates == RECORD["runs"][name]["rates"][middle + 1 :]


@pytest.mark.parametrize("name", RECORD["closed"])
def test_given_epochs_are_pytorchs(name: str) -> None:
    assert closed(ad, optim, CASES[name][0]) == RECORD["closed"][name]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    assert refused(ad, optim, ERRORS[name]) == RECORD["errors"][name]


def test_every_schedule_is_recorded() -> None:
    made = [
        schedules_of(optim, optimizer_of(ad, optim), name)
        for name in CASES
        if "of Adam" not in name
    ]
    names = {type(one).__name__ for schedulers in made for one in schedulers}
    assert names == {*lr_scheduler.__all__, "SWALR"} - {"LRScheduler"}
    assert list(RECORD["errors"]) == list(ERRORS)
    assert list(RECORD["averages"]) == list(AVERAGES)


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_are_pytorchs(name: str) -> None:
    got, expected = averaged(ad, AVERAGES[name]), RECORD["averages"][name]
    assert list(got) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(got[key], values, 1e-6, 1e-7)


def test_averaged_models() -> None:
    model = ad.nn.Linear(2, 1)
    utils = optim.swa_utils
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        utils.AveragedModel(model, avg_fn=abs, multi_avg_fn=abs)
    for make in (utils.get_ema_avg_fn, utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"Invalid decay value 1\.5"):
            make(1.5)
    average = copy.deepcopy(utils.AveragedModel(model))
    average.update_parameters(model)
    x = ad.ones(3, 2)
    assert ad.equal(average(x), model(x))
    assert average.module.weight.requires_grad
    other = utils.AveragedModel(ad.nn.Linear(2, 1))
    other.load_state_dict(average.state_dict())
    assert other.n_averaged.item() == 1


def test_update_bn_takes_the_statistics_of_all_batches() -> None:
    class _BatchNorm(ad.nn.Module):
        momentum: float | None = 0.5

        def reset_running_stats(self) -> None:
            self.seen = []

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            self.seen.append((self.momentum, self.training, ad.is_grad_enabled(), x.tolist()))
            return x

    class BatchNorm(_BatchNorm):
        pass

    model = ad.nn.Sequential(BatchNorm()).eval()
    optim.swa_utils.update_bn([ad.ones(1), (ad.zeros(1), 3)], model)
    assert model[0].seen == [(None, True, False, [1.0]), (None, True, False, [0.0])]
    assert model[0].momentum == 0.5
    assert not model.training
    optim.swa_utils.update_bn(iter([]), ad.nn.Linear(2, 1))


def test_the_order_of_steps_is_watched() -> None:
    optimizer = optimizer_of(ad, optim)
    optimizer.step()  # before there was a scheduler: does not count
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()  # the warning comes once
    optimizer = optimizer_of(ad, optim)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    lr_scheduler.StepLR(optimizer, 1).step()
    scheduler.step()


def test_get_lr_is_not_for_users() -> None:
    scheduler = lr_scheduler.StepLR(optimizer_of(ad, optim), 1)
    with pytest.warns(UserWarning, match="get_last_lr"):
        scheduler.get_lr()
    assert scheduler.get_last_lr() == [0.5, 0.02]


def test_an_epoch_is_deprecated() -> None:
    optimizer = optimizer_of(ad, optim)
    for scheduler in (
        lr_scheduler.StepLR(optimizer, 1),
        lr_scheduler.ReduceLROnPlateau(optimizer),
    ):
        optimizer.step()
        with pytest.warns(UserWarning, match="epoch parameter") as seen:
            scheduler.step(epoch=3, **({"metrics": 1.0} if "Plateau" in repr(scheduler) else {}))
        assert seen[0].filename == __file__
        assert scheduler.last_epoch == 3


def test_resuming_needs_initial_rates() -> None:
    optimizer = optimizer_of(ad, optim)
    with pytest.raises(KeyError, match=r"'initial_lr' is not specified in param_groups\[0\]"):
        lr_scheduler.StepLR(optimizer, 2, last_epoch=3)
    for group in optimizer.param_groups:
        group["initial_lr"] = 1.0
    scheduler = lr_scheduler.StepLR(optimizer, 2, last_epoch=2)
    assert scheduler.last_epoch == 3
    assert scheduler.base_lrs == [1.0, 1.0]
    assert scheduler.get_last_lr() == [0.5, 0.02]
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == pytest.approx([0.05, 0.002])


def test_tensor_rates_are_written_in_place() -> None:
    rate = ad.tensor(0.5)
    optimizer = optim.SGD([ad.ones(1, requires_grad=True)], lr=rate)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25
    last = scheduler.get_last_lr()[0]
    last.fill_(9.0)
    assert rate.item() == 0.25
    assert optimizer.param_groups[0]["initial_lr"].item() == 0.5
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    plateau.step(1.0)
    plateau.step(ad.tensor(1.0))
    assert rate.item() == pytest.approx(0.025)


def test_rates_take_effect_at_the_next_step() -> None:
    x = ad.zeros(1, requires_grad=True)
    x.grad = ad.ones(1)
    optimizer = optim.SGD([x], lr=1.0)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    seen = []
    for _ in range(3):
        optimizer.step()
        scheduler.step()
        seen.append(x.item())
    assert seen == [-1.0, -1.5, -1.75]


def test_a_schedule_of_ones_own() -> None:
    class Mine(lr_scheduler.LRScheduler):
        def get_lr(self) -> list[Any]:
            return [1.0 / (1 + self.last_epoch)] * 2

    optimizer = optimizer_of(ad, optim)
    scheduler = Mine(optimizer)
    optimizer.step()
    scheduler.step()
    assert rates_of(optimizer) == [0.5, 0.5]
    with pytest.raises(NotImplementedError):
        lr_scheduler.LRScheduler(optimizer)


def test_callable_objects_keep_their_attributes() -> None:
    class Decay:
        def __init__(self, rate: float) -> None:
            self.rate = rate

        def __call__(self, epoch: int) -> float:
            return self.rate**epoch

    saved = lr_scheduler.LambdaLR(optimizer_of(ad, optim), Decay(0.5)).state_dict()
    assert saved["lr_lambdas"] == [{"rate": 0.5}] * 2
    decay = Decay(0.25)
    scheduler = lr_scheduler.LambdaLR(optimizer_of(ad, optim), decay)
    scheduler.load_state_dict(saved)
    assert decay.rate == 0.5
    assert scheduler.lr_lambdas == [decay, decay]


def test_a_group_added_later_needs_a_bound() -> None:
    optimizer = optimizer_of(ad, optim)
    loose = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    bound = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1, 0.1])
    optimizer.add_param_group({"params": ad.ones(1, requires_grad=True)})
    for scheduler in (loose, bound):
        scheduler.step(1.0)
    loose.step(1.0)
    assert rates_of(optimizer) == pytest.approx([0.05, 0.002, 0.05])
    with pytest.raises(RuntimeError, match="min_lrs"):
        bound.step(1.0)


def test_optimizer_and_scheduler_copy_and_pickle_together() -> None:
    optimizer = optimizer_of(ad, optim)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()
    scheduler.step()
    for other, again in (
        copy.deepcopy((optimizer, scheduler)),
        pickle.loads(pickle.dumps((optimizer, scheduler))),
    ):
        assert again.optimizer is other
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again.step()
        assert rates_of(other) == pytest.approx([0.05, 0.002])
