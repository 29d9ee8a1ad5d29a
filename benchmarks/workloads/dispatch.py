"""What one small call costs, with and without a graph."""

from typing import Any

from workload import Library, Run, Workload, same

CHAIN = 200  # multiplications, and as many additions


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


WORKLOADS = [
    Workload("x + y, one element", "dispatch", same(add), quick=True),
    Workload("x + y with a graph", "dispatch", same(add_with_graph)),
    Workload("backward, a node", "dispatch", same(backward), parts=2 * CHAIN),
    Workload("chain of 400 nodes, forward and backward", "dispatch", same(chain_and_backward)),
]
