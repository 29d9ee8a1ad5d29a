"""Prints what operations give on fixed operands, as JSON: run once for each instruction set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import autodiff as ad
from autodiff.expr import Interval, Primitive
from autodiff.ops.declare import FUNCTIONS
from autodiff.testing.draw import operand_dtypes

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
    each = zip(primitive.domain, operand_dtypes(primitive, d), strict=True)
    xs = [spread(domain, turn, d if k is ad.bool else k) for turn, (domain, k) in enumerate(each)]
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


def positive(a: ad.Tensor) -> ad.Tensor:
    return a @ a.t() + ad.eye(a.shape[0], dtype=a.dtype) * 1000


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
    "solve": lambda a, b: ad.linalg.solve(positive(a), a),
    "cholesky": lambda a, b: ad.linalg.cholesky(positive(a)),
    "qr": lambda a, b: ad.linalg.qr(positive(a)).Q,
    "svdvals": lambda a, b: ad.linalg.svdvals(positive(a)),
    "conv": lambda a, b: ad.nn.functional.conv1d(a[None, :60], b[:15, :40].reshape(10, 60, 1)),
    "narrow": lambda a, b: (a * 1000).to(ad.int32),
    "widen": lambda a, b: a.double(),
    "index": lambda a, b: a[ad.arange(0, 40, 3), ad.arange(14)],
}


SHAPE = (3, SIZE)
DRAWS: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "uniform_": lambda x: x.uniform_(-1.0, 2.0),
    "normal_": lambda x: x.normal_(0.5, 2.0),
    "normal_strided_": lambda x: x.t().normal_(0.5, 2.0),
    "log_normal_": lambda x: x.log_normal_(0.0, 0.5),
    "exponential_": lambda x: x.exponential_(2.0),
    "cauchy_": lambda x: x.cauchy_(0.5, 2.0),
    "geometric_": lambda x: x.geometric_(0.2),
    "bernoulli_": lambda x: x.bernoulli_(0.3),
    "bernoulli": lambda x: ad.bernoulli(x.uniform_()),
    "random_": lambda x: x.random_(-9, 2**30),
    "poisson": lambda x: ad.poisson(x.uniform_(0.0, 50.0)),
    "multinomial": lambda x: ad.multinomial(x.uniform_(), 30),
    "multinomial_again": lambda x: ad.multinomial(x.uniform_(), 30, True),
    "dropout": lambda x: ad.nn.functional.dropout(x.fill_(1.0), 0.3),
    "alpha_dropout": lambda x: ad.nn.functional.alpha_dropout(x.fill_(1.0), 0.3, True),
    "orthogonal_": lambda x: ad.nn.init.orthogonal_(x),
    "trunc_normal_": lambda x: ad.nn.init.trunc_normal_(x),
}


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"maximize": True},
    "NAdam": {},
    "RAdam": {"betas": (0.8, 0.9)},
    "Adamax": {},
    "RMSprop": {"centered": True, "momentum": 0.9},
    "Adagrad": {"lr_decay": 0.1},
    "Adafactor": {"weight_decay": 0.1},
    "Adadelta": {},
    "ASGD": {"lambd": 0.1, "t0": 1},
    "Rprop": {},
}


def steps(name: str, d: ad.dtype) -> list[Any]:
    """A parameter after some steps of an optimiser, and the clipped gradient's norm."""
    rng = ad.Generator().manual_seed(6)
    x = ad.randn(SIZE, generator=rng, dtype=d).requires_grad_()
    optimizer = getattr(ad.optim, name)([x], **OPTIMIZERS[name])
    for _ in range(12):
        x.grad = ad.randn(SIZE, generator=rng, dtype=d)
        norm = ad.nn.utils.clip_grad_norm_([x], 7.0)
        optimizer.step()
    return [flat(x), flat(norm)]


def main() -> None:
    results: dict[str, Any] = {}
    for d in (ad.float32, ad.float64):
        for name, function in [*FUNCTIONS.items()]:  # derivatives may declare more
            results[f"{name} {d.name}"] = pointwise(function.primitive, d)
        rng = ad.Generator().manual_seed(5)
        a, b = (ad.randn(*s, generator=rng, dtype=d) for s in ((61, 53), (53, 45)))
        for name, call in OTHERS.items():
            results[f"{name} {d.name}"] = [flat(call(a, b))]
        for name, draw in DRAWS.items():
            ad.manual_seed(11)
            results[f"{name} {d.name}"] = [flat(draw(ad.empty(SHAPE, dtype=d))), flat(ad.rand(1))]
        for name in OPTIMIZERS:
            results[f"{name} {d.name}"] = steps(name, d)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
