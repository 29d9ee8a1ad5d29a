"""What one small call costs, with and without a graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
from workload import Array, Library, Make, Run, Text, Workload, calls, normal, same

CHAIN = 200  # multiplications, and as many additions
PEERS = ("torch",)  # what an eager call is held against; NumPy's own is shown beside it


def call(name: str, everywhere: Text, *operands: Array, **rest: Any) -> Workload:
    """One call on small arrays, NumPy's own shown."""
    rest = {"target": 0.5, "against": PEERS, "threads": (1,), **rest}
    with_jax = calls(name, "dispatch", lambda: operands, everywhere=everywhere, **rest)
    makes = {who: make for who, make in with_jax.makes.items() if who != "jax"}
    return Workload(name, "dispatch", makes, **rest)


def with_graph(text: Callable[..., Any], *shape: int) -> Make:
    """One recorded call on a tensor that requires grad."""

    def make(ad: Library) -> Run:
        x = ad.from_numpy(normal(*shape)).clone().requires_grad_()
        y = ad.from_numpy(normal(*shape, seed=1)).clone()
        return lambda: text(ad, x, y)

    return make


def chain(x: Any, factor: Any, term: Any) -> Any:
    for _ in range(CHAIN):
        x = x * factor + term
    return x


def backward(ad: Library) -> Run:
    """Backward, again and again, through the graph of a chain."""
    x = ad.tensor([1.0], requires_grad=True)
    y = chain(x, ad.tensor([0.99]), ad.tensor([0.25]))

    def run() -> Any:
        y.backward(retain_graph=True)
        grad, x.grad = x.grad, None
        return grad

    return run


def chain_and_backward(ad: Library) -> Run:
    x = ad.tensor([1.0], requires_grad=True)
    factor, term = ad.tensor([0.99]), ad.tensor([0.25])

    def run() -> Any:
        y = chain(x, factor, term)
        y.backward()
        x.grad = None
        return y

    return run


def fresh_backward(ad: Library) -> Run:
    """The whole of one small graph: two leaves, three operations."""
    x = ad.from_numpy(normal(8, 8)).clone().requires_grad_()
    w = ad.from_numpy(normal(8, 8, seed=1)).clone().requires_grad_()

    def run() -> Any:
        ((x @ w).tanh()).sum().backward()
        grad, x.grad, w.grad = x.grad, None, None
        return grad

    return run


ONE = np.array([1.5], dtype="float32")
TWO = np.array([2.5], dtype="float32")
GRAPHS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "x + y": (lambda ad, x, y: x + y, (1,)),
    "x * 2.5": (lambda ad, x, y: x * 2.5, (1,)),
    "x.tanh()": (lambda ad, x, y: ad.tanh(x), (1,)),
    "8x8 matmul": (lambda ad, x, y: x @ y, (8, 8)),
    "x.view(4, 4)": (lambda ad, x, y: x.view(4, 4), (16,)),
    "x[3]": (lambda ad, x, y: x[3], (8, 8)),
    "x[1:5]": (lambda ad, x, y: x[1:5], (8, 8)),
    "x.sum()": (lambda ad, x, y: x.sum(), (8, 8)),
}


def put(x: Any, index: Any, value: Any) -> Any:
    x[index] = value
    return x


