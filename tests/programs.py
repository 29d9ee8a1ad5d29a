"""Programs whose bits are the same on every machine: each yields the tensors that tell them.

Run, it prints the hash of each as JSON. The recorded ones are in golden/bits.json.

Operands are made of integers, so nothing depends on anybody's random numbers or libm. Most programs
come from the tables that other tests use, so an operation is here as soon as it has a case.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial

from isa_results import DRAWS, OPTIMIZERS
from large import Large, digest, in_dtype, numbers, results, sizes_drawn
from training import train

import autodiff as ad
from autodiff import dtypes
from autodiff.expr import PRIMITIVES, Expr, inputs
from autodiff.lower import INSTRUCTIONS
from autodiff.native import lib
from autodiff.nn import functional
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.sampled import GRIDS
from autodiff.testing.cases import CASES, Case

Program = Callable[[], Iterator[ad.Tensor]]
FLOATS = (ad.float32, ad.float64)
VOLUME = 3000  # of the cases: three blocks, the last one with a tail

# Around the edges of tiles and vectors, and of the blocks that k is cut into.
EDGES = (*range(1, 18), 31, 32, 33, 47, 48, 49, 95, 96, 97)
DEPTHS = (319, 320, 321, 639, 640, 641, 1000)
LENGTHS = (*range(1, 20), 63, 64, 65, 1023, 1024, 1025, 4095, 4096, 4097, 16384, 16401, 50000)
WIDTHS = (*range(1, 41), 1000, 1024, 1025, 4096)


def case_results(case: Case, d: ad.dtype, scattered: bool) -> Iterator[ad.Tensor]:
    drawer = Large(case.name, VOLUME, sizes_drawn(case), scattered)
    yield from results(case, in_dtype(case.operands(drawer), d))


def of_integers(name: str) -> Iterator[ad.Tensor]:
    """A pointwise function of each integer dtype that it takes."""
    primitive = FUNCTIONS[name].primitive
    for d in (ad.int64, ad.int32, ad.uint8, ad.bool):
        xs = [numbers((67,), turn, d, ((1, 9),)) for turn in range(1, primitive.arity + 1)]
        with contextlib.suppress(RuntimeError, NotImplementedError, TypeError):
            yield FUNCTIONS[name].op.call(*xs)


def of_halves(d: ad.dtype) -> Iterator[ad.Tensor]:
    """Each pointwise function, and some of the other families, of floats of 16 bits."""
    for _, function in sorted(FUNCTIONS.items()):  # whatever declared them first
        primitive = function.primitive
        if primitive.result != "bits":
            xs = [numbers((67,), i, d, domain) for i, domain in enumerate(primitive.domain, 1)]
            yield function.op.call(
                *[x > 0 if primitive.result == "where" else x for x in xs[:1]], *xs[1:]
            )
    a, b = numbers((33, 50), 1, d), numbers((50, 7), 2, d)
    yield from (a @ b, a.sum(0), a.mean(1), a.softmax(1), a.std(0), a.cumsum(1), a.sort(1)[0])
    yield functional.layer_norm(a, (50,), a[0], a[1])


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-40, -1e-310, 1e30, -1e300, float("inf"), float("nan")]
SPECIAL += [-float("inf"), 88.7, -103.9, 709.7, -745.1, 2.0**31, 2.0**63, -(2.0**63), 3.5, 1e5]


def instruction(name: str, code: int) -> Iterator[ad.Tensor]:
    """One instruction of the machine on ordinary and special numbers, of each type it has."""
    arity = lib.ad_instr_arity(code)
    symbols = tuple(inputs(arity))
    op = PointwiseOp(f"bits_{name}", Expr(name, symbols), arity)
    for kind, d in enumerate((ad.float32, ad.float64, ad.int64)):
        if not lib.ad_instr_has(code, kind):
            continue
        xs = [numbers((1100,), turn, d, ((-20, 20),)) for turn in range(1, arity + 1)]
        if d.is_floating_point:
            given = ad.tensor(SPECIAL, dtype=d)
            n = len(SPECIAL)
            pairs = [given[ad.arange(n * n) // n**i % n] for i in range(arity)]
            xs = [ad.cat([x, p]) for x, p in zip(xs, pairs, strict=True)]
        elif name.startswith("sh"):
            xs[1] = xs[1] % 70 - 3
        yield op.call(*xs)


def casts() -> Iterator[ad.Tensor]:
    x = numbers((1100,), 1, ad.float64, ((-300, 300),))
    for a in dtypes.ALL:
        given = x.to(a)
        for b in dtypes.ALL:
            yield given.to(b)
            yield given[::3].to(b)


def products(d: ad.dtype, which: int) -> Iterator[ad.Tensor]:
    """Of the edges in pairs, with k going around; `which` says which operands are transposed."""
    for i, m in enumerate(EDGES):
        for j, n in enumerate(EDGES):
            yield product(m, n, EDGES[(7 * i + 3 * j) % len(EDGES)], d, which)
    for k in DEPTHS:
        for m, n in ((1, 1), (1, 33), (5, 3), (13, 49), (97, 50)):
            yield product(m, n, k, d, which)
    for m, n, k in ((1, 1000, 64), (1000, 1, 64), (300, 5, 7), (5, 300, 700), (130, 520, 65)):
        yield product(m, n, k, d, which)


def product(m: int, n: int, k: int, d: ad.dtype, which: int) -> ad.Tensor:
    a = numbers((k, m), 1, d).t() if which & 1 else numbers((m, k), 1, d)
    b = numbers((n, k), 2, d).t() if which & 2 else numbers((k, n), 2, d)
    return a @ b


def other_products(d: ad.dtype) -> Iterator[ad.Tensor]:
    """Batched, broadcast, of integers, and linear with a bias."""
    for batch, m, k, n in ((3, 5, 7, 9), (40, 16, 16, 16), (2, 64, 65, 33), (7, 1, 100, 3)):
        a, b = numbers((batch, m, k), 1, d), numbers((batch, k, n), 2, d)
        yield a @ b
        yield a @ b[0]
        yield a[0] @ b
        yield a.to(ad.int64) @ b.to(ad.int64)
        yield functional.linear(a, b[0].t().contiguous(), b[0, 0])


def convolutions(d: ad.dtype) -> Iterator[ad.Tensor]:
    """Each map, at edges of tiles across channels and positions."""
    for i, m in enumerate((1, 2, 5, 7, 8, 9, 15, 16, 17, 24, 33)):
        for j, width in enumerate((3, 7, 8, 10, 17, 33)):
            groups = 3 if (i + j) % 3 == 0 else 1
            stride, c = 1 + (i + j) % 2, (1, 2, 7)[(i * j) % 3]
            x = numbers((2, groups * c, 4, width), 1, d).requires_grad_()
            w = numbers((groups * m, c, 3, (1, 2, 3)[j % 3]), 2, d).requires_grad_()
            y = functional.conv2d(x, w, None, stride, 1, 1, groups)
            yield y
            yield from ad.autograd.grad(y, (x, w), numbers(tuple(y.shape), 3, d))


def depthwise(d: ad.dtype) -> Iterator[ad.Tensor]:
    """Convolutions of single channels side by side, forwards and back."""
    for kernel, width, (stride, dilation) in itertools.product(
        (3, 7), (3, 10), ((1, 1), (2, 1), (1, 2))
    ):
        x = numbers((2, 21, 9, width), 1, d).requires_grad_()
        w = numbers((21, 1, kernel, kernel), 2, d).requires_grad_()
        y = functional.conv2d(x, w, w[:, 0, 0, 0], stride, kernel, dilation, 21)
        yield y
        yield from ad.autograd.grad(y, (x, w), numbers(tuple(y.shape), 3, d))


def few_positions(d: ad.dtype) -> Iterator[ad.Tensor]:
    """Convolutions of more channels than positions, whose panels are filled by lines of memory."""
    for images, width, stride, c in itertools.product((1, 2, 3), (3, 5, 6), (1, 2), (1, 50)):
        x = numbers((images, c, 3, width), 1, d).requires_grad_()
        w = numbers((60, c, 3, 3), 2, d).requires_grad_()
        y = functional.conv2d(x, w, None, stride, 1)
        yield y
        yield from ad.autograd.grad(y, (x, w), numbers(tuple(y.shape), 3, d))
        w = numbers((c, 3, 2, 5), 2, d)
        yield functional.conv_transpose2d(x, w, None, (2, 5))  # patches side by side


def grids(d: ad.dtype) -> Iterator[ad.Tensor]:
    """Images read at places in and outside of them, as many as fill vectors or do not."""
    for how in GRIDS.values():
        for nd, places in itertools.product((2, 3), (1, 9, 19)):
            if how.mode != "bicubic" or nd == 2:
                x = numbers((2, 3, *(5, 4, 6)[:nd]), 1, d).requires_grad_()
                at = numbers((2, *(places, 5, 2)[:nd], nd), 2, d, ((-2, 2),)).requires_grad_()
                y = functional.grid_sample(x, at, how.mode, how.padding, how.corners)
                yield y
                yield from ad.autograd.grad(y, [x, at], numbers(tuple(y.shape), 3, d))


def reductions(d: ad.dtype) -> Iterator[ad.Tensor]:
    calls: list[Callable[..., ad.Tensor]] = [
        *(ad.Tensor.sum, ad.Tensor.mean, ad.Tensor.amax, ad.Tensor.amin),
        *(ad.Tensor.argmax, ad.Tensor.argmin, ad.Tensor.prod, ad.Tensor.logsumexp),
    ]
    for n in LENGTHS:
        x = numbers((n,), 1, d, ((-2, 2),))
        for call in calls:
            yield call(x, 0)
        yield x.to(ad.int64).sum()
        yield x.var(0, correction=0)
        yield (x > 1.9).any()
        for columns in (3, 17, 40):
            if n * columns <= 50000:
                m = numbers((n, columns), 2, d, ((-2, 2),))
                long = m.reshape(columns, n)
                for call in calls:
                    yield call(m, 0)
                    yield call(m.t(), 1)
                    yield call(long, 1)


def rows(d: ad.dtype) -> Iterator[ad.Tensor]:
    """Functions of rows and their gradients."""
    calls: list[Callable[[ad.Tensor], ad.Tensor]] = [
        lambda x: x.softmax(1),
        lambda x: x.log_softmax(1),
        lambda x: functional.cross_entropy(x, ad.arange(x.shape[0]) % x.shape[1]),
    ]
    for name in ("layer_norm", "rms_norm"):
        if f := getattr(functional, name, None):
            calls.append(lambda x, f=f: f(x, x.shape[1:]))
    for width in WIDTHS:
        for call in calls:
            x = numbers((5, width), 1, d, ((-9, 9),)).requires_grad_()
            y = call(x)
            yield y
            yield from ad.autograd.grad(y, x, numbers(tuple(y.shape), 2, d))


def draws(name: str, d: ad.dtype) -> Iterator[ad.Tensor]:
    ad.manual_seed(11)
    yield DRAWS[name](ad.empty((3, 67), dtype=d))
    yield ad.rand(1)


def steps(name: str, d: ad.dtype) -> Iterator[ad.Tensor]:
    x = numbers((1000,), 1, d).requires_grad_()
    optimizer = getattr(ad.optim, name)([x], **OPTIMIZERS[name])
    for turn in range(5):
        x.grad = numbers((1000,), 2 + turn, d)
        ad.nn.utils.clip_grad_norm_([x], 7.0)
        optimizer.step()
    yield x


def _programs() -> Iterator[tuple[str, Program]]:
    for d in FLOATS:
        for case in CASES:
            yield f"{case} {d.name}", partial(case_results, case, d, d is ad.float64)
        for which, text in enumerate(("AB", "A'B", "AB'", "A'B'")):
            yield f"products {text} {d.name}", partial(products, d, which)
        yield f"other products {d.name}", partial(other_products, d)
        yield f"convolutions {d.name}", partial(convolutions, d)
        yield f"convolutions of few positions {d.name}", partial(few_positions, d)
        yield f"convolutions of single channels {d.name}", partial(depthwise, d)
        yield f"grids {d.name}", partial(grids, d)
        yield f"reductions of lengths {d.name}", partial(reductions, d)
        yield f"rows of widths {d.name}", partial(rows, d)
        for name in DRAWS:
            yield f"{name} {d.name}", partial(draws, name, d)
        for name in OPTIMIZERS:
            yield f"{name} {d.name}", partial(steps, name, d)
        yield f"training {d.name}", partial(train, d, 96, 3)
    for name in FUNCTIONS:
        yield f"{name} of integers", partial(of_integers, name)
    for name in (name for name in INSTRUCTIONS if name in PRIMITIVES):  # the others are casts
        yield f"instruction {name}", partial(instruction, name, INSTRUCTIONS[name])
    yield "casts", casts
    for d in dtypes.HALVES:
        yield f"functions of {d.name}", partial(of_halves, d)


PROGRAMS: dict[str, Program] = dict(_programs())


if __name__ == "__main__":
    print(json.dumps({name: digest(program()) for name, program in PROGRAMS.items()}))
