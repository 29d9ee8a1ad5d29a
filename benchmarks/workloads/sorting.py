"""Sorting and what is kin to it: the largest k, medians, running products, searches, unique."""

from collections.abc import Iterator
from typing import Any

from contestants import Array
from workload import (
    Library,
    Run,
    Text,
    Workload,
    array_of,
    calls,
    integers,
    normal,
    same,
    uniform,
)

SHAPES = ((64, 10), (512, 1000), (4096, 4096))
PEERS = ("torch",)
K = 5

# Of a library, an operand and a dimension: ours and PyTorch's text, and NumPy's.
TEXTS: dict[str, tuple[Any, Any]] = {
    "sort": (lambda lib, x, d: x.sort(d), lambda lib, x, d: lib.sort(x, axis=d)),
    "argsort": (
        lambda lib, x, d: x.argsort(dim=d, stable=True),
        lambda lib, x, d: lib.argsort(x, axis=d, stable=True),
    ),
    f"topk {K}": (lambda lib, x, d: x.topk(K, d), None),
    "topk tenth": (lambda lib, x, d: x.topk(x.shape[d] // 10, d), None),
    "median": (lambda lib, x, d: x.median(d), None),
    "cumprod": (lambda lib, x, d: x.cumprod(d), lambda lib, x, d: lib.cumprod(x, axis=d)),
}


def operand(kind: str, shape: tuple[int, int]) -> Array:
    """Numbers of any size; those to be multiplied near 1."""
    return uniform(*shape, low=0.97, high=1.03) if kind == "cumprod" else normal(*shape)


def along(text: Any, dim: int) -> Text | None:
    return None if text is None else lambda lib, x: text(lib, x, dim)


def forward(kind: str, shape: tuple[int, int], dim: int) -> Workload:
    over = "rows" if dim else "columns"
    ours, numpys = (along(text, dim) for text in TEXTS[kind])
    return calls(
        f"{kind} {shape[0]}x{shape[1]} along {over}",
        "sorting",
        lambda: (operand(kind, shape),),
        torch=ours,
        numpy=numpys,
        against=PEERS,
        size=shape[0] * shape[1],
        line=f"{kind} along {over}",
        quick=kind == "sort" and shape == (512, 1000) and dim == 1,
    )


def gradient(kind: str, shape: tuple[int, int], dim: int) -> Workload:
    over = "rows" if dim else "columns"
    text = TEXTS[kind][0]

    def values(lib: Library, x: Any) -> Any:
        return text(lib, x, dim) if kind == "cumprod" else text(lib, x, dim)[0]

    def make(lib: Library) -> Run:
        x = array_of("", lib, operand(kind, shape)).requires_grad_()
        g = lib.ones_like(values(lib, x))

        def run() -> Any:
            x.grad = None
            values(lib, x).backward(g)
            return x.grad

        return run

    return Workload(
        f"{kind} {shape[0]}x{shape[1]} along {over}, with gradient",
        "sorting",
        same(make),
        against=PEERS,
        size=shape[0] * shape[1],
        line=f"{kind} along {over}, with gradient",
    )


def unique(n: int, counts: bool) -> Workload:
    return calls(
        f"unique of {n:,} integers{' with inverse and counts' * counts}",
        "sorting",
        lambda: (integers(n, high=max(n // 4, 2)),),
        torch=lambda lib, x: lib.unique(x, return_inverse=counts, return_counts=counts),
        against=PEERS,
        size=n,
        line=f"unique{' with inverse and counts' * counts}",
    )


def search(shape: tuple[int, ...], count: int) -> Workload:
    """As many values in each of the rows."""

    def operands() -> tuple[Array, Array]:
        rows = normal(*shape)
        rows.sort()
        return rows, normal(*shape[:-1], count, seed=1)

    return calls(
        f"searchsorted of {count:,} in {'x'.join(map(str, shape))}",
        "sorting",
        operands,
        torch=lambda lib, rows, x: lib.searchsorted(rows, x),
        numpy=(lambda lib, rows, x: lib.searchsorted(rows, x)) if len(shape) == 1 else None,
        against=PEERS,
    )


def _all() -> Iterator[Workload]:
    for n in (1_000, 100_000, 4_000_000):
        yield from (unique(n, counts) for counts in (False, True))
    for shape, count in (
        ((64,), 64),
        ((1000,), 100_000),
        ((1_000_000,), 100_000),
        ((512, 1000), 1000),
    ):
        yield search(shape, count)
    for kind in TEXTS:
        for dim in (1, 0):
            yield from (forward(kind, shape, dim) for shape in SHAPES)
            if kind != "argsort":
                yield from (gradient(kind, shape, dim) for shape in SHAPES)


WORKLOADS: list[Workload] = list(_all())
