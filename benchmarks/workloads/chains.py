"""A user's own chain of pointwise functions, fused: values, and values with gradients."""

from collections.abc import Callable, Iterator
from typing import Any

import contestants
from workload import Array, Library, Make, Run, Workload, normal

Chain = Callable[..., Any]  # of a library and arrays


def gelu(lib: Library, x: Any) -> Any:
    """GELU, written out with its tanh."""
    return 0.5 * x * (1 + lib.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def six(lib: Library, x: Any, y: Any) -> Any:
    """Six operations on two inputs."""
    return lib.exp(-x * y) * x + y / 2 - x


CHAINS: tuple[tuple[str, Chain, int], ...] = (
    ("gelu written out", gelu, 1),
    ("six operations", six, 2),
)
SIZES = (1_000, 100_000, 10_000_000)


def arrays(count: int, n: int) -> list[Array]:
    return [normal(n, seed=seed) for seed in range(count)]


def of_tensors(name: str, chain: Chain, count: int, n: int, gradient: bool) -> Make:
    """Ours and PyTorch's: fused by `pointwise` here, eager there."""

    def make(lib: Library) -> Run:
        xs = [contestants.array_of(name, lib, x) for x in arrays(count, n)]
        f = lambda *given: chain(lib, *given)  # noqa: E731
        if name == contestants.US:
            f = lib.pointwise(f)
        if not gradient:
            return lambda: f(*xs)
        for x in xs:
            x.requires_grad_()
        seed = contestants.array_of(name, lib, normal(n, seed=9))

        def run() -> Any:
            y = f(*xs)
            y.backward(seed)
            grads = [x.grad for x in xs]
            for x in xs:
                x.grad = None
            return grads

        return run

    return make


def of_jax(chain: Chain, count: int, n: int, gradient: bool) -> Make:
    def make(jax: Library) -> Run:
        xs = [jax.numpy.asarray(x) for x in arrays(count, n)]

        def f(*given: Any) -> Any:
            return chain(jax.numpy, *given)

        if not gradient:
            value = jax.jit(f)
            return contestants.waiting(lambda: value(*xs))
        seed = jax.numpy.asarray(normal(n, seed=9))

        def gradients(*given: Any) -> Any:
            y, pull = jax.vjp(f, *given)
            return *pull(seed), y

        both = jax.jit(gradients)
        return contestants.waiting(lambda: both(*xs))

    return make


def chains() -> Iterator[Workload]:
    for name, chain, count in CHAINS:
        for n in SIZES:
            for gradient in (False, True):
                makes = {
                    peer: of_tensors(peer, chain, count, n, gradient)
                    for peer in (contestants.US, "torch")
                }
                makes["jax"] = of_jax(chain, count, n, gradient)
                yield Workload(
                    f"{name}, {n:,}" + (", gradient" if gradient else ""),
                    "chains",
                    makes,
                    targets={"torch": 4.0},
                    size=n,
                    line=name + (", gradient" if gradient else ""),
                    quick=n == 100_000,
                )


WORKLOADS = list(chains())
