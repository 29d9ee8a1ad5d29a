"""Prints what operations give on fixed operands, as JSON: run once for each instruction set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import autodiff as ad
from autodiff.expr import Interval, Primitive
from autodiff.ops.declare import FUNCTIONS

SIZE = 67  # whole vectors of every width, and a tail


def spread(domain: Sequence[Interval], turn: int, d: ad.dtype) -> ad.Tensor:
    """Numbers all over a domain, in an order of their own for each operand."""
    each = []
    for k in range(SIZE):
        low, high = domain[k % len(domain)]
        step = (k * (7 + 4 * turn) + turn) % SIZE / (SIZE - 1)
        each.append(low + (high - low) * step if low < high else low)
    return ad.tensor(each if d.is_floating_point else [int(v) for v in each], dtype=d)


def operands(primitive: Primitive, d: ad.dtype) -> list[ad.Tensor]:
    whole = ad.int64 if primitive.result == "bits" else d
    xs = [spread(domain, turn, whole) for turn, domain in enumerate(primitive.domain)]
    return [x > 0 if i == 0 and primitive.result == "where" else x for i, x in enumerate(xs)]


def flat(x: ad.Tensor) -> list[Any]:
    values: list[Any] = x.detach().reshape(-1).tolist()
    return values


def pointwise(primitive: Primitive, d: ad.dtype) -> list[Any]:
    """The result and, where there is one, the gradient of each operand."""
    xs = operands(primitive, d)
    xs = [x.requires_grad_() if x.is_floating_point() else x for x in xs]
    y = FUNCTIONS[primitive.name].op.call(*xs)
    found = [flat(y)]
    if y.requires_grad:
        wanted = [x for x in xs if x.requires_grad]
        grads = ad.autograd.grad(y.sum(), wanted, allow_unused=True)
        found += [flat(g) for g in grads if g is not None]
    return found


OTHERS: dict[str, Callable[[ad.Tensor, ad.Tensor], ad.Tensor]] = {
    "sum": lambda a, b: a.sum(),
    "sum_0": lambda a, b: a.sum(0),
    "sum_1": lambda a, b: a.t().sum(0),
    "mean": lambda a, b: a.mean(1),
    "prod": lambda a, b: (a[:, :5] * 2).prod(1),
    "amax": lambda a, b: a.amax(0),
    "argmin": lambda a, b: a.argmin(1),
    "matmul": lambda a, b: a @ b,
    "matmul_transposed": lambda a, b: b.t() @ a.t(),
    "mv": lambda a, b: a @ b[:, 0],
    "narrow": lambda a, b: (a * 1000).to(ad.int32),
    "widen": lambda a, b: a.double(),
    "index": lambda a, b: a[ad.arange(0, 40, 3), ad.arange(14)],
}


def main() -> None:
    results: dict[str, Any] = {}
    for d in (ad.float32, ad.float64):
        for name, function in FUNCTIONS.items():
            results[f"{name} {d.name}"] = pointwise(function.primitive, d)
        rng = ad.Generator().manual_seed(5)
        a, b = (ad.randn(*s, generator=rng, dtype=d) for s in ((61, 53), (53, 45)))
        for name, call in OTHERS.items():
            results[f"{name} {d.name}"] = [flat(call(a, b))]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
