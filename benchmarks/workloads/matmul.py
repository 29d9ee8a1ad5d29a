"""Matrix products: square, transposed, skinny, odd and batched."""

from collections.abc import Iterator
from typing import Any

from workload import Text, Workload, calls, normal

TEXTS: dict[str, Text] = {
    "": lambda lib, a, b: a @ b,
    "A^T": lambda lib, a, b: a.T @ b,
    "B^T": lambda lib, a, b: a @ b.T,
    "A^T B^T": lambda lib, a, b: a.T @ b.T,
}
SIZES = (4, 8, 16, 32, 64, 100, 128, 256, 512, 1024, 2048)
QUICK = (8, 64, 512)


def square(n: int, turned: str, dtype: str) -> Workload:
    name = f"{n}^3 {dtype} {turned}".rstrip()
    return calls(
        name,
        "matmul",
        lambda: (normal(n, n, dtype=dtype), normal(n, n, dtype=dtype, seed=1)),
        everywhere=TEXTS[turned],
        size=n,
        line=f"{dtype} {turned}".rstrip(),
        work=2 * n**3,
        unit=f"flop {dtype}",
        limit=0.9 if n >= 512 else None,
        quick=n in QUICK and dtype == "float32" and not turned,
    )


def product(m: int, k: int, n: int, turned: str = "", batch: tuple[int, ...] = ()) -> Workload:
    a = (*batch, m, k) if "A^T" not in turned else (*batch, k, m)
    b = (*batch, k, n) if "B^T" not in turned else (*batch, n, k)
    prefix = f"{'x'.join(map(str, batch))} of " if batch else ""
    flops = 2.0 * m * k * n
    for size in batch:
        flops *= size
    return calls(
        f"{prefix}{m}x{k}x{n} {turned}".rstrip(),
        "matmul, odd shapes",
        lambda: (normal(*a), normal(*b, seed=1)),
        everywhere=TEXTS[turned],
        work=flops,
        unit="flop float32",
        quick=(m, k, n) == (64, 784, 128) or m == 1,
    )


def attention(batch: int, heads: int, tokens: int, width: int) -> Iterator[Workload]:
    shape = (batch, heads, tokens, width)
    for name, second, text in (
        ("scores", shape, lambda lib, q, k: q @ k.swapaxes(-1, -2)),
        ("values", shape, lambda lib, p, v: p @ v),
    ):
        first = shape if name == "scores" else (batch, heads, tokens, tokens)
        yield calls(
            f"attention {name} {batch}x{heads}x{tokens}x{width}",
            "matmul, odd shapes",
            lambda first=first, second=second: (normal(*first), normal(*second, seed=1)),
            everywhere=text,
            work=2.0 * batch * heads * tokens * tokens * width,
            unit="flop float32",
        )


def _all() -> Iterator[Any]:
    for dtype in ("float32", "float64"):
        for turned in TEXTS:
            yield from (square(n, turned, dtype) for n in SIZES)
    yield product(64, 784, 128)
    yield product(784, 64, 128, "A^T")  # the gradient of the weight,
    yield product(64, 128, 784, "B^T")  # and that of the input
    yield product(1, 1024, 1024)
    yield product(1, 1024, 1024, "B^T")
    yield product(4096, 64, 64)
    yield product(64, 4096, 64)
    yield product(9, 1, 13)
    yield product(333, 777, 555)
    yield product(64, 64, 64, batch=(64,))
    yield from attention(8, 4, 64, 16)
    yield from attention(4, 8, 256, 64)


WORKLOADS: list[Workload] = list(_all())
