"""Schedules that rise and fall, some of them with the momentum."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

from autodiff.optim.lr_scheduler.base import LRScheduler, each_group, set_lr
from autodiff.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]


class _MomentumLR(LRScheduler):
    """Base of schedules that may change the momentum, or beta1, of a group as well."""

    cycle_momentum: bool

    def _begin_momentum(self, low: Any, high: Any, last_epoch: int) -> tuple[list[Any], list[Any]]:
        """Set the momentum to `high`; both bounds, one for each group."""
        optimizer = self.optimizer
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        lows = each_group("base_momentum", optimizer, low)
        highs = each_group("max_momentum", optimizer, high)
        if last_epoch == -1:
            for least, most, group in zip(lows, highs, optimizer.param_groups, strict=True):
                self._set_momentum(group, most)
                group["max_momentum"], group["base_momentum"] = most, least
        return lows, highs

    def _set_momentum(self, group: dict[str, Any], value: Any) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_MomentumLR):
    """Rates that go from base_lr to max_lr and back, again and again (Smith, 2017).

    They rise in step_size_up steps and fall in step_size_down (None: as many). The height of a
    cycle is that of the first ("triangular"), half that of the one before ("triangular2"), or
    falls by gamma every step ("exp_range"); or scale_fn tells it, of the number of the cycle or,
    where scale_mode is "iterations", of the step. The momentum moves the other way.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> options = {"step_size_up": 2, "cycle_momentum": False}
    >>> schedule = optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.3, **options)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.2, 0.3, 0.2, 0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[Any], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        base_lrs = each_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for rate, group in zip(base_lrs, optimizer.param_groups, strict=True):
                set_lr(group, rate)
        self.max_lrs = each_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in _SCALES and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else _SCALES[mode][0]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._begin_momentum(
                base_momentum, max_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: Any) -> float:
        """The height of a cycle or step as a fraction of the first one's."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return _SCALES[self.mode][1](self.gamma, x)

    def _rates(self) -> list[Any]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        ratio = self.step_ratio
        share = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        rates = [
            low + (high - low) * share * scale
            for low, high in zip(self.base_lrs, self.max_lrs, strict=True)
        ]
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                self._set_momentum(group, high - (high - low) * share * scale)
        return rates

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer and a plain scale_fn; of a callable object, its attributes."""
        state = super().state_dict()
        f = state["_scale_fn_custom"]
        plain = f is None or isinstance(f, types.FunctionType)
        return {**state, "_scale_fn_custom": None if plain else dict(f.__dict__)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict gave; the function stays."""
        state = dict(state_dict)
        attributes = state.pop("_scale_fn_custom")
        super().load_state_dict(state)
        if attributes is not None:
            self._scale_fn_custom.__dict__.update(attributes)


_SCALES: dict[str, tuple[str, Callable[[float, Any], float]]] = {
    "triangular": ("cycle", lambda gamma, cycle: 1.0),
    "triangular2": ("cycle", lambda gamma, cycle: 1 / (2.0 ** (cycle - 1))),
    "exp_range": ("iterations", lambda gamma, step: float(gamma**step)),
}


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the initial rate to eta_min in T_0 epochs, again and again, each time in
    T_mult times as many epochs (Loshchilov and Hutter, 2017).

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.5, 1.0, 0.5, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(
                f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}"
            )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[Any]:
        low, angle = self.eta_min, math.pi * self.T_cur / self.T_i
        return [low + (base - low) * (1 + math.cos(angle)) / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Set the rates of the next epoch, or of the one given, which may be a fraction."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        else:
            self._go_to(epoch)
        self.last_epoch = math.floor(epoch)
        self._set()

    def _go_to(self, epoch: float) -> None:
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            more = self.T_mult - 1
            n = int(math.log(epoch / self.T_0 * more + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / more
            self.T_i = self.T_0 * self.T_mult**n


class OneCycleLR(_MomentumLR):
    """Rates that rise to max_lr and then fall far below where they began (Smith and Topin, 2019).

    They begin at max_lr / div_factor, rise for pct_start of total_steps (or epochs *
    steps_per_epoch), and end at the first one / final_div_factor; with three_phase they fall as
    fast as they rose before they end. The way is half a cosine ("cos") or a line ("linear"); the
    momentum moves the other way.

    >>> optimizer = optim.SGD([ad.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.OneCycleLR(optimizer, 1.0, 5, cycle_momentum=False)
    >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[-1] for _ in range(4)]
    [0.9504846320134737, 0.6112620219362893, 0.18825834605023697, 4e-06]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = _phases(pct_start, self.total_steps, three_phase)
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_func_type = anneal_strategy
        highest = each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, highest, strict=True):
                group["initial_lr"] = high / div_factor
                group["max_lr"] = high
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _between(self, first: Any, last: Any, share: float) -> Any:
        if self._anneal_func_type == "linear":
            return (last - first) * share + first
        return last + (first - last) / 2.0 * (math.cos(math.pi * share) + 1)

    def _rates(self) -> list[Any]:
        step, phases = self.last_epoch, self._schedule_phases
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        i = next((i for i, p in enumerate(phases) if step <= p["end_step"]), len(phases) - 1)
        phase, begin = phases[i], phases[i - 1]["end_step"] if i else 0.0
        share = (step - begin) / (phase["end_step"] - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                ends = (group[phase["start_momentum"]], group[phase["end_momentum"]])
                self._set_momentum(group, self._between(*ends, share))
        return rates


def _total(total_steps: Any, epochs: Any, steps_per_epoch: Any) -> int:
    """How many steps there are. ValueError where no positive integer tells."""
    given = {"total_steps": total_steps}
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    for name, value in given.items():
        if value <= 0 or not isinstance(value, int):
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return math.prod(given.values())


def _phases(share: float, steps: int, three: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and what it goes from and to, by the groups' options."""
    stops = [("initial_lr", "max_momentum"), ("max_lr", "base_momentum")]
    ends = [float(share * steps) - 1]
    if three:
        stops.append(("initial_lr", "max_momentum"))
        ends.append(float(2 * share * steps) - 2)
    stops.append(("min_lr", "max_momentum"))
    return [
        {
            "end_step": end,
            "start_lr": first[0],
            "end_lr": last[0],
            "start_momentum": first[1],
            "end_momentum": last[1],
        }
        for end, first, last in zip([*ends, steps - 1], stops, stops[1:], strict=False)
    ]
