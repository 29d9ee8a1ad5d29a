"""Records PyTorch's learning-rate schedules as schedulers.json (see recording.py)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("schedulers.json")
STEPS = 30
METRICS = [5.0, 4.0, 4.0, 3.9999, 4.5, 4.0, 3.0, 3.0, 3.0, 3.1, 2.9999, 3.0, 3.5, 3.2, 1.0] * 2
Make = Callable[[Any, Any], Any]  # of lr_scheduler and the optimizer: one of them


def optimizer_of(lib: Any, optim: Any, kind: str = "SGD") -> Any:
    """Two groups, the second with a rate of its own."""
    params = [lib.ones(1, requires_grad=True) for _ in range(2)]
    return getattr(optim, kind)([{"params": params[0]}, {"params": params[1], "lr": 0.02}], lr=0.5)


def kind_of(name: str) -> str:
    """The optimizer that a case is for."""
    return "Adam" if "Adam" in name else "SGD"


CASES: dict[str, list[Make]] = {
    "StepLR": [lambda s, o: s.StepLR(o, 7, 0.5)],
    "MultiStepLR": [lambda s, o: s.MultiStepLR(o, [3, 9, 9, 20], 0.3)],
    "ConstantLR": [lambda s, o: s.ConstantLR(o, 0.3, 4)],
    "ConstantLR default": [lambda s, o: s.ConstantLR(o)],
    "LinearLR": [lambda s, o: s.LinearLR(o, 0.2, 0.9, 11)],
    "LinearLR default": [lambda s, o: s.LinearLR(o)],
    "ExponentialLR": [lambda s, o: s.ExponentialLR(o, 0.9)],
    "LambdaLR": [lambda s, o: s.LambdaLR(o, [lambda e: 1 / (1 + e), lambda e: 0.9**e])],
    "LambdaLR one": [lambda s, o: s.LambdaLR(o, lambda e: 0.95**e)],
    "MultiplicativeLR": [lambda s, o: s.MultiplicativeLR(o, lambda e: 1 - 1 / (1 + e))],
    "CosineAnnealingLR": [lambda s, o: s.CosineAnnealingLR(o, 8, 0.01)],
    "CosineAnnealingLR long": [lambda s, o: s.CosineAnnealingLR(o, 50)],
    "PolynomialLR": [lambda s, o: s.PolynomialLR(o, 12, 1.7)],
    "PolynomialLR default": [lambda s, o: s.PolynomialLR(o)],
    "two": [lambda s, o: s.LinearLR(o, 0.1, 1.0, 5), lambda s, o: s.ExponentialLR(o, 0.9)],
    "three": [
        lambda s, o: s.StepLR(o, 4),
        lambda s, o: s.CosineAnnealingLR(o, 6),
        lambda s, o: s.ConstantLR(o, 0.5, 3),
    ],
    "CyclicLR": [lambda s, o: s.CyclicLR(o, 0.1, [0.5, 0.7], 4, 3)],
    "CyclicLR halved": [
        lambda s, o: s.CyclicLR(o, 0.1, 0.5, 5, mode="triangular2", cycle_momentum=False)
    ],
    "CyclicLR of Adam": [
        lambda s, o: s.CyclicLR(
            o, 0.1, 0.5, 3, mode="exp_range", gamma=0.9, base_momentum=[0.5, 0.6], max_momentum=0.8
        )
    ],
    "CyclicLR by a function": [
        lambda s, o: s.CyclicLR(
            o, 0.1, 0.5, 3, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations"
        )
    ],
    "CyclicLR by a function of cycles": [
        lambda s, o: s.CyclicLR(o, 0.1, 0.5, 3, mode="mine", scale_fn=lambda x: 0.5**x)
    ],
    "OneCycleLR": [lambda s, o: s.OneCycleLR(o, 0.5, STEPS)],
    "OneCycleLR linear": [
        lambda s, o: s.OneCycleLR(
            o,
            [0.5, 0.2],
            epochs=7,
            steps_per_epoch=5,
            pct_start=0.25,
            anneal_strategy="linear",
            cycle_momentum=False,
            div_factor=5.0,
            final_div_factor=10.0,
        )
    ],
    "OneCycleLR of Adam": [
        lambda s, o: s.OneCycleLR(o, 0.5, 33, three_phase=True, base_momentum=0.6, max_momentum=0.9)
    ],
    "CosineAnnealingWarmRestarts": [lambda s, o: s.CosineAnnealingWarmRestarts(o, 7)],
    "CosineAnnealingWarmRestarts longer": [
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.001)
    ],
    "SequentialLR": [
        lambda s, o: s.SequentialLR(
            o,
            [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.CosineAnnealingLR(o, 6, 0.01)],
            [5, 16],
        )
    ],
    "SequentialLR of others": [
        lambda s, o: s.SequentialLR(
            o,
            [
                s.SequentialLR(o, [s.LinearLR(o, 0.2, 1.0, 3), s.StepLR(o, 3)], [4]),
                s.CosineAnnealingWarmRestarts(o, 4),
            ],
            [13],
        )
    ],
    "SequentialLR of one": [lambda s, o: s.SequentialLR(o, [s.LinearLR(o)], [])],
    "ChainedScheduler": [
        lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)])
    ],
    "ChainedScheduler in sequence": [
        lambda s, o: s.SequentialLR(
            o, [s.ChainedScheduler([s.ConstantLR(o), s.StepLR(o, 4)], o), s.LinearLR(o)], [40]
        )
    ],
    "SWALR": [lambda s, o: s.SWALR(o, [0.05, 0.001], 6)],
    "SWALR linear": [lambda s, o: s.SWALR(o, 0.05, 4, "linear")],
    "SWALR at once": [lambda s, o: s.SWALR(o, 0.05, 0)],
    "ReduceLROnPlateau": [lambda s, o: s.ReduceLROnPlateau(o, patience=1, factor=0.5)],
    "ReduceLROnPlateau max": [
        lambda s, o: s.ReduceLROnPlateau(
            o, "max", 0.3, 2, 0.2, "abs", cooldown=2, min_lr=[0.01, 0.001]
        )
    ],
    "ReduceLROnPlateau rel": [
        lambda s, o: s.ReduceLROnPlateau(o, "max", 0.3, 1, 0.3, "rel", min_lr=0.005, eps=0.01)
    ],
    "ReduceLROnPlateau abs": [
        lambda s, o: s.ReduceLROnPlateau(o, "min", 0.3, 1, 0.5, "abs", cooldown=1)
    ],
}


def advance(optimizer: Any, schedulers: list[Any], step: int) -> None:
    """A step of training."""
    optimizer.step()
    for scheduler in schedulers:
        plateau = type(scheduler).__name__ == "ReduceLROnPlateau"
        scheduler.step(METRICS[step]) if plateau else scheduler.step()


def rates_of(optimizer: Any) -> list[Any]:
    """The rate of each group."""
    return [float(group["lr"]) for group in optimizer.param_groups]


def momenta_of(optimizer: Any) -> list[Any]:
    """The momentum of each group, or its betas."""
    return [list(g["betas"]) if "betas" in g else g["momentum"] for g in optimizer.param_groups]


class Schedules:
    """lr_scheduler, and SWALR with it."""

    def __init__(self, optim: Any) -> None:
        self.__dict__.update(vars(optim.lr_scheduler), SWALR=optim.swa_utils.SWALR)


def schedules_of(optim: Any, optimizer: Any, name: str) -> list[Any]:
    """The schedulers of a case; to make those of others steps them, which is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [make(Schedules(optim), optimizer) for make in CASES[name]]


