"""Whole training steps, eager."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from models import perceptron, training
from workload import Library, Make, Run, Workload, same


def step(
    sizes: Sequence[int],
    batch: int,
    activation: str,
    loss: str,
    optimizer_of: Callable[[Library, Any], Any],
) -> Make:
    """A step on one batch."""

    def make(ad: Library) -> Run:
        ad.manual_seed(17)
        model = perceptron(ad, *sizes, activation=activation)
        x = ad.randn(batch, sizes[0])
        if loss == "CrossEntropyLoss":
            target = ad.randint(0, sizes[-1], (batch,))
        else:
            target = ad.randn(batch, sizes[-1])
        loss_of = getattr(ad.nn, loss)()
        optimizer = optimizer_of(ad, model.parameters())

        return training(lambda: loss_of(model(x), target), optimizer)

    return make


def flops(sizes: Sequence[int], batch: int) -> float:
    """The multiply-adds of a step's products, each two flop: a layer's value and the gradients of
    its weight and its input, that of the first layer's input left out.
    """
    each = [2.0 * batch * fan_in * fan_out for fan_in, fan_out in pairwise(sizes)]
    return 3 * sum(each) - each[0]


def sgd(ad: Library, parameters: Any) -> Any:
    return ad.optim.SGD(parameters, lr=1e-3)


def momentum(ad: Library, parameters: Any) -> Any:
    return ad.optim.SGD(parameters, lr=1e-3, momentum=0.9)


def adam(ad: Library, parameters: Any) -> Any:
    return ad.optim.Adam(parameters, lr=1e-4)


def _step(
    name: str,
    target: float,
    sizes: Sequence[int],
    batch: int,
    activation: str,
    loss: str,
    optimizer_of: Callable[[Library, Any], Any],
    **rest: Any,
) -> Workload:
    make = step(sizes, batch, activation, loss, optimizer_of)
    rest = {"against": ("torch",), "tolerance": 1e-3, "unit": "flop float32", **rest}
    return Workload(name, "training steps", same(make), target, work=flops(sizes, batch), **rest)


DEEP = (784, 1024, 1024, 10)
SMALL = (32, 64, 64, 4)
MSE, CLASSES = "MSELoss", "CrossEntropyLoss"
WORKLOADS = [
    _step("1-13-1, batch 9, MSE, SGD", 4.0, (1, 13, 1), 9, "Tanh", MSE, sgd, quick=True),
    _step("1-13-1, batch 9, MSE, Adam", 4.0, (1, 13, 1), 9, "Tanh", MSE, adam),
    _step(
        *("784-128-10, batch 64, cross-entropy, SGD", 2.0),
        *((784, 128, 10), 64, "ReLU", CLASSES, sgd),
    ),
    _step(
        *("784-1024-1024-10, batch 64, cross-entropy, momentum", 2.0),
        *(DEEP, 64, "ReLU", CLASSES, momentum),
    ),
    _step("32-64-64-4, batch 1, tanh, MSE, Adam", 2.5, SMALL, 1, "Tanh", MSE, adam),
    _step("32-64-64-4, batch 1, relu, cross-entropy, Adam", 2.5, SMALL, 1, "ReLU", CLASSES, adam),
]