# What a day's work calls between the operations above.
EVERYDAY: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "x.add_(y)": (lambda ad, x, y: x.add_(y), (8, 8)),
    "x.mul_(1.0)": (lambda ad, x, y: x.mul_(1.0), (8, 8)),
    "x[3] = 0.5": (lambda ad, x, y: put(x, 3, 0.5), (8, 8)),
    "x[1:5, 2] = y[1:5, 2]": (lambda ad, x, y: put(x, (slice(1, 5), 2), y[1:5, 2]), (8, 8)),
    "x[..., None]": (lambda ad, x, y: x[..., None], (8, 8)),
    "x.T": (lambda ad, x, y: x.T, (8, 8)),
    "x.permute(1, 0)": (lambda ad, x, y: x.permute(1, 0), (8, 8)),
    "x.flatten()": (lambda ad, x, y: x.flatten(), (8, 8)),
    "x.expand(8, 8)": (lambda ad, x, y: x.expand(8, 8), (1, 8)),
    "x.size(0)": (lambda ad, x, y: x.size(0), (8, 8)),
    "x.tolist()": (lambda ad, x, y: x.tolist(), (8,)),
    "zeros(8, 8)": (lambda ad, x, y: ad.zeros(8, 8), (1,)),
    "zeros_like(x)": (lambda ad, x, y: ad.zeros_like(x), (8, 8)),
    "randn(8, 8)": (lambda ad, x, y: ad.randn(8, 8).size(), (1,)),
    "tensor([[1, 2], [3, 4]])": (lambda ad, x, y: ad.tensor([[1, 2], [3, 4]]), (1,)),
    "x.clamp(0, 1)": (lambda ad, x, y: x.clamp(0, 1), (8, 8)),
    "where(x > 0, x, y)": (lambda ad, x, y: ad.where(x > 0, x, y), (8, 8)),
    "x.double()": (lambda ad, x, y: x.double(), (8, 8)),
    "x.mean(0)": (lambda ad, x, y: x.mean(0), (8, 8)),
    "x.max(1)": (lambda ad, x, y: x.max(1), (8, 8)),
    "(x > 0).all()": (lambda ad, x, y: (x > 0).all(), (8, 8)),
    "x.softmax(1)": (lambda ad, x, y: x.softmax(1), (8, 8)),
    "cat([x, y])": (lambda ad, x, y: ad.cat([x, y]), (8, 8)),
    "x @ y of a matrix and a vector": (lambda ad, x, y: x @ y[0], (8, 8)),
    "dot(x, y)": (lambda ad, x, y: ad.dot(x, y), (8,)),
    "bmm(x, y)": (lambda ad, x, y: ad.bmm(x, y), (4, 8, 8)),
    "chunk and stack": (lambda ad, x, y: ad.stack(x.chunk(2)), (8, 8)),
}


def plainly(text: Callable[..., Any], *shape: int) -> Make:
    """One call on tensors without a graph."""

    def make(ad: Library) -> Run:
        x, y = (ad.from_numpy(normal(*shape, seed=seed)).clone() for seed in (0, 1))
        return lambda: text(ad, x, y)

    return make


def _all() -> list[Workload]:
    square = normal(8, 8), normal(8, 8, seed=1)
    rest = {"target": 0.5, "against": PEERS, "threads": (1,)}
    found = [
        call("x + y", lambda lib, x, y: x + y, ONE, TWO, target=1.0, quick=True),
        call("x * 2.5", lambda lib, x: x * 2.5, ONE),
        call("tanh(x)", lambda lib, x: lib.tanh(x), ONE),
        call("8x8 matmul", lambda lib, x, y: x @ y, *square),
        call("x.reshape(4, 4) (view)", lambda lib, x: x.reshape(4, 4), normal(16)),
        Workload(
            "x.view(4, 4)", "dispatch", same(lambda ad: _viewing(ad.from_numpy(normal(16)))), **rest
        ),
        call("x[3]", lambda lib, x: x[3], square[0]),
        call("x[1:5]", lambda lib, x: x[1:5], square[0]),
        call("x[3, 1:5]", lambda lib, x: x[3, 1:5], square[0]),
        call("x.sum()", lambda lib, x: x.sum(), square[0]),
    ]
    for name, (text, shape) in GRAPHS.items():
        made = same(with_graph(text, *shape))
        found.append(Workload(f"{name} with a graph", "dispatch", made, **rest))
    for name, (text, shape) in EVERYDAY.items():
        found.append(Workload(name, "dispatch", same(plainly(text, *shape)), **rest))
    return [
        *found,
        Workload("backward, a node", "dispatch", same(backward), parts=2 * CHAIN, **rest),
        Workload(
            "chain of 400 nodes, forward and backward", "dispatch", same(chain_and_backward), **rest
        ),
        Workload(
            "matmul, tanh, sum: forward and backward", "dispatch", same(fresh_backward), **rest
        ),
    ]


def _viewing(x: Any) -> Run:
    return lambda: x.view(4, 4)


WORKLOADS = _all()
