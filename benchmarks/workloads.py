"""What is measured. Each workload is one text, given the library to run on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Library = Any  # autodiff or torch
Run = Callable[[], Any]  # does the work once and returns a tensor to compare

CHAIN = 200  # multiplications, and as many additions


@dataclass(frozen=True)
class Workload:
    """A named piece of work; `make` prepares it, `parts` is how many units one run counts for."""

    name: str
    make: Callable[[Library], Run]
    parts: int = 1


def add(ad: Library) -> Run:
    x, y = ad.tensor([1.5]), ad.tensor([2.5])
    return lambda: x + y


def add_with_graph(ad: Library) -> Run:
    x, y = ad.tensor([1.5], requires_grad=True), ad.tensor([2.5])
    return lambda: x + y


def chain(ad: Library, x: Any) -> Any:
    factor, term = ad.tensor([0.5]), ad.tensor([0.25])
    for _ in range(CHAIN):
        x = x * factor + term
    return x


def backward(ad: Library) -> Run:
    x = ad.tensor([1.0], requires_grad=True)
    y = chain(ad, x)

    def run() -> Any:
        y.backward(retain_graph=True)
        grad, x.grad = x.grad, None
        return grad

    return run


def chain_and_backward(ad: Library) -> Run:
    x = ad.tensor([1.0], requires_grad=True)

    def run() -> Any:
        y = chain(ad, x)
        y.backward()
        x.grad = None
        return y

    return run


def training_step(ad: Library) -> Run:
    ad.manual_seed(17)
    x, target = ad.randn(9, 1), ad.randn(9, 1)
    model = ad.nn.Sequential(ad.nn.Linear(1, 13), ad.nn.Tanh(), ad.nn.Linear(13, 1))
    loss_of = ad.nn.MSELoss()
    optimizer = ad.optim.SGD(model.parameters(), lr=1e-3)

    def run() -> Any:
        loss = loss_of(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return run


WORKLOADS = [
    Workload("x + y, one element", add),
    Workload("x + y with a graph", add_with_graph),
    Workload("backward, a node", backward, parts=2 * CHAIN),
    Workload("multiply-add chain of 400 nodes, forward and backward", chain_and_backward),
    Workload("training step 1-13-1, batch 9, MSE, SGD", training_step),
]
