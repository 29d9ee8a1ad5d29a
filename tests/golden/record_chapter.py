"""A first session with neural networks as a reader types it, and what PyTorch prints for it.

`session(torch, nn, optim)` is the same text for both libraries. chapter.json (see recording.py)
holds the items, and how far each of them moves where the parameters start a last bit elsewhere.
(For thousands of steps one network is at the edge of stability; there the losses printed are an
accident of rounding.)
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("chapter.json")
SEED = 17
CELSIUS = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]
UNKNOWN = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]

NUDGES = (1e-7, -1e-7, 2e-7, -2e-7)
NUMBER = re.compile(r"-?\d+\.\d*(?:e[-+]\d+)?")

Log = list[str]
Fit = Callable[..., None]


class Data:
    """The readings, split at random into those to learn from and those to check with."""

    def __init__(self, torch: Any, log: Log) -> None:
        self.celsius = torch.tensor(CELSIUS).unsqueeze(1)
        self.unknown = torch.tensor(UNKNOWN).unsqueeze(1)
        log.append(str(self.unknown.shape))
        n_samples = self.unknown.shape[0]
        n_val = int(0.2 * n_samples)
        shuffled = torch.randperm(n_samples)
        train, val = shuffled[:-n_val], shuffled[-n_val:]
        log.append(repr((train, val)))
        self.celsius_train, self.celsius_val = self.celsius[train], self.celsius[val]
        self.train, self.val = 0.1 * self.unknown[train], 0.1 * self.unknown[val]


def fit(epochs: int, optimizer: Any, model: Any, loss_fn: Any, data: Data, log: Log) -> None:
    """The training loop, which prints the first epoch and every thousandth."""
    for epoch in range(1, epochs + 1):
        loss_train = loss_fn(model(data.train), data.celsius_train)
        loss_val = loss_fn(model(data.val), data.celsius_val)
        optimizer.zero_grad()
        loss_train.backward()
        optimizer.step()
        if epoch == 1 or epoch % 1000 == 0:
            log.append(f"{epoch}: {loss_train.item():.4f}, {loss_val.item():.4f}")


def nudged_fit(by: float, torch: Any, epochs: int, optimizer: Any, model: Any, *rest: Any) -> None:
    """The training loop from parameters that are a little larger."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + by)
    fit(epochs, optimizer, model, *rest)


def lines(torch: Any, nn: Any, optim: Any, data: Data, log: Log, fit: Fit) -> None:
    """One linear layer, called, looked at, and fitted with two ways to write the loss."""
    model = nn.Linear(1, 1)
    log += [repr(model), repr(model(data.val)), repr(model.weight), repr(model.bias)]
    log += [repr(model(torch.ones(1))), repr(model(torch.ones(10, 1)))]
    log += [repr(list(model.parameters())), type(model.parameters()).__name__]

    def mean_square(t_p: Any, t_c: Any) -> Any:
        return ((t_p - t_c) ** 2).mean()

    losses: list[Callable[..., Any]] = [mean_square, nn.MSELoss()]
    for loss_fn in losses:
        model = nn.Linear(1, 1)
        optimizer = optim.SGD(model.parameters(), lr=1e-2)
        fit(3000, optimizer, model, loss_fn, data, log)
        log += [str(model.weight), str(model.bias)]


def networks(torch: Any, nn: Any, optim: Any, data: Data, log: Log, fit: Fit) -> None:
    """Networks with a hidden layer: without names, with names, and with more neurons."""
    model = nn.Sequential(nn.Linear(1, 13), nn.Tanh(), nn.Linear(13, 1))
    log += [repr(model), str([p.shape for p in model.parameters()])]
    log += [f"{name} {p.shape}" for name, p in model.named_parameters()]
    t_range = torch.arange(20.0, 90.0).unsqueeze(1)
    for neurons, rate in ((8, 1e-3), (20, 1e-4)):
        layers = [
            ("hidden_linear", nn.Linear(1, neurons)),
            ("hidden_activation", nn.Tanh()),
            ("output_linear", nn.Linear(neurons, 1)),
        ]
        model = nn.Sequential(OrderedDict(layers))
        log += [repr(model), repr(model.output_linear.bias)]
        log += [f"{name} {p.shape}" for name, p in model.named_parameters()]
        optimizer = optim.SGD(model.parameters(), lr=rate)
        fit(5000, optimizer, model, nn.MSELoss(), data, log)
        log += [f"output {model(data.val)}", f"answer {data.celsius_val}"]
        log.append(f"hidden {model.hidden_linear.weight.grad}")
        curve = model(0.1 * t_range).detach().numpy()
        drawn = [t_range.numpy(), data.unknown.numpy(), data.celsius.numpy()]
        log += [f"{a.dtype} {a.shape}" for a in [*drawn, curve]]
        log.append(" ".join(f"{value:.2f}" for value in curve[::10, 0].tolist()))


def session(torch: Any, nn: Any, optim: Any, fit: Fit = fit) -> Log:
    """Everything that the session prints, item by item."""
    log: Log = []
    torch.manual_seed(SEED)
    torch.set_printoptions(edgeitems=2, linewidth=75)
    try:
        data = Data(torch, log)
        lines(torch, nn, optim, data, log, fit)
        networks(torch, nn, optim, data, log, fit)
    finally:
        torch.set_printoptions(profile="default")
    return log


def numbers(text: str) -> list[float]:
    """The decimal numbers in an item."""
    return [float(number) for number in NUMBER.findall(text)]


def spread(item: str, others: list[str]) -> float:
    """How far the numbers of an item move."""
    pairs = [pair for other in others for pair in zip(numbers(item), numbers(other), strict=True)]
    return round(max((abs(a - b) for a, b in pairs), default=0.0), 4)


def main() -> None:
    """Write chapter.json."""
    import torch
    from torch import nn, optim

    items = session(torch, nn, optim)
    others = [session(torch, nn, optim, partial(nudged_fit, by, torch)) for by in NUDGES]
    spreads = [spread(item, list(rest)) for item, *rest in zip(items, *others, strict=True)]
    text = json.dumps({"items": items, "spreads": spreads}, indent=0)
    GOLDEN.write_text(text + "\n")


if __name__ == "__main__":
    main()
