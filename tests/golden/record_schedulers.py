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


def optimizer_of(lib: Any, optim: Any) -> Any:
    """Two groups, the second with a rate of its own."""
    params = [lib.ones(1, requires_grad=True) for _ in range(2)]
    return optim.SGD([{"params": params[0]}, {"params": params[1], "lr": 0.02}], lr=0.5)


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


def run(lib: Any, optim: Any, makes: list[Make]) -> dict[str, Any]:
    """The rates after each step, and the states in the middle."""
    optimizer = optimizer_of(lib, optim)
    schedulers = [make(optim.lr_scheduler, optimizer) for make in makes]
    rates, states = [rates_of(optimizer)], None
    for step in range(STEPS):
        advance(optimizer, schedulers, step)
        rates.append(rates_of(optimizer))
        last = [[float(rate) for rate in s.get_last_lr()] for s in schedulers]
        assert last[-1] == rates[-1]
        if step == STEPS // 2:
            states = json.loads(json.dumps([s.state_dict() for s in schedulers]))
    return {"rates": rates, "states": states}


def closed(lib: Any, optim: Any, make: Make) -> list[Any]:
    """The rates of epochs given out of order."""
    optimizer = optimizer_of(lib, optim)
    scheduler = make(optim.lr_scheduler, optimizer)
    optimizer.step()
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for epoch in (3, 11, 7, 0, 25):
            scheduler.step(epoch)
            found.append(rates_of(optimizer))
    return found


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
}


def refused(lib: Any, optim: Any, make: Make) -> list[str]:
    """The type and text of the exception that making a schedule raises."""
    return failure(make, optim.lr_scheduler, optimizer_of(lib, optim))


def main() -> None:
    """Writes schedulers.json."""
    import torch

    optim = torch.optim
    singles = {name: makes[0] for name, makes in CASES.items() if len(makes) == 1}
    write(
        GOLDEN,
        runs={name: run(torch, optim, makes) for name, makes in CASES.items()},
        closed={
            name: closed(torch, optim, make)
            for name, make in singles.items()
            if "Plateau" not in name and "Multiplicative" not in name
        },
        errors={name: refused(torch, optim, make) for name, make in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