def run(lib: Any, optim: Any, name: str) -> dict[str, Any]:
    """The rates after each step, and momenta and states in the middle."""
    optimizer = optimizer_of(lib, optim, kind_of(name))
    schedulers = schedules_of(optim, optimizer, name)
    rates, states, momenta = [rates_of(optimizer)], None, None
    for step in range(STEPS):
        advance(optimizer, schedulers, step)
        rates.append(rates_of(optimizer))
        last = [[float(rate) for rate in s.get_last_lr()] for s in schedulers]
        assert last[-1] == rates[-1]
        if step == STEPS // 2:
            momenta = momenta_of(optimizer)
            states = json.loads(json.dumps([s.state_dict() for s in schedulers]))
    return {"rates": rates, "momenta": momenta, "states": states}


def closed(lib: Any, optim: Any, make: Make) -> list[Any]:
    """The rates of epochs given out of order."""
    optimizer = optimizer_of(lib, optim)
    scheduler = make(Schedules(optim), optimizer)
    optimizer.step()
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for epoch in (3, 11, 7, 0, 25):
            scheduler.step(epoch)
            found.append(rates_of(optimizer))
    return found


# Those whose step takes no epoch, or whose rates of an epoch are those of the step before it.
UNCLOSED = ("Plateau", "Multiplicative", "Sequential", "Chained", "SWALR", "OneCycle", "Adam")

