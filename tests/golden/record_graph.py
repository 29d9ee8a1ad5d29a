"""Records what PyTorch's autograd gives for short programs, as graph.json (see recording.py).

A program takes the library and three leaves x, y (3 x 4) and v (4); it returns a tensor, whose
elements are summed with weights and differentiated. Both sides run the programs of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("graph.json")
Program = Callable[[Any, Any, Any, Any], Any]
PROGRAMS: dict[str, Program] = {}


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


@program
def write_row(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * 2
    z[1] = v
    return z.sin()


@program
def write_column_then_use_view(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * y
    column = z[:, 2]
    column.mul_(column.detach() + 1)
    return z + column.sum()


@program
def view_made_before_write(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x.sin()
    row = z[0]
    z.mul_(y)
    return row * v


@program
def chain_of_views(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x + 0
    part = z.t()[1:3].reshape(2, 3)[0]
    part.mul_(y[:, 0])
    return z * y


@program
def two_views_written(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x.clone()
    a, b = z[:2], z[1:]
    a.mul_(v)
    b.add_(y[1:])
    return a.sum() * z + b.prod()


@program
def write_through_transposed(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = (x * x).contiguous()
    z.t().mul_(y.t())
    z.t()[0].copy_(y[:, 1])
    return z.tanh()


@program
def strided_slice(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * 1
    z[::2, 1::2] = y[::2, ::2] * 3
    z[:, 0] += v[0]
    return z * z


@program
def write_scalar(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * y
    z[0] = 5.0
    z[:, 1].zero_()
    z[2].fill_(v[3])
    return z * x


@program
def index_put_adds(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * 2
    z.index_put_((lib.tensor([0, 0, 2]),), y, accumulate=True)
    z[lib.tensor([1, 2])] = v
    return z.cos()


@program
def masked(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * y
    z[x.detach() > 0] = 0.25
    return z.masked_fill(y.detach() > 0.5, 2.0) * v


@program
def in_place_twice(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x.clone()
    z.mul_(y).sin_().add_(v).mul_(2)
    return z


@program
def as_strided_overlapping(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * 1
    return z.as_strided((3, 3), (2, 1), 1) * y[:, :3]


@program
def write_through_as_strided(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x * 1
    z.as_strided((2, 2), (4, 2), 1).mul_(y[:2, :2])
    return z.sin()


@program
def detached_branch(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return x * (x * y).detach() + v


@program
def grad_of_written_base(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z = x.cos()
    w = z.view(4, 3)
    w[1:3].mul_(2)
    z.add_(y)
    return w.sum(0).exp().sum() + z.tanh()


def leaves(lib: Any) -> list[Any]:
    """The operands, the same numbers in each library."""
    n = lib.arange(28, dtype=lib.float64)
    values = (n * 37 % 28 - 13.5) / 14
    cut = [values[:12].reshape(3, 4), values[12:24].reshape(3, 4), values[24:]]
    return [x.clone().requires_grad_() for x in cut]


def run(lib: Any, name: str) -> dict[str, Any]:
    """A program's result, its gradients, and the gradients of a function of those."""
    xs = leaves(lib)
    z = PROGRAMS[name](lib, *xs)
    weights = (lib.arange(z.numel(), dtype=lib.float64) / 8 + 0.5).reshape(z.shape)
    options = {"allow_unused": True, "create_graph": True}
    first = [g for g in lib.autograd.grad((z * weights).sum(), xs, **options) if g is not None]
    total = sum((g * g).sum() for g in first)
    second = lib.autograd.grad(total, xs, allow_unused=True) if total.requires_grad else []
    return {
        "result": z.tolist(),
        "first": [g.tolist() for g in first],
        "second": [None if g is None else g.tolist() for g in second],
    }


def main() -> None:
    """Writes graph.json, a program a line."""
    import torch

    write(GOLDEN, programs={name: run(torch, name) for name in PROGRAMS})


if __name__ == "__main__":
    main()
