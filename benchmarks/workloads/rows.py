"""Softmax, logsumexp, layer norm, cross-entropy and variance: values and gradients."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from workload import Array, Library, Make, Run, Text, Workload, array_of, integers, normal, waiting

SHAPES = ((64, 10), (512, 1000), (4096, 4096))
WAYS: dict[str, tuple[int, ...]] = {"rows": (1,), "columns": (0,), "all": (0, 1)}


def operands(m: int, n: int, *more: Array) -> tuple[Array, ...]:
    return (normal(m, n), *more)


def value(name: str, text: Text, given: Callable[[], tuple[Array, ...]]) -> Make:
    """The value alone, where the library has grad modes, with none."""

    def make(library: Library) -> Run:
        arrays = [array_of(name, library, x) for x in given()]
        if name == "numpy":
            return lambda: text(library, *arrays)

        def run() -> Any:
            with library.no_grad():
                return text(library, *arrays)

        return run

    return make


def gradient(name: str, text: Text, given: Callable[[], tuple[Array, ...]]) -> Make:
    """Forward, and backward from a cotangent of ones to the first operands: all that are floats."""

    def make(library: Library) -> Run:
        arrays = [array_of(name, library, x) for x in given()]
        leaves = [x.requires_grad_() for x in arrays if x.is_floating_point()]
        first = text(library, *arrays).detach()
        cotangent = (
            None if first.ndim == 0 else array_of(name, library, normal(*first.shape, seed=3))
        )

        def run() -> Any:
            text(library, *arrays).backward(cotangent)
            grad = leaves[0].grad
            for leaf in leaves:
                leaf.grad = None
            return grad

        return run

    return make


def jitted(text: Text, given: Callable[[], tuple[Array, ...]], differentiate: bool) -> Make:
    def make(library: Library) -> Run:
        arrays = [array_of("jax", library, x) for x in given()]
        floats = tuple(i for i, x in enumerate(given()) if x.dtype == np.float32)
        shape = library.eval_shape(lambda *xs: text(library, *xs), *arrays).shape
        cotangent = library.numpy.asarray(normal(*shape, seed=3)) if shape else 1.0

        def whole(*xs: Any) -> Any:
            return (text(library, *xs) * cotangent).sum()

        wanted = library.grad(whole, floats) if differentiate else lambda *xs: text(library, *xs)
        compiled = library.jit(wanted)
        return waiting(lambda: compiled(*arrays))

    return make


def both(
    name: str,
    group: str,
    shape: tuple[int, int],
    text: Text,
    given: Callable[[], tuple[Array, ...]],
    *,
    numpy: Text | None = None,
    jax: Text | None = None,
    quick: bool = False,
) -> Iterator[Workload]:
    """A value, and a value with its gradients, held against PyTorch."""
    title = f"{name} {shape[0]}x{shape[1]}"
    forward = {one: value(one, text, given) for one in ("autodiff", "torch")}
    backward = {one: gradient(one, text, given) for one in ("autodiff", "torch")}
    if numpy is not None:
        forward["numpy"] = value("numpy", numpy, given)
    if jax is not None:
        forward["jax"] = jitted(jax, given, False)
        backward["jax"] = jitted(jax, given, True)
    rest: dict[str, Any] = {"against": ("torch",), "size": shape[0] * shape[1], "quick": quick}
    yield Workload(title, group, forward, line=name, **rest)
    yield Workload(f"{title}, backward", group, backward, line=f"{name}, backward", **rest)


def np_softmax(np: Any, x: Array, dim: int) -> Array:
    e = np.exp(x - x.max(dim, keepdims=True))
    return e / e.sum(dim, keepdims=True)


def np_logsumexp(np: Any, x: Array) -> Array:
    top = x.max(-1, keepdims=True)
    return np.log(np.exp(x - top).sum(-1)) + top[:, 0]


def np_layer_norm(np: Any, x: Array, w: Array, b: Array) -> Array:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + b


def jax_cross_entropy(jax: Any, x: Array, target: Array) -> Any:
    logs = jax.nn.log_softmax(x)
    return -jax.numpy.take_along_axis(logs, target[:, None], 1).mean()


def softmaxes(shape: tuple[int, int]) -> Iterator[Workload]:
    def given() -> tuple[Array, ...]:
        return operands(*shape)

    dims = {"softmax": -1, "softmax of columns": 0} if shape == SHAPES[1] else {"softmax": -1}
    for name, dim in dims.items():
        yield from both(
            name,
            "rows",
            shape,
            lambda lib, x, dim=dim: lib.softmax(x, dim),
            given,
            numpy=lambda np, x, dim=dim: np_softmax(np, x, dim),
            jax=lambda jax, x, dim=dim: jax.nn.softmax(x, dim),
            quick=shape == SHAPES[1] and dim == -1,
        )
    yield from both(
        "log_softmax",
        "rows",
        shape,
        lambda lib, x: lib.log_softmax(x, -1),
        given,
        jax=lambda jax, x: jax.nn.log_softmax(x),
    )
    yield from both(
        "logsumexp",
        "rows",
        shape,
        lambda lib, x: lib.logsumexp(x, -1),
        given,
        numpy=np_logsumexp,
        jax=lambda jax, x: jax.nn.logsumexp(x, -1),
    )


def losses(shape: tuple[int, int]) -> Iterator[Workload]:
    m, n = shape
    yield from both(
        "cross_entropy",
        "rows",
        shape,
        lambda lib, x, target: lib.nn.functional.cross_entropy(x, target),
        lambda: operands(m, n, integers(m, high=n)),
        jax=jax_cross_entropy,
        quick=shape == SHAPES[0],
    )


def norms(shape: tuple[int, int]) -> Iterator[Workload]:
    m, n = shape
    yield from both(
        "layer_norm",
        "rows",
        shape,
        lambda lib, x, w, b: lib.nn.functional.layer_norm(x, (n,), w, b),
        lambda: operands(m, n, normal(n, seed=1), normal(n, seed=2)),
        numpy=np_layer_norm,
        jax=lambda jax, x, w, b: np_layer_norm(jax.numpy, x, w, b),
    )


def spreads(shape: tuple[int, int]) -> Iterator[Workload]:
    for way, dims in WAYS.items():
        yield from both(
            f"var of {way}",
            "rows",
            shape,
            lambda lib, x, dims=dims: lib.var(x, dims),
            lambda: operands(*shape),
            numpy=lambda np, x, dims=dims: x.var(dims, ddof=1),
            jax=lambda jax, x, dims=dims: x.var(dims, ddof=1),
        )
    yield from both(
        "std of rows",
        "rows",
        shape,
        lambda lib, x: lib.std(x, 1),
        lambda: operands(*shape),
        numpy=lambda np, x: x.std(1, ddof=1),
        jax=lambda jax, x: x.std(1, ddof=1),
    )


WORKLOADS = [
    workload
    for shape in SHAPES
    for family in (softmaxes, losses, norms, spreads)
    for workload in family(shape)
]