ERRORS: dict[str, Make] = {
    "no optimizer": lambda s, o: s.StepLR(3, 1),
    "no optimizer for a plateau": lambda s, o: s.ReduceLROnPlateau(3),
    "functions": lambda s, o: s.LambdaLR(o, [abs]),
    "no function": lambda s, o: s.MultiplicativeLR(o, [abs, 3]),
    "factor": lambda s, o: s.ConstantLR(o, 1.5),
    "start": lambda s, o: s.LinearLR(o, 0.0),
    "end": lambda s, o: s.LinearLR(o, 0.5, 1.5),
    "plateau factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "mode": lambda s, o: s.ReduceLROnPlateau(o, "least"),
    "threshold": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="share"),
    "min_lr": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "cyclic optimizer": lambda s, o: s.CyclicLR(3, 0.1, 0.5),
    "cyclic mode": lambda s, o: s.CyclicLR(o, 0.1, 0.5, mode="square"),
    "cyclic rates": lambda s, o: s.CyclicLR(o, [0.1], 0.5),
    "cyclic momentum": lambda s, o: s.CyclicLR(o, 0.1, 0.5, max_momentum=[0.5, 0.5, 0.5]),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "restarts factor": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 0.5),
    "restarts least": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, eta_min="a"),
    "restarts epoch": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3).step(-1),
    "one cycle optimizer": lambda s, o: s.OneCycleLR(3, 0.1, 5),
    "one cycle steps": lambda s, o: s.OneCycleLR(o, 0.1),
    "one cycle no steps": lambda s, o: s.OneCycleLR(o, 0.1, 0),
    "one cycle epochs": lambda s, o: s.OneCycleLR(o, 0.1, epochs=2.5, steps_per_epoch=3),
    "one cycle per epoch": lambda s, o: s.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=-3),
    "one cycle share": lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=2),
    "one cycle strategy": lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="cubic"),
    "one cycle over": lambda s, o: [
        one.step() for one in [s.OneCycleLR(o, 0.1, 3)] for _ in range(5)
    ],
    "no sequence": lambda s, o: s.SequentialLR(o, [], []),
    "sequence of numbers": lambda s, o: s.SequentialLR(o, [3], []),
    "sequence of a plateau": lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
    "sequence milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 3)], [3]),
    "sequence of another": lambda s, o: s.SequentialLR(
        o, [s.StepLR(type(o)([{"params": o.param_groups[0]["params"]}]), 3)], []
    ),
    "no chain": lambda s, o: s.ChainedScheduler([]),
    "chain of a plateau": lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    "swa rates": lambda s, o: s.SWALR(o, [0.1]),
    "swa strategy": lambda s, o: s.SWALR(o, 0.1, anneal_strategy="cubic"),
    "swa epochs": lambda s, o: s.SWALR(o, 0.1, -3),
}


def refused(lib: Any, optim: Any, make: Make) -> list[str]:
    """The type and text of the exception that making a schedule raises."""
    return failure(make, Schedules(optim), optimizer_of(lib, optim))


AVERAGES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "mean": lambda utils: {},
    "mean of buffers": lambda utils: {"use_buffers": True},
    "mean, one by one": lambda utils: {"avg_fn": utils.get_swa_avg_fn()},
    "moving": lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.8), "use_buffers": True},
    "moving, one by one": lambda utils: {"avg_fn": utils.get_ema_avg_fn(0.8)},
    "by a function": lambda utils: {"avg_fn": lambda average, value, count: average + value},
}


def averaged(lib: Any, make: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """A model's averages over some steps, as a state_dict."""
    lib.manual_seed(3)
    model = lib.nn.Linear(3, 2)
    model.register_buffer("whole", lib.tensor([3, 5]))
    model.register_buffer("real", lib.tensor([0.5, 5.0]))
    average = lib.optim.swa_utils.AveragedModel(model, **make(lib.optim.swa_utils))
    for _ in range(4):
        average.update_parameters(model)
        with lib.no_grad():
            for x in model.parameters():
                x.add_(lib.randn(x.shape))
            model.whole.add_(7)
            model.real.mul_(1.5)
    return {key: value.tolist() for key, value in average.state_dict().items()}


def main() -> None:
    """Writes schedulers.json."""
    import torch

    optim = torch.optim
    singles = {name: makes[0] for name, makes in CASES.items() if len(makes) == 1}
    write(
        GOLDEN,
        runs={name: run(torch, optim, name) for name in CASES},
        closed={
            name: closed(torch, optim, make)
            for name, make in singles.items()
            if not any(kind in name for kind in UNCLOSED)
        },
        averages={name: averaged(torch, make) for name, make in AVERAGES.items()},
        errors={name: refused(torch, optim, make) for name, make in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
